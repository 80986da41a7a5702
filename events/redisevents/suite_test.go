package redisevents_test

import (
	"sync"
	"testing"

	"github.com/hanse-go/hanse/events"
	"github.com/hanse-go/hanse/events/eventstest"
)

func TestSuite(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	var mu sync.Mutex
	systems := make(map[events.Broker]string)
	broker := func(t *testing.T, system string) events.Broker {
		own := &server{t: t, address: s.address}
		b := own.broker(inSystem(system))
		mu.Lock()
		defer mu.Unlock()
		systems[b] = system
		return b
	}
	eventstest.Run(t, eventstest.Suite{
		New: func(t *testing.T) events.Broker { return broker(t, t.Name()) },
		Peer: func(t *testing.T, b events.Broker) events.Broker {
			mu.Lock()
			system := systems[b]
			mu.Unlock()
			return broker(t, system)
		},
		AckWait: ackWait(),
	})
}
