//go:build unix

package rabbitevents_test

import (
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hanse-go/hanse/events"
	"github.com/hanse-go/hanse/events/eventstest"
	"github.com/hanse-go/hanse/events/rabbitevents"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	status := m.Run()
	endShared()
	if status == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			status = 1
		}
	}
	os.Exit(status)
}

var systems atomic.Int64

// newSystem returns a name that no other test has.
func newSystem() string { return fmt.Sprint("s", systems.Add(1)) }

func newBroker(t *testing.T, url, system string, change ...func(*rabbitevents.Options)) *rabbitevents.Broker {
	t.Helper()
	opts := rabbitevents.Options{System: system, Logger: slog.New(slog.NewTextHandler(t.Output(), nil))}
	for _, c := range change {
		c(&opts)
	}
	b := rabbitevents.New(url, opts)
	t.Cleanup(b.Close)
	return b
}

func TestSuite(t *testing.T) {
	n := rabbit(t)
	var system string
	eventstest.Run(t, eventstest.Suite{
		New: func(t *testing.T) events.Broker {
			system = newSystem()
			return newBroker(t, n.url(), system)
		},
		Peer: func(t *testing.T, _ events.Broker) events.Broker { return newBroker(t, n.url(), system) },

		AckWait:  time.Second,
		NoReplay: true, NoDedup: true, NoDelay: true, NoTime: true, NoSequence: true,
	})
}
