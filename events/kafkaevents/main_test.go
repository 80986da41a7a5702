package kafkaevents_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/hanse-go/hanse/events"
	"github.com/hanse-go/hanse/events/eventstest"
	"github.com/hanse-go/hanse/events/kafkaevents"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// cluster is a fake of Kafka.
type cluster struct {
	*kfake.Cluster
	t *testing.T
}

func newCluster(t *testing.T, opts ...kfake.Opt) *cluster {
	t.Helper()
	c, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(1), kfake.GroupMinSessionTimeout(100 * time.Millisecond)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return &cluster{c, t}
}

// broker returns one with clients of its own. It is closed at the end of the test.
func (c *cluster) broker(opts ...func(*kafkaevents.Options)) *kafkaevents.Broker {
	o := kafkaevents.Options{
		Brokers: c.ListenAddrs(), System: "test", Session: 2 * time.Second, HandOver: 5 * time.Second, CommitEvery: 50 * time.Millisecond,
		Logger: slog.New(slog.DiscardHandler),
	}
	for _, opt := range opts {
		opt(&o)
	}
	b := kafkaevents.New(o)
	c.t.Cleanup(b.Close)
	return b
}

// declared returns a broker with the topic t, of one partition.
func (c *cluster) declared(opts ...func(*kafkaevents.Options)) *kafkaevents.Broker {
	c.t.Helper()
	b := c.broker(append([]func(*kafkaevents.Options){func(o *kafkaevents.Options) { o.Partitions = 1 }}, opts...)...)
	eventstest.Declare(c.t, b, "t")
	return b
}

// client returns a client of another program.
func (c *cluster) client(opts ...kgo.Opt) *kgo.Client {
	c.t.Helper()
	cl, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(c.ListenAddrs()...), kgo.MetadataMinAge(20 * time.Millisecond)}, opts...)...)
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(cl.Close)
	return cl
}

// position returns what a group has committed of partition 0 of the topic t.
func (c *cluster) position(a *kadm.Client, group string) (int64, string) {
	c.t.Helper()
	all, err := a.FetchOffsets(eventstest.Within(c.t, 10*time.Second), "test.t:"+group)
	if err != nil {
		c.t.Fatal(err)
	}
	o, _ := all.Lookup("test.t", 0)
	return o.At, o.Metadata
}

func mustPublish(t *testing.T, b events.Broker, topic string, ids ...string) {
	t.Helper()
	for _, id := range ids {
		if err := eventstest.Send(eventstest.Within(t, 20*time.Second), b, topic, eventstest.Event(id, "k")); err != nil {
			t.Fatalf("publish %s: %v", id, err)
		}
	}
}

func numbers(from, to int) (ids []string) {
	for n := from; n < to; n++ {
		ids = append(ids, fmt.Sprint(n))
	}
	return ids
}

func subscription(group, member string, change ...func(*events.SubscriptionInfo)) events.SubscriptionInfo {
	info := events.SubscriptionInfo{
		Topic: "t", Group: group, Member: member, AckWait: 20 * time.Second, MaxInFlight: 100, Start: events.Start{All: true},
	}
	for _, c := range change {
		c(&info)
	}
	return info
}

// link is the way of a broker to the cluster, which a test can freeze or cut.
type link struct {
	mu    sync.Mutex
	conns map[net.Conn]bool
	gate  chan struct{} // closed while bytes may pass
	cut   bool
}

func newLink() *link {
	l := &link{conns: make(map[net.Conn]bool), gate: make(chan struct{})}
	close(l.gate)
	return l
}

// option has a broker use the link. It is thawed when the test ends, before the broker is closed.
func (l *link) option(o *kafkaevents.Options) { o.Opts = append(o.Opts, kgo.Dialer(l.dial)) }

func (l *link) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	l.mu.Lock()
	cut := l.cut
	l.mu.Unlock()
	if cut {
		return nil, &net.OpError{Op: "dial", Net: network, Err: errors.New("the link is cut")}
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conns[conn] = true
	return &linked{conn, l}, nil
}

// freeze has no byte leave, until thaw.
func (l *link) freeze() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.gate = make(chan struct{})
}

func (l *link) thaw() {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-l.gate:
	default:
		close(l.gate)
	}
}

// sever ends all connections, for ever.
func (l *link) sever() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cut = true
	for c := range l.conns {
		_ = c.Close()
	}
}

type linked struct {
	net.Conn
	l *link
}

func (c *linked) Write(b []byte) (int, error) {
	c.l.mu.Lock()
	gate := c.l.gate
	c.l.mu.Unlock()
	<-gate
	return c.Conn.Write(b)
}

// lines is a log that a test reads.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func (l *lines) option(o *kafkaevents.Options) { o.Logger = slog.New(slog.NewTextHandler(l, nil)) }
