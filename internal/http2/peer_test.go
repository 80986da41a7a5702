package http2_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/hanse-go/hanse/internal/certtest"
	"github.com/hanse-go/hanse/internal/hpack"
	"github.com/hanse-go/hanse/internal/http2"
	"github.com/hanse-go/hanse/internal/memnet"
)

var (
	postHead = hpack.NewTemplate(
		hpack.Field{Name: ":method", Value: "POST"}, hpack.Field{Name: ":scheme", Value: "http"},
		hpack.Field{Name: ":path", Value: "/echo"}, hpack.Field{Name: ":authority", Value: "test"},
		hpack.Field{Name: "content-type", Value: "application/test"}, hpack.Field{Name: "te", Value: "trailers"})
	okHead    = hpack.NewTemplate(hpack.Field{Name: ":status", Value: "200"}, hpack.Field{Name: "content-type", Value: "application/test"})
	doneTrail = hpack.NewTemplate(hpack.Field{Name: "test-status", Value: "0"})
)

// handler makes a serverCall of each request and hands it to serve on a goroutine of its own.
type handler struct {
	http2.Workers
	cfg   http2.Config
	serve func(c *serverCall) // nil: echo
	sync.WaitGroup
	mu      sync.Mutex
	batches int
	refuse  bool
	eager   bool // what the calls get is consumed at once
}

func (h *handler) NewStream(c *http2.Conn, head *http2.Header, end bool) (*http2.Stream, http2.Receiver) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.refuse {
		return nil, nil
	}
	call := &serverCall{h: h, inbox: newInbox(), path: head.Path}
	call.Eager = h.eager
	return &call.Stream, call
}

func (h *handler) EndBatch(*http2.Conn) {
	h.mu.Lock()
	h.batches++
	h.mu.Unlock()
}

// inbox collects what a receiver gets.
type inbox struct {
	mu      sync.Mutex
	changed chan struct{} // capacity 1
	data    []byte
	heads   []map[string]string
	end     bool
	err     error
	calls   int // after the end
}

func newInbox() inbox { return inbox{changed: make(chan struct{}, 1)} }

func (b *inbox) add(change func()) {
	b.mu.Lock()
	if b.end || b.err != nil {
		b.calls++
	}
	change()
	b.mu.Unlock()
	b.poke()
}

func (b *inbox) poke() {
	select {
	case b.changed <- struct{}{}:
	default:
	}
}

func fields(h *http2.Header) map[string]string {
	m := make(map[string]string)
	for _, f := range h.Run.Fields {
		m[f.Name] = f.Value
	}
	for _, f := range h.Rest {
		m[f.Name] = f.Value
	}
	return m
}

func (b *inbox) OnHeaders(h *http2.Header, end bool) {
	b.add(func() { b.heads = append(b.heads, fields(h)); b.end = b.end || end })
}
func (b *inbox) OnData(p []byte, end bool) {
	b.add(func() { b.data = append(b.data, p...); b.end = b.end || end })
}
func (b *inbox) OnAbort(err error) { b.add(func() { b.err = err }) }

// wait waits until done reports true of the inbox, or it was aborted.
func (b *inbox) wait(done func() bool) error {
	for {
		b.mu.Lock()
		ok, err := done(), b.err
		b.mu.Unlock()
		if ok {
			return nil
		}
		if err != nil {
			return err
		}
		<-b.changed
	}
}

func (b *inbox) waitEnd() error { return b.wait(func() bool { return b.end }) }

// take takes what came.
func (b *inbox) take() (p []byte, end bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	p, b.data = b.data, nil
	return p, b.end
}

type serverCall struct {
	http2.Stream
	inbox
	h    *handler
	path string
	once sync.Once
}

func (c *serverCall) OnHeaders(h *http2.Header, end bool) {
	c.inbox.OnHeaders(h, end)
	c.once.Do(func() {
		c.h.Go(func() {
			defer c.Finish()
			if c.h.serve != nil {
				c.h.serve(c)
				return
			}
			c.echo()
		})
	})
}

// echo answers with what came, as it comes.
func (c *serverCall) echo() {
	f := &http2.Frames{Head: okHead}
	for {
		if err := c.wait(func() bool { return c.end || len(c.data) > 0 }); err != nil {
			return
		}
		p, end := c.take()
		c.Consumed(len(p))
		f.Data, f.End = p, end
		if end {
			f.Trail, f.Last = doneTrail, true
		}
		if c.Send(f) != nil || c.Wait(nil) != nil || end {
			return
		}
		*f = http2.Frames{}
	}
}

type clientCall struct {
	http2.Stream
	inbox
}

func newCall() *clientCall { return &clientCall{inbox: newInbox()} }

func (c *clientCall) OnData(p []byte, end bool) {
	c.inbox.OnData(p, end)
	c.Consumed(len(p))
}

// networks are the ways to connect two ends.
var networks = map[string]func(t testing.TB) (client, server net.Conn){
	"memory": func(t testing.TB) (client, server net.Conn) {
		var n memnet.Network
		lis, err := n.Host("server").Listen("0")
		if err != nil {
			t.Fatal(err)
		}
		return connect(t, lis, func() (net.Conn, error) { return n.Host("client").Dial(context.Background(), lis.Addr().String()) })
	},
	"pipe": func(testing.TB) (client, server net.Conn) { return net.Pipe() },
	"tcp": func(t testing.TB) (client, server net.Conn) {
		lis, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		return connect(t, lis, func() (net.Conn, error) { return net.Dial("tcp", lis.Addr().String()) })
	},
	"tls": func(t testing.TB) (client, server net.Conn) {
		lis, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		ca := certtest.NewAuthority(t)
		client, server = connect(t, lis, func() (net.Conn, error) { return net.Dial("tcp", lis.Addr().String()) })
		return tls.Client(client, &tls.Config{RootCAs: ca.Pool, ServerName: "test", NextProtos: []string{"h2"}}),
			tls.Server(server, &tls.Config{Certificates: []tls.Certificate{*ca.Leaf(t, "test")}, NextProtos: []string{"h2"}})
	},
	"unix": func(t testing.TB) (client, server net.Conn) {
		path := filepath.Join(t.TempDir(), "s")
		lis, err := net.Listen("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		return connect(t, lis, func() (net.Conn, error) { return net.Dial("unix", path) })
	},
}

func connect(t testing.TB, lis net.Listener, dial func() (net.Conn, error)) (client, server net.Conn) {
	t.Helper()
	defer lis.Close()
	client, err := dial()
	if err != nil {
		t.Fatal(err)
	}
	server, err = lis.Accept()
	if err != nil {
		t.Fatal(err)
	}
	return client, server
}

// end is what a test has of a pair of connections.
type ends struct {
	client *http2.Conn
	server *http2.Conn
	served chan error
}

// start connects a client and a server of h. They are closed, and waited for, at the end of the test.
func start(t testing.TB, network string, h *handler, cfg http2.Config, ev http2.ClientEvents) *ends {
	t.Helper()
	cn, sn := networks[network](t)
	e := &ends{served: make(chan error, 1)}
	e.server = http2.NewServerConn(sn, &h.cfg, h)
	go func() { e.served <- e.server.Serve() }()
	e.client = http2.NewClientConn(cn, &cfg, ev)
	t.Cleanup(func() {
		e.client.Close(nil)
		<-e.client.Done()
		<-e.server.Done()
		h.Wait()
		h.Close()
	})
	return e
}

// call makes a call with this body and checks the echo.
func (e *ends) call(body []byte) error {
	c := newCall()
	if err := e.client.Open(nil, &c.Stream, c, &http2.Frames{Head: postHead, Data: body, End: true}); err != nil {
		return err
	}
	if err := c.waitEnd(); err != nil {
		return err
	}
	if got, _ := c.take(); !bytes.Equal(got, body) {
		return fmt.Errorf("%d bytes came back of %d", len(got), len(body))
	}
	if n := len(c.heads); n != 2 || c.heads[0][":status"] != "200" || c.heads[1]["test-status"] != "0" {
		return fmt.Errorf("headers %v", c.heads)
	}
	return nil
}

func eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !cond(); {
		if time.Now().After(deadline) {
			t.Fatalf("not within 10 s: %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}
