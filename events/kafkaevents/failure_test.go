package kafkaevents_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hanse-go/hanse/discovery/discoverytest"
	"github.com/hanse-go/hanse/events"
	"github.com/hanse-go/hanse/events/eventstest"
	"github.com/hanse-go/hanse/events/kafkaevents"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl/scram"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// TestRestart has the cluster away for a while: publishers wait, or fail by their deadline, members go on, and each says so once.
func TestRestart(t *testing.T) {
	dir := t.TempDir()
	c := newCluster(t, kfake.DataDir(dir))
	_, port, err := net.SplitHostPort(c.ListenAddrs()[0])
	if err != nil {
		t.Fatal(err)
	}
	n, _ := strconv.Atoi(port)
	var log lines
	b := c.declared(log.option)
	m := eventstest.Subscribe(t, b, subscription("g", "1", eventstest.Ordered))
	mustPublish(t, b, "t", "1", "2")
	held := eventstest.Take(t, m, 2)
	eventstest.Ack(t, held[0])
	a := kadm.NewClient(c.client())
	discoverytest.Eventually(t, "its position is committed", func() bool { at, _ := c.position(a, "g"); return at == 1 })
	c.Cluster.Close()

	ended, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	late := make(chan error, 1)
	b.Publish(ended, "t", eventstest.Event("late", "k2"), func(err error) { late <- err })
	patient := make(chan error, 2)
	for _, id := range []string{"3", "4"} {
		b.Publish(eventstest.Within(t, 60*time.Second), "t", eventstest.Event(id, "k"), func(err error) { patient <- err })
	}
	if err := <-late; !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("published with a deadline: %v", err)
	}
	eventstest.Nothing(t, m, 200*time.Millisecond)
	discoverytest.Eventually(t, "it is logged", func() bool { return strings.Contains(log.String(), "a broker cannot be reached") })

	again, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.GroupMinSessionTimeout(100*time.Millisecond), kfake.DataDir(dir), kfake.Ports(n))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(again.Close)
	for range 2 {
		if err := <-patient; err != nil {
			t.Errorf("published while the cluster was away: %v", err)
		}
	}
	var got []string
	for len(got) < 2 {
		for _, d := range eventstest.Take(t, m, 1) {
			eventstest.Ack(t, d)
			if id := d.Message().ID; id != "late" && id != "2" { // which may be there, and come again
				got = append(got, id)
			}
		}
	}
	if !slices.Equal(got, []string{"3", "4"}) {
		t.Errorf("got %v, want 3 and 4", got)
	}
	discoverytest.Eventually(t, "it is logged that the broker is back", func() bool { return strings.Contains(log.String(), "a broker is back") })
	for _, line := range []string{"a broker cannot be reached", "a broker is back", "events cannot be fetched"} {
		if n := strings.Count(log.String(), line); n > 1 {
			t.Errorf("%q is logged %d times:\n%s", line, n, log.String())
		}
	}
}

// TestFaults has the cluster break one of three requests, by closing connections and by errors that pass, while members come and go: no event is
// lost, and those of a key come in order.
func TestFaults(t *testing.T) {
	c := newCluster(t, kfake.NumBrokers(3))
	var broken atomic.Int64
	draw := rand.New(rand.NewPCG(1, 2)) // control functions run one at a time
	quiet := false
	var mu sync.Mutex
	c.Control(func(r kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		mu.Lock()
		defer mu.Unlock()
		if quiet || draw.IntN(3) > 0 {
			return nil, nil, false
		}
		broken.Add(1)
		switch r := r.(type) {
		case *kmsg.HeartbeatRequest:
			answer := r.ResponseKind().(*kmsg.HeartbeatResponse)
			answer.ErrorCode = kerr.RebalanceInProgress.Code
			return answer, nil, true
		case *kmsg.OffsetCommitRequest, *kmsg.ProduceRequest, *kmsg.FetchRequest:
			return nil, errors.New("broken"), true
		}
		broken.Add(-1)
		return nil, nil, false
	})
	const keys, each = 20, 100
	topic := events.NewTopic[*wrapperspb.StringValue]("t", events.Key(func(m *wrapperspb.StringValue) string {
		key, _, _ := strings.Cut(m.GetValue(), ":")
		return key
	}))
	done := make(chan struct{})
	last := make(map[string]int)
	total, again := 0, 0
	var handling sync.Mutex
	member := func() (stop func(), bus *events.Bus) {
		bus = &events.Bus{Broker: c.broker(), Logger: slog.New(slog.NewTextHandler(io.Discard, nil))}
		topic.Subscribe(bus, "g", func(_ context.Context, e *events.Event[*wrapperspb.StringValue]) error {
			handling.Lock()
			defer handling.Unlock()
			key, number, _ := strings.Cut(e.Data.GetValue(), ":")
			switch n, _ := strconv.Atoi(number); {
			case n <= last[key]:
				again++
			case n > last[key]+1:
				t.Errorf("%s comes after %d", e.Data.GetValue(), last[key])
			default:
				last[key] = n
				if total++; total == keys*each {
					close(done)
				}
			}
			return nil
		})
		if err := bus.Declare(eventstest.Within(t, 60*time.Second)); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		ran := make(chan error, 1)
		go func() { ran <- bus.Run(ctx) }()
		stop = sync.OnceFunc(func() {
			cancel()
			if err := <-ran; err != nil {
				t.Logf("Run: %v", err) // it could not leave
			}
		})
		t.Cleanup(stop)
		return stop, bus
	}
	stop, _ := member()
	_, bus := member()
	publish := func(from, to int) {
		var receipts []*events.Receipt
		for n := from; n < to; n++ {
			for k := range keys {
				receipts = append(receipts, topic.PublishAsync(t.Context(), bus, wrapperspb.String(fmt.Sprintf("k%d:%d", k, n+1))))
			}
		}
		for _, r := range receipts {
			if err := r.Wait(eventstest.Within(t, 60*time.Second)); err != nil {
				t.Fatal(err)
			}
		}
	}
	publish(0, each/2)
	stop()
	member()
	publish(each/2, each)
	select {
	case <-done:
	case <-time.After(60 * time.Second):
		handling.Lock()
		t.Fatalf("%d of %d came: %v", total, keys*each, last)
	}
	mu.Lock()
	quiet = true
	mu.Unlock()
	t.Logf("%d requests were broken; %d of %d events came again", broken.Load(), again, keys*each)
	if broken.Load() < 20 {
		t.Errorf("only %d requests were broken", broken.Load())
	}
}

// TestGoneBroker has a broker of the cluster leave: others lead its partitions.
func TestGoneBroker(t *testing.T) {
	c := newCluster(t, kfake.NumBrokers(3))
	b := c.broker()
	eventstest.Declare(t, b, "t", func(i *events.TopicInfo) { i.Limits.Replicas = 3 })
	m := eventstest.Subscribe(t, b, subscription("g", "1"))
	mustPublish(t, b, "t", numbers(0, 5)...)
	eventstest.Ack(t, eventstest.Take(t, m, 5)...)
	if err := c.RemoveNode(c.LeaderFor("test.t", 0)); err != nil {
		t.Fatal(err)
	}
	mustPublish(t, b, "t", numbers(5, 10)...)
	seen := make(map[string]bool)
	for len(seen) < 5 {
		d := eventstest.Take(t, m, 1)[0]
		if n, _ := strconv.Atoi(d.Message().ID); n >= 5 {
			seen[d.Message().ID] = true
		}
		eventstest.Ack(t, d)
	}
}

// TestAway holds that nothing hangs when no cluster is there at all.
func TestAway(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	var log lines
	o := kafkaevents.Options{Brokers: []string{addr}}
	log.option(&o)
	b := kafkaevents.New(o)
	defer b.Close()
	for what, f := range map[string]func(ctx context.Context) error{
		"Declare":   func(ctx context.Context) error { return b.Declare(ctx, eventstest.Topic("t")) },
		"Publish":   func(ctx context.Context) error { return eventstest.Send(ctx, b, "t", eventstest.Event("1", "")) },
		"Subscribe": func(ctx context.Context) error { _, err := b.Subscribe(ctx, subscription("g", "1")); return err },
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		err := f(ctx)
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "the brokers do not answer") {
			t.Errorf("%s: %v", what, err)
		}
	}
	if n := strings.Count(log.String(), "cannot be reached"); n != 1 {
		t.Errorf("it is logged %d times:\n%s", n, log.String())
	}
}

// TestCloseAway closes a member and a broker whose cluster is gone.
func TestCloseAway(t *testing.T) {
	c := newCluster(t)
	way := newLink()
	b := c.declared(way.option)
	m := eventstest.Subscribe(t, b, subscription("g", "1"))
	mustPublish(t, b, "t", "1", "2")
	eventstest.Ack(t, eventstest.Take(t, m, 1)...)
	way.sever()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	began := time.Now()
	if err := m.Close(ctx); err != nil {
		t.Errorf("Close: %v", err)
	}
	b.Close()
	if took := time.Since(began); took > 15*time.Second {
		t.Errorf("closing took %v", took)
	}
	if err := eventstest.Send(t.Context(), b, "t", eventstest.Event("3", "")); !errors.Is(err, events.ErrClosed) {
		t.Errorf("publish after Close: %v, want ErrClosed", err)
	}
	if _, err := m.Next(t.Context(), 1); !errors.Is(err, events.ErrClosed) {
		t.Errorf("Next after Close: %v, want ErrClosed", err)
	}
	if err := b.Declare(t.Context(), eventstest.Topic("u")); !errors.Is(err, events.ErrClosed) {
		t.Errorf("Declare after Close: %v, want ErrClosed", err)
	}
}

// TestSecrets holds that who logs in with a wrong password is let in as little as told what is right.
func TestSecrets(t *testing.T) {
	c := newCluster(t, kfake.EnableSASL(), kfake.Superuser("SCRAM-SHA-256", "shop", "right-password"))
	login := func(password string, log *lines) *kafkaevents.Broker {
		return c.broker(log.option, func(o *kafkaevents.Options) {
			o.Opts = append(o.Opts, kgo.SASL(scram.Auth{User: "shop", Pass: password}.AsSha256Mechanism()))
		})
	}
	var log lines
	b := login("right-password", &log)
	eventstest.Declare(t, b, "t")
	mustPublish(t, b, "t", "1")
	eventstest.Ack(t, eventstest.Take(t, eventstest.Subscribe(t, b, subscription("g", "1")), 1)...)
	err := login("wrong-password", &log).Declare(eventstest.Within(t, time.Second), eventstest.Topic("t"))
	if err == nil {
		t.Error("a wrong password is right")
	}
	if all := log.String() + fmt.Sprint(err); strings.Contains(all, "-password") {
		t.Errorf("a password is shown:\n%s", all)
	}
}

// TestTopicGone has a topic deleted behind the back of who uses it: the publisher is told, and then it is there again.
func TestTopicGone(t *testing.T) {
	c := newCluster(t)
	b := c.declared()
	mustPublish(t, b, "t", "1")
	if answer, err := kadm.NewClient(c.client()).DeleteTopic(t.Context(), "test.t"); err != nil || answer.Err != nil {
		t.Fatal(err, answer.Err)
	}
	err := eventstest.Send(eventstest.Within(t, 30*time.Second), b, "t", eventstest.Event("2", "k"))
	if err == nil || !strings.Contains(err.Error(), "is gone from the cluster") {
		t.Errorf("publish: %v", err)
	}
	mustPublish(t, b, "t", "3")
	got := eventstest.Take(t, eventstest.Subscribe(t, b, subscription("g", "1")), 1)
	if got[0].Message().ID != "3" {
		t.Errorf("got %v", eventstest.IDs(got))
	}
}
