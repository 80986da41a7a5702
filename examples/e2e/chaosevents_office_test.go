//go:build unix

package e2e_test

import (
	"database/sql"
	"path/filepath"
	"testing"
	"time"

	"github.com/hanse-go/hanse/examples/e2e/tally"
)

// office is what processes of tallyman share: a writer and a relay, which have an outbox, a publisher without one, and handlers, whose effects go
// through an inbox.
type office struct {
	t                      *testing.T
	broker                 *hub
	dir, ledger, delivered string
	orders, effects        *sql.DB
}

func newOffice(t *testing.T) *office {
	t.Helper()
	build(t, "tallyman")
	dir := t.TempDir()
	o := &office{t: t, broker: newHub(t), dir: dir, ledger: filepath.Join(dir, "ledger"), delivered: filepath.Join(dir, "delivered")}
	var err error
	if o.orders, err = tally.OpenOrders(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { o.orders.Close() })
	if o.effects, err = tally.OpenEffects(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { o.effects.Close() })
	return o
}

// actor is a process that is started again whenever it was killed.
type actor struct {
	start func() *program
	*program
}

func act(start func() *program) *actor { return &actor{start, start()} }

func (o *office) startBroker() *actor {
	return act(func() *program { o.broker.start(); return o.broker.process })
}

// start starts a process of a service. A handler takes a while between the effect and its end.
func (o *office) start(service string) *actor {
	return act(func() *program {
		return tallyman(o.t, o.broker.url(), service, map[string]string{
			"TALLY_LEDGER": o.ledger, "TALLY_EFFECTS": o.delivered, "TALLY_DATA": o.dir, "TALLY_TAKES": "20ms",
		})
	})
}

// written returns what the writer has committed since a moment, and how long the slowest took.
func (o *office) written(since time.Time) ([]tally.Mark, time.Duration) {
	o.t.Helper()
	marks, slowest, err := tally.Written(o.t.Context(), o.orders, since)
	if err != nil {
		o.t.Fatal(err)
	}
	return marks, slowest
}

// handled returns the effects.
func (o *office) handled() []tally.Mark {
	o.t.Helper()
	marks, err := tally.Effects(o.t.Context(), o.effects)
	if err != nil {
		o.t.Fatal(err)
	}
	return marks
}
