package driver

import (
	"log/slog"
)

// Outage tells a log, once each, that an engine cannot be watched and that it is watched again.
type Outage struct {
	Engine string
	Log    *slog.Logger

	failures int // in a row
	refused  int // the status that was logged last
}

// Failed takes a failure and returns how many there were in a row. The first is logged, and a refusal, which says more than what broke the
// connection.
func (o *Outage) Failed(err error) (failures int) {
	code := StatusOf(err)
	if o.failures++; o.failures == 1 || code != 0 && code != o.refused {
		o.refused = code
		o.Log.Warn(o.Engine+" cannot be watched; the last known instances stay", "error", err)
	}
	return o.failures
}

// Over takes a success, and reports whether there was a failure before it.
func (o *Outage) Over() bool {
	if o.failures == 0 {
		return false
	}
	o.failures = 0
	o.Log.Info(o.Engine + " is watched again")
	return true
}

// Ignored tells a log, once each, what is wrong with what an engine has. The zero value has told nothing.
type Ignored struct{ told map[string]string }

// Warn takes all that is wrong now, by the ID of what it is wrong with.
func (i *Ignored) Warn(log *slog.Logger, message string, wrong map[string]error) {
	told := make(map[string]string, len(wrong))
	for id, err := range wrong {
		told[id] = err.Error()
		if i.told[id] != told[id] {
			log.Warn(message, "id", id, "error", err)
		}
	}
	i.told = told
}
