package natsevents_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/hanse-go/hanse/embednats"
	"github.com/hanse-go/hanse/events/eventstest"
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
	if n.url, err = s.URL(eventstest.Within(n.t, 20*time.Second)); err != nil {
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
	eventstest.Declare(n.t, b, "t")
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
