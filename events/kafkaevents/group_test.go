package kafkaevents_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hanse-go/hanse/discovery/discoverytest"
	"github.com/hanse-go/hanse/events"
	"github.com/hanse-go/hanse/events/eventstest"
	"github.com/hanse-go/hanse/events/kafkaevents"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func short(o *kafkaevents.Options) { o.Session = 500 * time.Millisecond }

// TestCrash cuts a member off for good: the next one gets what was not settled, and nothing else, though it was settled out of order.
func TestCrash(t *testing.T) {
	for name, change := range map[string]func(*events.SubscriptionInfo){"Ordered": eventstest.Ordered, "Unordered": func(*events.SubscriptionInfo) {}} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t)
			way := newLink()
			first, second := c.declared(short, way.option), c.declared(short)
			a := kadm.NewClient(c.client())
			m := eventstest.Subscribe(t, first, subscription("g", "1", change))
			mustPublish(t, second, "t", numbers(0, 10)...)
			all := eventstest.Take(t, m, 8)
			eventstest.Ack(t, all[0], all[2], all[4], all[5], all[7])
			discoverytest.Eventually(t, "its position is committed", func() bool {
				at, rest := c.position(a, "g")
				return at == 1 && rest != ""
			})
			way.sever()
			next := eventstest.Subscribe(t, second, subscription("g", "2", change))
			got := eventstest.Take(t, next, 5)
			if want := []string{"1", "3", "6", "8", "9"}; !slices.Equal(eventstest.IDs(got), want) {
				t.Errorf("got %v, want %v", eventstest.IDs(got), want)
			}
			for i, attempt := range []int{2, 2, 2, 1, 1} {
				if got[i].Attempt() != attempt {
					t.Errorf("%s: attempt %d, want %d", got[i].Message().ID, got[i].Attempt(), attempt)
				}
			}
			eventstest.Ack(t, got...)
			eventstest.Nothing(t, next, 200*time.Millisecond)
			discoverytest.Eventually(t, "all is committed", func() bool {
				at, rest := c.position(a, "g")
				return at == 10 && rest == ""
			})
			<-all[1].Lost() // the dead one noticed
			if err := all[1].Ack(t.Context()); !errors.Is(err, events.ErrLost) {
				t.Errorf("Ack of what others got: %v, want ErrLost", err)
			}
		})
	}
}

// TestZombie freezes a member until another one has its partition. When it wakes up it has lost what it holds, and what it settles does not count.
func TestZombie(t *testing.T) {
	c := newCluster(t)
	way := newLink()
	first, second := c.declared(short, way.option), c.declared(short)
	t.Cleanup(way.thaw)
	a := kadm.NewClient(c.client())
	m := eventstest.Subscribe(t, first, subscription("g", "1", eventstest.Ordered))
	mustPublish(t, second, "t", numbers(0, 6)...)
	held := eventstest.Take(t, m, 6)
	way.freeze()
	eventstest.Ack(t, held[0], held[1])
	other := eventstest.Subscribe(t, second, subscription("g", "2", eventstest.Ordered))
	got := eventstest.Take(t, other, 6)
	if !slices.Equal(eventstest.IDs(got), numbers(0, 6)) {
		t.Errorf("got %v", eventstest.IDs(got))
	}
	eventstest.Ack(t, got...)
	discoverytest.Eventually(t, "all is committed", func() bool { at, _ := c.position(a, "g"); return at == 6 })
	eventstest.Ack(t, held[2])
	way.thaw()
	<-held[5].Lost()
	if at, _ := c.position(a, "g"); at != 6 {
		t.Errorf("the position is %d: the zombie has set it", at)
	}
	mustPublish(t, second, "t", "6")
	eventstest.Ack(t, eventstest.Take(t, other, 1)...)
	eventstest.Leave(t, other)
	mustPublish(t, second, "t", "7")
	again := eventstest.Take(t, m, 1) // it is a member again
	if again[0].Message().ID != "7" {
		t.Errorf("got %v, want 7", eventstest.IDs(again))
	}
	eventstest.Ack(t, again...)
}

// TestLaterHoldsUpNothing has an event wait for hours: all others of its partition are handled, and the next member gets it alone.
func TestLaterHoldsUpNothing(t *testing.T) {
	c := newCluster(t)
	b := c.declared()
	m := eventstest.Subscribe(t, b, subscription("g", "1"))
	const n = 3000
	mustPublish(t, b, "t", "first")
	first := eventstest.Take(t, m, 1)[0]
	if err := first.Retry(t.Context(), time.Hour); err != nil {
		t.Fatal(err)
	}
	stored := make(chan error, n)
	for _, id := range numbers(0, n) {
		b.Publish(eventstest.Within(t, 20*time.Second), "t", eventstest.Event(id, "k"), func(err error) { stored <- err })
	}
	for range n {
		if err := <-stored; err != nil {
			t.Fatal(err)
		}
		eventstest.Ack(t, eventstest.Take(t, m, 1)...)
	}
	eventstest.Leave(t, m)
	next := eventstest.Subscribe(t, b, subscription("g", "2"))
	d := eventstest.Take(t, next, 1)[0]
	if d.Message().ID != "first" || d.Attempt() != 2 {
		t.Errorf("got %s, attempt %d; want the first, attempt 2", d.Message().ID, d.Attempt())
	}
	eventstest.Ack(t, d)
	eventstest.Nothing(t, next, 200*time.Millisecond)
}

// TestHandOver has a member join while another one holds events of all partitions: those that move do so when what is held of them is settled.
func TestHandOver(t *testing.T) {
	c := newCluster(t)
	two := func(o *kafkaevents.Options) { o.Partitions, o.HandOver = 2, 20*time.Second }
	first, second := c.broker(two), c.broker(two)
	eventstest.Declare(t, first, "t")
	m := eventstest.Subscribe(t, first, subscription("g", "1", eventstest.Ordered))
	for _, key := range []string{"a", "b", "c", "d"} {
		if err := eventstest.Send(eventstest.Within(t, 10*time.Second), first, "t", eventstest.Event(key, key)); err != nil {
			t.Fatal(err)
		}
	}
	held := eventstest.Take(t, m, 4)
	joined := make(chan events.Source, 1)
	go func() { joined <- eventstest.Subscribe(t, second, subscription("g", "2", eventstest.Ordered)) }()
	eventstest.Nothing(t, m, 2500*time.Millisecond) // time in which a partition would move
	for _, d := range held {
		select {
		case <-d.Lost():
			t.Errorf("%s is lost, though it is being handled", d.Message().ID)
		default:
		}
	}
	eventstest.Ack(t, held...)
	other := <-joined
	for _, key := range []string{"a", "b", "c", "d"} {
		if err := eventstest.Send(eventstest.Within(t, 10*time.Second), first, "t", eventstest.Event("2"+key, key)); err != nil {
			t.Fatal(err)
		}
	}
	got := append(eventstest.Take(t, m, 1), eventstest.Take(t, other, 1)...) // both have a part
	if ids := eventstest.IDs(got); len(ids[0]) != 2 || len(ids[1]) != 2 {
		t.Errorf("got %v, and what was settled is among it", ids)
	}
	eventstest.Ack(t, got...)
}

// TestHandOverIsBounded has an event never settled: after Options.HandOver it is another member's.
func TestHandOverIsBounded(t *testing.T) {
	c := newCluster(t)
	var log lines
	quick := func(o *kafkaevents.Options) { o.HandOver = 300 * time.Millisecond; o.Partitions = 2 }
	first, second := c.broker(quick, log.option), c.broker(quick)
	eventstest.Declare(t, first, "t")
	m := eventstest.Subscribe(t, first, subscription("g", "1", eventstest.Ordered))
	for _, key := range []string{"a", "b", "c", "d"} {
		if err := eventstest.Send(eventstest.Within(t, 10*time.Second), first, "t", eventstest.Event(key, key)); err != nil {
			t.Fatal(err)
		}
	}
	held := eventstest.Take(t, m, 4)
	other := eventstest.Subscribe(t, second, subscription("g", "2", eventstest.Ordered))
	got := eventstest.Take(t, other, 1)[0]
	for _, d := range held {
		if d.Message().ID == got.Message().ID {
			<-d.Lost()
			if err := d.Ack(t.Context()); !errors.Is(err, events.ErrLost) {
				t.Errorf("Ack: %v, want ErrLost", err)
			}
		}
	}
	if got.Attempt() != 2 {
		t.Errorf("attempt %d, want 2", got.Attempt())
	}
	if !strings.Contains(log.String(), "partitions go to another member") {
		t.Errorf("it did not give them away, but was taken for dead:\n%s", log.String())
	}
}

// TestTwoCrashes has a member crash before it got to all that the one before it left.
func TestTwoCrashes(t *testing.T) {
	c := newCluster(t)
	a := kadm.NewClient(c.client())
	left := []string{"0", "1", "2", "3", "4", "5", "6", "7"}
	settled := [][]int{{0, 2, 4, 5, 7}, {0}, {1}} // of those that each member gets
	limits := []int{8, 1, 2}
	b := c.declared(short)
	mustPublish(t, b, "t", left...)
	for n, each := range settled {
		way := newLink()
		m := eventstest.Subscribe(t, c.broker(short, way.option), subscription("g", fmt.Sprint(n), func(s *events.SubscriptionInfo) { s.MaxInFlight = limits[n] }))
		got := eventstest.Take(t, m, limits[n])
		if !slices.Equal(eventstest.IDs(got), left[:limits[n]]) {
			t.Errorf("member %d got %v, want the first of %v", n, eventstest.IDs(got), left)
		}
		before, rest := c.position(a, "g")
		for i := len(each) - 1; i >= 0; i-- {
			eventstest.Ack(t, got[each[i]])
			left = slices.Delete(left, each[i], each[i]+1)
		}
		discoverytest.Eventually(t, "its position is committed", func() bool {
			now, other := c.position(a, "g")
			return now != before || other != rest
		})
		discoverytest.Eventually(t, "and what was handed out", func() bool {
			at, _ := c.position(a, "g")
			return fmt.Sprint(at) == left[0]
		})
		way.sever()
	}
	got := eventstest.Take(t, eventstest.Subscribe(t, b, subscription("g", "last")), len(left))
	if !slices.Equal(eventstest.IDs(got), left) {
		t.Errorf("got %v, want %v", eventstest.IDs(got), left)
	}
}

// TestSilentHandler has what is handed out and not heard of come again, to the one member that there is.
func TestSilentHandler(t *testing.T) {
	c := newCluster(t)
	b := c.declared()
	for _, group := range []string{"g", ""} {
		m := eventstest.Subscribe(t, b, subscription(group, "1", func(s *events.SubscriptionInfo) { s.AckWait = 300 * time.Millisecond }))
		mustPublish(t, b, "t", "1", "2")
		held := eventstest.Take(t, m, 2)
		again := eventstest.Take(t, m, 2)
		slices.SortFunc(again, func(x, y events.Delivery) int { return strings.Compare(x.Message().ID, y.Message().ID) })
		if !slices.Equal(eventstest.IDs(again), []string{"1", "2"}) || again[0].Attempt() != 2 {
			t.Errorf("got %v, attempt %d", eventstest.IDs(again), again[0].Attempt())
		}
		if err := held[1].Retry(t.Context(), 0); err != nil { // which is not its any more
			t.Error(err)
		}
		eventstest.Ack(t, held[0], again[1]) // also by the one that was late
		eventstest.Nothing(t, m, 600*time.Millisecond)
		eventstest.Leave(t, m)
	}
}

// TestManyLater has so many events wait to be handled again that no new ones are taken, until there are fewer.
func TestManyLater(t *testing.T) {
	c := newCluster(t)
	b := c.declared()
	m := eventstest.Subscribe(t, b, subscription("g", "1"))
	const most, n = 4096, 4300
	stored := make(chan error, n)
	for _, id := range numbers(0, n) {
		b.Publish(eventstest.Within(t, 20*time.Second), "t", eventstest.Event(id, "k"), func(err error) { stored <- err })
	}
	for range n {
		if err := <-stored; err != nil {
			t.Fatal(err)
		}
	}
	last := fmt.Sprint(most - 1)
	for range most {
		d := eventstest.Take(t, m, 1)[0]
		after := time.Hour
		if d.Message().ID == last {
			after = time.Second
		}
		if err := d.Retry(t.Context(), after); err != nil {
			t.Fatal(err)
		}
	}
	eventstest.Nothing(t, m, 200*time.Millisecond)
	for _, want := range []string{last, fmt.Sprint(most)} {
		d := eventstest.Take(t, m, 1)[0]
		if d.Message().ID != want {
			t.Errorf("got %s, want %s", d.Message().ID, want)
		}
		eventstest.Ack(t, d)
	}
}

// TestAborted holds that what another program published in a transaction is delivered when that is committed.
func TestAborted(t *testing.T) {
	c := newCluster(t)
	b := c.declared()
	m := eventstest.Subscribe(t, b, subscription("g", "1"))
	other := c.client(kgo.TransactionalID("x"))
	for _, end := range []kgo.TransactionEndTry{kgo.TryAbort, kgo.TryCommit} {
		if err := other.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		if err := other.ProduceSync(t.Context(), &kgo.Record{Topic: "test.t", Value: fmt.Append(nil, bool(end))}).FirstErr(); err != nil {
			t.Fatal(err)
		}
		eventstest.Nothing(t, m, 100*time.Millisecond)
		if err := other.EndTransaction(t.Context(), end); err != nil {
			t.Fatal(err)
		}
	}
	d := eventstest.Take(t, m, 1)[0]
	if string(d.Message().Data) != "true" {
		t.Errorf("got %q of the transaction that was aborted", d.Message().Data)
	}
	eventstest.Ack(t, d)
}

// TestNoMetadata has the cluster refuse metadata of positions: the offsets are committed still.
func TestNoMetadata(t *testing.T) {
	c := newCluster(t)
	b := c.declared()
	refused := 0
	c.ControlKey(int16(kmsg.OffsetCommit), func(r kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		commit := r.(*kmsg.OffsetCommitRequest)
		answer := commit.ResponseKind().(*kmsg.OffsetCommitResponse)
		for _, topic := range commit.Topics {
			of := kmsg.NewOffsetCommitResponseTopic()
			of.Topic, of.TopicID = topic.Topic, topic.TopicID
			for _, p := range topic.Partitions {
				if p.Metadata == nil || *p.Metadata == "" {
					return nil, nil, false
				}
				one := kmsg.NewOffsetCommitResponseTopicPartition()
				one.Partition, one.ErrorCode = p.Partition, kerr.OffsetMetadataTooLarge.Code
				of.Partitions = append(of.Partitions, one)
			}
			answer.Topics = append(answer.Topics, of)
		}
		refused++
		return answer, nil, true
	})
	a := kadm.NewClient(c.client())
	m := eventstest.Subscribe(t, b, subscription("g", "1"))
	mustPublish(t, b, "t", numbers(0, 5)...)
	all := eventstest.Take(t, m, 5)
	eventstest.Ack(t, all[0], all[1], all[3])
	discoverytest.Eventually(t, "the offset is committed", func() bool { at, _ := c.position(a, "g"); return at == 2 })
	if refused == 0 {
		t.Error("no metadata was sent")
	}
}

// TestGroupOfAnother has another program have committed to a group: its offset counts.
func TestGroupOfAnother(t *testing.T) {
	c := newCluster(t)
	named := func(o *kafkaevents.Options) {
		o.GroupName = func(_, group string) string { return "legacy-" + group }
		o.Topics = map[string]kafkaevents.Topic{"t": {Name: "Legacy_Topic"}}
	}
	b := c.declared(named)
	mustPublish(t, b, "t", numbers(0, 5)...)
	a := kadm.NewClient(c.client())
	var at kadm.Offsets
	at.Add(kadm.Offset{Topic: "Legacy_Topic", Partition: 0, At: 3, LeaderEpoch: -1, Metadata: "hanse1:what is that?"})
	if answers, err := a.CommitOffsets(t.Context(), "legacy-g", at); err != nil || answers.Error() != nil {
		t.Fatal(err, answers.Error())
	}
	got := eventstest.Take(t, eventstest.Subscribe(t, b, subscription("g", "1")), 2)
	if !slices.Equal(eventstest.IDs(got), []string{"3", "4"}) {
		t.Errorf("got %v, want 3 and 4", eventstest.IDs(got))
	}
}

// TestDenied holds that a group that may not be read is an error of the start, with a remedy.
func TestDenied(t *testing.T) {
	c := newCluster(t)
	b := c.declared()
	c.ControlKey(int16(kmsg.OffsetFetch), func(r kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		answer := r.ResponseKind().(*kmsg.OffsetFetchResponse)
		answer.ErrorCode = kerr.GroupAuthorizationFailed.Code
		for _, g := range r.(*kmsg.OffsetFetchRequest).Groups {
			of := kmsg.NewOffsetFetchResponseGroup()
			of.Group, of.ErrorCode = g.Group, kerr.GroupAuthorizationFailed.Code
			answer.Groups = append(answer.Groups, of)
		}
		return answer, nil, true
	})
	_, err := b.Subscribe(eventstest.Within(t, 10*time.Second), subscription("g", "1"))
	if !errors.Is(err, kerr.GroupAuthorizationFailed) {
		t.Errorf("Subscribe: %v", err)
	}
}
