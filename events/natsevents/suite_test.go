package natsevents_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hanse-go/hanse/discovery/discoverytest"
	"github.com/hanse-go/hanse/embednats"
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

// The same on three servers, which keep each topic in three places. All cases share them, each with a system of its own.
func TestSuiteOnCluster(t *testing.T) {
	if os.Getenv("HANSE_CLUSTER") == "" {
		t.Skip("it takes minutes: HANSE_CLUSTER=1 runs it")
	}
	var peers, urls []string
	for range 3 {
		peers = append(peers, discoverytest.FreeAddress(t))
	}
	dir := t.TempDir()
	var nodes []*node
	for i := range peers {
		n := &node{t: t, dir: filepath.Join(dir, fmt.Sprint(i)), addr: discoverytest.FreeAddress(t), change: []func(*embednats.Server){func(s *embednats.Server) {
			s.Cluster, s.Drain = &embednats.Cluster{Addr: peers[i], Peers: peers}, -1
		}}}
		n.start()
		t.Cleanup(n.stop)
		nodes, urls = append(nodes, n), append(urls, n.url)
	}
	var mu sync.Mutex
	systems := make(map[events.Broker]string)
	open := func(t *testing.T, system string) events.Broker {
		b := natsevents.New(connect(t, strings.Join(urls, ",")), natsevents.Options{System: system, Lease: 2 * time.Second})
		t.Cleanup(b.Close)
		mu.Lock()
		defer mu.Unlock()
		systems[b] = system
		return b
	}
	eventstest.Run(t, eventstest.Suite{
		Timeout: 2 * time.Minute, Events: 500,
		New: func(t *testing.T) events.Broker { return open(t, token(t.Name())) },
		Peer: func(t *testing.T, b events.Broker) events.Broker {
			mu.Lock()
			system := systems[b]
			mu.Unlock()
			return open(t, system)
		},
	})
	js := nodes[0].jetstream()
	for info := range js.ListStreams(eventstest.Within(t, time.Minute)).Info() {
		if info.Config.Replicas != 3 {
			t.Errorf("the stream %s is kept on %d servers", info.Config.Name, info.Config.Replicas)
		}
	}
}

// token makes the name of a test that of a system.
func token(name string) string { return strings.ToLower(name[strings.LastIndexByte(name, '/')+1:]) }
