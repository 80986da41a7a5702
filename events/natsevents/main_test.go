package natsevents_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/hanse-go/hanse/embednats"
	"github.com/hanse-go/hanse/events"
	"github.com/hanse-go/hanse/events/natsevents"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if child := os.Getenv("NATSEVENTS_TEST_SERVER"); child != "" {
		serveChild(child)
	}
	// The server leaves one behind for each stream that takes from another.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/nats-io/nats-server/v2/server.(*stream).trySetupSourceConsumer.func3"))
}

// node is a server that a test can stop and start.
type node struct {
	t    *testing.T
	dir  string
	addr string // host and port
	url  string
	stop func()

	change []func(*embednats.Server)
}

func newNode(t *testing.T, change ...func(*embednats.Server)) *node {
	n := &node{t: t, dir: t.TempDir(), addr: "127.0.0.1:0", change: change}
	n.start()
	t.Cleanup(func() { n.stop() })
	return n
}

func (n *node) start() {
	n.t.Helper()
	s := &embednats.Server{Dir: n.dir, Addr: n.addr, Token: "secret", NoSync: true, Logger: slog.New(slog.DiscardHandler)}
	for _, change := range n.change {
		change(s)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	var err error
	if n.url, err = s.URL(within(n.t, 20*time.Second)); err != nil {
		cancel()
		n.t.Fatalf("start: %v, %v", err, <-done)
	}
	u, err := url.Parse(n.url)
	if err != nil {
		n.t.Fatal(err)
	}
	n.addr = u.Host
	n.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			n.t.Errorf("server: %v", err)
		}
	})
}

// connect returns a connection as hanse makes it. It is closed at the end of the test.
func (n *node) connect() *nats.Conn { return connect(n.t, n.url) }

func connect(t *testing.T, url string, opts ...nats.Option) *nats.Conn {
	t.Helper()
	conn, err := nats.Connect(url, append([]nats.Option{nats.Token("secret"), nats.MaxReconnects(-1), nats.ReconnectBufSize(-1), nats.ReconnectWait(20 * time.Millisecond),
		nats.ReconnectJitter(0, 0), nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {})}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	return conn
}

// broker returns one with a connection of its own. It is closed at the end of the test.
func (n *node) broker(opts ...func(*natsevents.Options)) *natsevents.Broker {
	return broker(n.t, n.connect(), opts...)
}

func broker(t *testing.T, conn *nats.Conn, opts ...func(*natsevents.Options)) *natsevents.Broker {
	o := natsevents.Options{System: "test", Logger: slog.New(slog.DiscardHandler)}
	for _, opt := range opts {
		opt(&o)
	}
	b := natsevents.New(conn, o)
	t.Cleanup(b.Close)
	return b
}

// declared returns a broker of its own connection, with the topic t.
func (n *node) declared(opts ...func(*natsevents.Options)) *natsevents.Broker {
	b := n.broker(opts...)
	declare(n.t, b, "t")
	return b
}

func lease(d time.Duration) func(*natsevents.Options) {
	return func(o *natsevents.Options) { o.Lease = d }
}

func (n *node) jetstream() jetstream.JetStream {
	js, err := jetstream.New(n.connect())
	if err != nil {
		n.t.Fatal(err)
	}
	return js
}

func within(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

// declare declares a topic with defaults.
func declare(t *testing.T, b events.Broker, name string, change ...func(*events.TopicInfo)) {
	t.Helper()
	if err := b.Declare(within(t, 20*time.Second), topicInfo(name, change...)); err != nil {
		t.Fatal(err)
	}
}

func topicInfo(name string, change ...func(*events.TopicInfo)) events.TopicInfo {
	info := events.TopicInfo{Name: name, Keyed: true, Limits: events.Limits{MaxBytes: 64 << 20}.WithDefaults()}
	for _, c := range change {
		c(&info)
	}
	return info
}

func event(id, key string) *events.Message {
	return &events.Message{
		ID: id, Source: "hanse:///test", Type: "test.v1.Thing", Time: time.Now().UTC(), ContentType: "application/protobuf", Key: key, Data: []byte(id),
	}
}

// publish returns when the event is stored, or known not to be.
func publish(ctx context.Context, b events.Broker, topic string, m *events.Message) error {
	done := make(chan error, 1)
	b.Publish(ctx, topic, m, func(err error) { done <- err })
	return <-done
}

func mustPublish(t *testing.T, b events.Broker, topic string, ms ...*events.Message) {
	t.Helper()
	for _, m := range ms {
		if err := publish(within(t, 20*time.Second), b, topic, m); err != nil {
			t.Fatalf("publish %s: %v", m.ID, err)
		}
	}
}

func subscription(topic, group, member string, change ...func(*events.SubscriptionInfo)) events.SubscriptionInfo {
	info := events.SubscriptionInfo{Topic: topic, Group: group, Member: member, AckWait: 20 * time.Second, MaxInFlight: 100}
	for _, c := range change {
		c(&info)
	}
	return info
}

func ordered(s *events.SubscriptionInfo)   { s.Ordered = true }
func fromFirst(s *events.SubscriptionInfo) { s.Start.All = true }

// subscribe joins a group. The source is closed at the end of the test.
func subscribe(t *testing.T, b events.Broker, info events.SubscriptionInfo) events.Source {
	t.Helper()
	s, err := b.Subscribe(within(t, 20*time.Second), info)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { leave(t, s) })
	return s
}

func leave(t *testing.T, s events.Source) {
	t.Helper()
	if err := s.Close(within(t, 10*time.Second)); err != nil {
		t.Errorf("close: %v", err)
	}
}

// take returns n deliveries. It does not settle them.
func take(t *testing.T, s events.Source, n int) []events.Delivery {
	t.Helper()
	ctx := within(t, 30*time.Second)
	var all []events.Delivery
	for len(all) < n {
		some, err := s.Next(ctx, n-len(all))
		if err != nil {
			t.Fatalf("after %d of %d: %v", len(all), n, err)
		}
		all = append(all, some...)
	}
	return all
}

// handle acknowledges n deliveries, and returns their IDs.
func handle(t *testing.T, s events.Source, n int) []string {
	t.Helper()
	var ids []string
	for len(ids) < n {
		ctx := within(t, 30*time.Second)
		all, err := s.Next(ctx, n-len(ids))
		if err != nil {
			t.Fatalf("after %d of %d: %v", len(ids), n, err)
		}
		for _, d := range all {
			ids = append(ids, d.Message().ID)
			if err := d.Ack(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	return ids
}

// nothing checks that nothing comes for a while.
func nothing(t *testing.T, s events.Source, d time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	some, err := s.Next(ctx, 1)
	if err == nil {
		t.Fatalf("got %s, want nothing", some[0].Message().ID)
	}
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
}

// eventually waits for a condition of another process, or of the server.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	ctx := within(t, 30*time.Second)
	for !ok() {
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			t.Fatalf("not so after 30 s: %s", what)
		}
	}
}

func ids(n int, format string) (all []string) {
	for i := range n {
		all = append(all, fmt.Sprintf(format, i))
	}
	return all
}

// proxy is the way to a server that a test can cut or freeze.
type proxy struct {
	t        *testing.T
	to       string
	listener net.Listener
	running  sync.WaitGroup

	mu     sync.Mutex
	conns  map[net.Conn]bool
	gate   chan struct{} // closed while bytes may pass
	closed bool
}

func newProxy(t *testing.T, to string) *proxy {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{t: t, to: to, listener: l, conns: make(map[net.Conn]bool), gate: make(chan struct{})}
	close(p.gate)
	p.running.Go(p.accept)
	t.Cleanup(func() {
		p.mu.Lock()
		p.closed = true
		p.mu.Unlock()
		_ = l.Close()
		p.thaw()
		p.cut()
		p.running.Wait()
	})
	return p
}

func (p *proxy) url() string { return "nats://secret@" + p.listener.Addr().String() }

func (p *proxy) accept() {
	for {
		in, err := p.listener.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial("tcp", p.to)
		if err != nil {
			_ = in.Close()
			continue
		}
		p.mu.Lock()
		p.conns[in], p.conns[out] = true, true
		closed := p.closed
		p.mu.Unlock()
		if closed {
			_, _ = in.Close(), out.Close()
			return
		}
		p.running.Go(func() { p.carry(in, out) })
		p.running.Go(func() { p.carry(out, in) })
	}
}

func (p *proxy) carry(from, to net.Conn) {
	defer func() {
		_, _ = from.Close(), to.Close()
		p.mu.Lock()
		delete(p.conns, from)
		delete(p.conns, to)
		p.mu.Unlock()
	}()
	buf := make([]byte, 4096)
	for {
		n, err := from.Read(buf)
		p.mu.Lock()
		gate := p.gate
		p.mu.Unlock()
		<-gate
		if n > 0 {
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// cut ends all connections.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		_ = c.Close()
	}
}

// freeze has no byte pass, until thaw.
func (p *proxy) freeze() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.gate = make(chan struct{})
}

func (p *proxy) thaw() {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.gate:
	default:
		close(p.gate)
	}
}
