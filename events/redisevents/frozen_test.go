//go:build unix

package redisevents_test

import (
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/hanse-go/hanse/discovery/discoverytest"
	"github.com/hanse-go/hanse/events"
	"github.com/hanse-go/hanse/events/eventstest"
)

// TestMemberFrozen holds that a member that was frozen for longer than its lease gets nothing any more of what others have taken, and settles none of it.
func TestMemberFrozen(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	b := s.declared("t")
	c := startMember(t, s, true)
	c.await("joined", 1)
	eventstest.Publish(t, b, "t", eventstest.Event("1", "k"), eventstest.Event("2", "k"))
	got := c.await("got", 1)
	if got[0] != "1" {
		t.Fatalf("the child got %v", got)
	}
	if err := c.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	src := subscribe(t, b, "t", "g", "b", eventstest.Ordered, func(s *events.SubscriptionInfo) { s.AckWait = 30 * time.Second })
	held := eventstest.Take(t, src, 2)
	if order := eventstest.IDs(held); !slices.Equal(order, []string{"1", "2"}) {
		t.Errorf("got %v", order)
	}
	if _, err := c.in.Write([]byte("go on\n")); err != nil {
		t.Fatal(err)
	}
	if err := c.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	c.await("refused", 1)
	if settled := c.said("settled"); settled != nil {
		t.Errorf("the frozen member settled %v", settled)
	}
	if lost := c.said("lost"); len(lost) == 0 || lost[0] != "1" {
		t.Errorf("the frozen member was told that it lost %v", lost)
	}
	// They are this one's, still pending, and come again to the next owner when this one does not settle them.
	pending, err := s.client().XPending(t.Context(), partitionOf("t", "k"), "g").Result()
	if err != nil || pending.Count != 2 {
		t.Errorf("pending: %+v, %v", pending, err)
	}
	eventstest.Ack(t, held...)
}

// TestServerSilent holds that a member is sure of what it holds only while the server answers it, and is so again when nobody else came meanwhile.
func TestServerSilent(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	b := s.declared("t")
	eventstest.Publish(t, b, "t", eventstest.Event("1", "k"))
	ordered := subscribe(t, b, "t", "g", "a", eventstest.Ordered, func(s *events.SubscriptionInfo) { s.Start.All = true })
	shared := subscribe(t, b, "t", "shared", "a", func(s *events.SubscriptionInfo) { s.Start.All = true })
	d, other := eventstest.Take(t, ordered, 1)[0], eventstest.Take(t, shared, 1)[0]
	valid := func(d events.Delivery) bool { return d.(events.Leased).Valid() }
	if !valid(d) {
		t.Error("a delivery is in doubt that just came")
	}
	if err := s.client().Do(t.Context(), "client", "pause", 5000).Err(); err != nil {
		t.Fatal(err)
	}
	discoverytest.Eventually(t, "what is held is in doubt", func() bool { return !valid(d) })
	select {
	case <-d.Lost():
		t.Error("it is lost, and nobody else is there")
	default:
	}
	if !valid(other) {
		t.Error("a delivery of a group without order is in doubt")
	}
	discoverytest.Eventually(t, "what is held is not in doubt any more", func() bool { return valid(d) })
	eventstest.Ack(t, d, other)
}
