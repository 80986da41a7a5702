package kafkaevents_test

import (
	"sync"
	"testing"

	"github.com/hanse-go/hanse/events"
	"github.com/hanse-go/hanse/events/eventstest"
)

func TestSuite(t *testing.T) {
	var mu sync.Mutex
	clusters := make(map[events.Broker]*cluster)
	eventstest.Run(t, eventstest.Suite{
		New: func(t *testing.T) events.Broker {
			c := newCluster(t)
			b := c.broker()
			mu.Lock()
			defer mu.Unlock()
			clusters[b] = c
			return b
		},
		Peer: func(t *testing.T, b events.Broker) events.Broker {
			mu.Lock()
			c := clusters[b]
			mu.Unlock()
			return (&cluster{c.Cluster, t}).broker()
		},
		NoDedup: true, NoDelay: true, NoLimits: true, NoDropOldest: true, NoSequence: true,
	})
}
