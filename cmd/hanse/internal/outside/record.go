package outside

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/hanse-go/hanse/internal/lease"
	"github.com/hanse-go/hanse/internal/rundir"
)

// Record is a dashboard that runs: how other commands of this user find it.
type Record struct {
	Key   string `json:"key"`
	Name  string `json:"name"`  // of the system, for people
	Place string `json:"place"` // where it is looked for, for people
	Dir   string `json:"dir"`   // folder that the system belongs to, as far as that is known
	PID   int    `json:"pid"`

	Production bool `json:"production"` // it is marked so

	Control string `json:"control"` // path of the unix socket at which its API is
	Link    string `json:"link"`    // with its token
}

// ContextKey is what a dashboard of a context is known by.
func ContextKey(name string) string { return "context-" + name }

// PlaceKey is what a dashboard of a place is known by that no context names. The parts of a place may have secrets in them: a key has none.
func PlaceKey(place ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(place, "\x00")))
	return "place-" + hex.EncodeToString(sum[:8])
}

// ErrRuns is returned where a dashboard with the same key runs.
var ErrRuns = errors.New("a dashboard of it runs already")

func records() (lease.Dir, error) {
	dir, err := rundir.Path("dev", "dashboards")
	if err != nil {
		return "", fmt.Errorf("the folder for records of running dashboards: %w", err)
	}
	return lease.Dir(dir), nil
}

// hold claims the key of a record, which says nothing yet but that there is one.
func hold(r Record) (*lease.Lease, error) {
	dir, err := records()
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	l, err := dir.Hold(r.Key, text)
	if errors.Is(err, lease.ErrHeld) {
		return nil, ErrRuns
	}
	return l, err
}

// Running returns the dashboards that run, by name.
func Running() ([]Record, error) {
	dir, err := records()
	if err != nil {
		return nil, err
	}
	list, err := lease.Contents(dir, func(r *Record) bool { return r.Control != "" })
	if err != nil {
		return nil, fmt.Errorf("reading which dashboards run: %w", err)
	}
	slices.SortFunc(list, func(a, b Record) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Key, b.Key)) })
	return list, nil
}

// Find returns the running dashboard with the key.
func Find(key string) (r Record, found bool, err error) {
	list, err := Running()
	if i := slices.IndexFunc(list, func(r Record) bool { return r.Key == key }); i >= 0 {
		return list[i], true, err
	}
	return Record{}, false, err
}

// publish says what is to be known of a dashboard that runs.
func publish(l *lease.Lease, r Record) error {
	text, err := json.Marshal(r)
	if err != nil {
		return err
	}
	if err := l.Update(text); err != nil {
		return fmt.Errorf("recording the dashboard: %w", err)
	}
	return nil
}
