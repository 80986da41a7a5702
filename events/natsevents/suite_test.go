package natsevents_test

import (
	"sync"
	"testing"
	"time"

	"github.com/hanse-go/hanse/events"
	"github.com/hanse-go/hanse/events/eventstest"
	"github.com/hanse-go/hanse/events/natsevents"
)

func TestSuite(t *testing.T) {
	var mu sync.Mutex
	nodes := make(map[events.Broker]*node)
	eventstest.Run(t, eventstest.Suite{
		New: func(t *testing.T) events.Broker {
			n := newNode(t)
			b := n.broker(lease(2 * time.Second))
			mu.Lock()
			defer mu.Unlock()
			nodes[b] = n
			return b
		},
		Peer: func(t *testing.T, b events.Broker) events.Broker {
			mu.Lock()
			n := nodes[b]
			mu.Unlock()
			peer := natsevents.New(connect(t, n.url), natsevents.Options{System: "test", Lease: 2 * time.Second})
			t.Cleanup(peer.Close)
			return peer
		},
	})
}
