package embednats_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hanse-go/hanse/discovery/discoverytest"
	"github.com/hanse-go/hanse/embednats"
	"github.com/nats-io/nats.go/jetstream"
)

// What is kept in three places outlives the loss of one, with all that it had.
func TestCluster(t *testing.T) {
	dir := t.TempDir()
	var peers []string
	for range 3 {
		peers = append(peers, discoverytest.FreeAddress(t))
	}
	node := func(i int) *embednats.Server {
		return &embednats.Server{
			Dir: filepath.Join(dir, fmt.Sprint(i)), Addr: "127.0.0.1:0", Token: "sesame", Drain: time.Second,
			Cluster: &embednats.Cluster{Addr: peers[i], Peers: peers},
		}
	}
	var stops []func()
	var nodes []*embednats.Server
	for i := range peers {
		nodes = append(nodes, node(i))
		stops = append(stops, start(t, nodes[i]))
	}
	healthy := func() {
		t.Helper()
		discoverytest.Eventually(t, "all are healthy", func() bool {
			for _, n := range nodes {
				if n.Health(t.Context()) != nil {
					return false
				}
			}
			return true
		})
	}
	healthy()
	js := connect(t, nodes[0])
	config := jetstream.StreamConfig{Name: "EVENTS", Subjects: []string{"events"}, Replicas: 3}
	discoverytest.Eventually(t, "the stream is made", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		_, err := js.CreateOrUpdateStream(ctx, config)
		return err == nil
	})
	publish := func(n int) {
		t.Helper()
		for range n {
			discoverytest.Eventually(t, "an event is stored", func() bool {
				ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
				defer cancel()
				_, err := js.Publish(ctx, "events", []byte("event"))
				return err == nil
			})
		}
	}
	publish(50)
	stops[2]()
	if err := os.RemoveAll(filepath.Join(dir, "2")); err != nil {
		t.Fatal(err)
	}
	publish(50)
	nodes[2] = node(2)
	stops[2] = start(t, nodes[2])
	healthy()
	publish(50)
	// The one that lost all has it again: it is the only one left beside a third that was there all the time.
	stops[1]()
	discoverytest.Eventually(t, "all events are there", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		st, err := js.Stream(ctx, "EVENTS")
		if err != nil {
			return false
		}
		info, err := st.Info(ctx)
		return err == nil && info.State.Msgs >= 150
	})
	js.Conn().Close()
}
