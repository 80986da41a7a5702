package redisevents_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hanse-go/hanse/discovery/discoverytest"
	"github.com/hanse-go/hanse/events"
	"github.com/hanse-go/hanse/events/eventstest"
	"github.com/redis/go-redis/v9"
)

// TestFence holds that the server itself refuses a member whose partition is another's, whatever that member knows.
func TestFence(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	b := s.declared("t")
	src := subscribe(t, b, "t", "g", "a", eventstest.Ordered)
	eventstest.Publish(t, b, "t", eventstest.Event("1", "k"))
	d := eventstest.Take(t, src, 1)[0]
	stream := partitionOf("t", "k")
	_, n, _ := strings.Cut(stream, "}:")
	var lane int
	fmt.Sscan(n, &lane)
	c := s.client()
	parts := "{test:t}:group:g:parts"
	if err := c.HIncrBy(t.Context(), parts, fmt.Sprint("token", lane+1), 1).Err(); err != nil {
		t.Fatal(err)
	}
	if err := c.HSet(t.Context(), parts, fmt.Sprint("owner", lane+1), "other").Err(); err != nil {
		t.Fatal(err)
	}
	eventstest.Ack(t, d) // it knows of nothing
	select {
	case <-d.Lost():
	case <-time.After(10 * time.Second):
		t.Error("the member does not learn that it lost the partition")
	}
	pending, err := c.XPending(t.Context(), stream, "g").Result()
	if err != nil {
		t.Fatal(err)
	}
	// "other" is nobody, so the member takes the partition back, and has it again.
	if pending.Count != 1 {
		t.Errorf("%d are pending, want 1", pending.Count)
	}
	again := eventstest.Take(t, src, 1)[0]
	if again.Message().ID != "1" || again.Attempt() != 2 {
		t.Errorf("got %s, attempt %d", again.Message().ID, again.Attempt())
	}
	eventstest.Ack(t, again)
}

// startCluster starts three masters that share the slots.
func startCluster(t *testing.T) (all []*server) {
	t.Helper()
	for range 3 {
		all = append(all, startServer(t, "--cluster-enabled", "yes", "--cluster-port", port(discoverytest.FreeAddress(t))))
	}
	for i, s := range all {
		c := s.client()
		if err := c.ClusterAddSlotsRange(t.Context(), i*16384/3, (i+1)*16384/3-1).Err(); err != nil {
			t.Fatal(err)
		}
		if err := c.Do(t.Context(), "cluster", "set-config-epoch", i+1).Err(); err != nil {
			t.Fatal(err)
		}
	}
	for _, s := range all[1:] {
		host, own, _ := net.SplitHostPort(s.address)
		bus := s.flags[len(s.flags)-1]
		if err := all[0].client().Do(t.Context(), "cluster", "meet", host, own, bus).Err(); err != nil {
			t.Fatal(err)
		}
	}
	for _, s := range all {
		discoverytest.Eventually(t, "the cluster is there", func() bool {
			info, err := s.client().ClusterInfo(t.Context()).Result()
			return err == nil && strings.Contains(info, "cluster_state:ok") && strings.Contains(info, "cluster_known_nodes:3")
		})
	}
	return all
}

func port(address string) string {
	_, port, _ := net.SplitHostPort(address)
	return port
}

// TestCluster holds that topics on all servers of a cluster work, and go on when a slot moves to another one under load.
func TestCluster(t *testing.T) {
	t.Parallel()
	all := startCluster(t)
	var addrs []string
	for _, s := range all {
		addrs = append(addrs, s.address)
	}
	client := redis.NewClusterClient(&redis.ClusterOptions{Addrs: addrs})
	t.Cleanup(func() { client.Close() })
	b := newBroker(t, client)
	for _, name := range []string{"a", "b", "c", "d"} {
		if err := b.Declare(eventstest.Within(t, 20*time.Second), eventstest.Topic(name)); err != nil {
			t.Fatal(err)
		}
		sources := []events.Source{subscribe(t, b, name, "mailer", "a"), subscribe(t, b, name, "stock", "a", eventstest.Ordered), subscribe(t, b, name, "", "a")}
		eventstest.Publish(t, b, name, eventstest.Event("1", "k"), eventstest.Event("2", ""))
		for _, src := range sources {
			eventstest.Ack(t, eventstest.Take(t, src, 2)...)
		}
	}
	info := eventstest.Topic("e", func(i *events.TopicInfo) { i.Limits.Replicas = 2 })
	if err := b.Declare(eventstest.Within(t, 20*time.Second), info); !errors.Is(err, events.ErrUnsupported) {
		t.Errorf("replicas on a cluster: %v, want ErrUnsupported", err)
	}

	l := newLoad()
	got := newSink(t)
	loading, stop := context.WithCancel(context.Background())
	handling, end := context.WithCancel(context.Background())
	defer end()
	if err := b.Declare(eventstest.Within(t, 20*time.Second), eventstest.Topic("moves")); err != nil {
		t.Fatal(err)
	}
	src := subscribe(t, b, "moves", "g", "a", eventstest.Ordered)
	var running sync.WaitGroup
	running.Go(func() { l.run(loading, b, "moves") })
	running.Go(func() { got.run(handling, src) })
	discoverytest.Eventually(t, "events are stored", func() bool { return l.count() > 200 })
	moveSlot(t, all, "{test:moves}")
	before := l.count()
	discoverytest.Eventually(t, "events are stored after the move", func() bool { return l.count() > before+200 })
	stop()
	discoverytest.Eventually(t, "all is handled", func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return got.count() == l.sent && len(l.acked) == l.sent
	})
	end()
	running.Wait()
}

// moveSlot moves a slot with its keys to another server.
func moveSlot(t *testing.T, all []*server, key string) {
	t.Helper()
	c := all[0].client()
	slot := c.ClusterKeySlot(t.Context(), key).Val()
	var from, to *server
	for i, s := range all {
		if int(slot) >= i*16384/3 && int(slot) < (i+1)*16384/3 {
			from, to = s, all[(i+1)%3]
		}
	}
	source, target := from.client(), to.client()
	sourceID, targetID := source.ClusterMyID(t.Context()).Val(), target.ClusterMyID(t.Context()).Val()
	do := func(c *redis.Client, command ...any) {
		t.Helper()
		if err := c.Do(t.Context(), command...).Err(); err != nil {
			t.Fatalf("%v: %v", command, err)
		}
	}
	do(target, "cluster", "setslot", slot, "importing", sourceID)
	do(source, "cluster", "setslot", slot, "migrating", targetID)
	for {
		keys := source.ClusterGetKeysInSlot(t.Context(), int(slot), 50).Val()
		if len(keys) == 0 {
			break
		}
		command := []any{"migrate", strings.Split(to.address, ":")[0], port(to.address), "", 0, 5000, "keys"}
		for _, k := range keys {
			command = append(command, k)
		}
		do(source, command...)
	}
	do(target, "cluster", "setslot", slot, "node", targetID)
	do(source, "cluster", "setslot", slot, "node", targetID)
}

// TestReplicas holds that an event that is to be on two servers waits for the second one, and is there after the first one is gone.
func TestReplicas(t *testing.T) {
	t.Parallel()
	first, second := startServer(t), startServer(t)
	host, own, _ := net.SplitHostPort(first.address)
	b := first.broker()
	info := eventstest.Topic("t", func(i *events.TopicInfo) { i.Limits.Replicas = 2 })
	if err := b.Declare(eventstest.Within(t, 20*time.Second), info); err != nil {
		t.Fatal(err)
	}
	stored := make(chan error, 1)
	b.Publish(t.Context(), "t", eventstest.Event("1", "k"), func(err error) { stored <- err })
	select {
	case err := <-stored:
		t.Fatalf("it is stored without a replica: %v", err)
	case <-time.After(1500 * time.Millisecond): // it was tried once more
	}
	if err := second.client().ReplicaOf(t.Context(), host, own).Err(); err != nil {
		t.Fatal(err)
	}
	if err := <-stored; err != nil {
		t.Fatal(err)
	}
	eventstest.Publish(t, b, "t", eventstest.Event("2", "k"))
	first.running.Kill()
	if err := second.client().ReplicaOf(t.Context(), "no", "one").Err(); err != nil {
		t.Fatal(err)
	}
	if got := eventstest.IDs(eventstest.Take(t, subscribe(t, second.broker(), "t", "g", "a", eventstest.Ordered), 2)); got[0] != "1" || got[1] != "2" {
		t.Errorf("the replica has %v", got)
	}
}
