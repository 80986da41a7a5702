package rpc_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/rpc"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// TestSoak drives mixed load while connections break and instances come and go, and then finds nothing left: no stream, no handler, no
// queued byte, no goroutine. HANSE_SOAK says how long, such as 3m (make soak); else it is a second.
func TestSoak(t *testing.T) {
	length := time.Second
	if s := os.Getenv("HANSE_SOAK"); s != "" {
		var err error
		if length, err = time.ParseDuration(s); err != nil {
			t.Fatal("HANSE_SOAK:", err)
		}
	}
	before := inUse()
	t.Run("networks", func(t *testing.T) {
		for _, network := range []string{"tcp", "unix", "tls"} {
			t.Run(network, func(t *testing.T) {
				t.Parallel()
				newSoak(t, network).run(length)
			})
		}
	})
	until(t, "ended its goroutines", func() bool { return runtime.NumGoroutine() <= before.goroutines })
	after := inUse()
	t.Logf("goroutines %d, then %d; heap %d KiB, then %d KiB", before.goroutines, after.goroutines, before.heap>>10, after.heap>>10)
	if after.heap > before.heap+16<<20 {
		t.Errorf("the heap has grown from %d KiB to %d KiB", before.heap>>10, after.heap>>10)
	}
}

type use struct {
	goroutines int
	heap       uint64
}

// inUse tells what the process uses when all garbage is gone, that of pools, too.
func inUse() use {
	for range 3 {
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return use{runtime.NumGoroutine(), m.HeapAlloc}
}

// soak is a service with a few instances, and clients of it.
type soak struct {
	*testing.T
	network  string
	server   *tls.Config // nil: plaintext
	client   *tls.Config
	registry discovery.Memory
	conn     *rpc.Conn
	ended    chan struct{} // closed when the load is to end

	mu        sync.Mutex
	instances []*soakInstance
	begun     int // instances ever

	counts sync.Map // of string, "KIND OUTCOME", to *atomic.Int64
}

type soakInstance struct {
	id    string
	srv   *rpc.Server
	port  *rpc.Port
	lis   *fragileListener
	lease discovery.Lease
	done  chan error
}

func newSoak(t *testing.T, network string) *soak {
	s := &soak{T: t, network: network, ended: make(chan struct{})}
	if network == "tls" {
		ts := httptest.NewUnstartedServer(nil) // has a certificate
		ts.StartTLS()
		defer ts.Close()
		roots := x509.NewCertPool()
		roots.AddCert(ts.Certificate())
		s.server, s.client = &tls.Config{Certificates: ts.TLS.Certificates}, &tls.Config{RootCAs: roots, ServerName: "example.com"}
	}
	return s
}

func (s *soak) run(length time.Duration) {
	quiet := slog.New(slog.DiscardHandler)
	client := &rpc.Client{Registry: &s.registry, TLS: s.client, Logger: quiet, Timeout: 20 * time.Second}
	if s.network == "unix" {
		client.Host = "here"
	}
	s.conn = bound(s.T, client)
	for range 3 {
		s.begin()
	}
	var load sync.WaitGroup
	s.load(&load)
	s.disturb(length)
	// In peace, each kind of call comes to its end.
	for _, want := range s.wanted() {
		before := s.counted(want)
		for end := time.Now().Add(time.Minute); s.counted(want) == before; time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				s.Errorf("none ended as %q for a minute", want)
				break
			}
		}
	}
	close(s.ended)
	load.Wait()

	until(s.T, "reached every instance", func() bool {
		_, err := callEcho(s.Context(), s.conn, addMethod, "x")
		return err == nil
	})
	for i := range 100 {
		if reply, err := callEcho(s.Context(), s.conn, addMethod, fmt.Sprint(i)); err != nil || !strings.HasSuffix(reply, fmt.Sprint(":", i)) {
			s.Errorf("a call in peace: %q %v", reply, err)
		}
	}
	until(s.T, "gave everything back", func() bool {
		held := client.Held()
		for _, in := range s.instances {
			h := in.port.Held()
			held.Streams += h.Streams
			held.Queued += h.Queued
			held.Handlers += h.Handlers
		}
		return held == rpc.Held{}
	})
	for len(s.instances) > 0 {
		in := s.remove(0)
		if err := in.port.Drain(s.Context()); err != nil {
			s.Error(err)
		}
		if n := in.port.Conns(); n != 0 {
			s.Errorf("%d connections after a drain", n)
		}
		s.end(in)
	}
	client.Close()
	s.report()
}

// report logs what became of the calls.
func (s *soak) report() {
	lines := make(map[string]int64)
	s.counts.Range(func(k, v any) bool {
		lines[k.(string)] = v.(*atomic.Int64).Load()
		return true
	})
	for _, k := range slices.Sorted(maps.Keys(lines)) {
		s.Logf("%-6s %-26s %8d", s.network, k, lines[k])
	}
}

// wanted is how calls of each kind end when nobody disturbs.
func (s *soak) wanted() []string {
	all := []string{"unary OK", "large OK", "list OK", "chat OK", "sum OK", "cancelled Canceled", "late DeadlineExceeded"}
	if s.network != "unix" {
		all = append(all, "http2 OK", "http1 OK", "hostile done")
	}
	return all
}

func (s *soak) counted(what string) int64 {
	if n, ok := s.counts.Load(what); ok {
		return n.(*atomic.Int64).Load()
	}
	return 0
}

func (s *soak) count(what string) {
	n, ok := s.counts.Load(what)
	if !ok {
		n, _ = s.counts.LoadOrStore(what, new(atomic.Int64))
	}
	n.(*atomic.Int64).Add(1)
}

// begin starts an instance and announces it.
func (s *soak) begin() {
	s.mu.Lock()
	s.begun++
	id := fmt.Sprint("i", s.begun)
	s.mu.Unlock()
	e := &echoService{name: id, hook: func(ctx context.Context, _ string) error {
		if md, _ := metadata.FromIncomingContext(ctx); len(md.Get("x-slow")) > 0 {
			<-ctx.Done()
			return status.FromContextError(ctx.Err()).Err()
		}
		return nil
	}}
	in := &soakInstance{id: id, srv: &rpc.Server{Name: "echo", Instance: id}, done: make(chan error, 1)}
	e.register(in.srv)
	in.srv.Start()
	in.port = &rpc.Port{Servers: []*rpc.Server{in.srv}, TLS: s.server, Logger: slog.New(slog.DiscardHandler), HTTP: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body) // HTTP/1 does not answer before
		if err == nil {
			w.Write(body)
		}
	})}
	var lis net.Listener
	var err error
	inst := discovery.Instance{Service: "echo", ID: id, State: discovery.Ready}
	if s.network == "unix" {
		path := filepath.Join(s.TempDir(), "s")
		lis, err = net.Listen("unix", path)
		inst.Endpoints, inst.Host = []string{"unix://" + path}, "here"
	} else {
		lis, err = net.Listen("tcp", "127.0.0.1:0")
		if err == nil {
			inst.Endpoints = []string{"tcp://" + lis.Addr().String()}
		}
	}
	if err != nil {
		s.Fatal(err)
	}
	in.lis = &fragileListener{Listener: lis, conns: make(map[net.Conn]bool)}
	go func() { in.done <- in.port.Serve(in.lis) }()
	if in.lease, err = s.registry.Register(s.Context(), inst); err != nil {
		s.Fatal(err)
	}
	s.mu.Lock()
	s.instances = append(s.instances, in)
	s.mu.Unlock()
}

// remove takes an instance out of the list.
func (s *soak) remove(i int) *soakInstance {
	s.mu.Lock()
	defer s.mu.Unlock()
	in := s.instances[i]
	s.instances = slices.Delete(s.instances, i, i+1)
	return in
}

// end ends an instance that is removed.
func (s *soak) end(in *soakInstance) {
	in.lease.Close()
	in.port.Close()
	in.srv.Stop()
	if err := <-in.done; err != nil {
		s.Error(err)
	}
	if h := in.port.Held(); h.Queued != 0 || h.Streams != 0 {
		s.Errorf("instance %s holds %+v after its end", in.id, h)
	}
}

// disturb breaks connections and replaces instances until the time is over.
func (s *soak) disturb(length time.Duration) {
	end := time.After(length)
	for {
		select {
		case <-end:
			return
		case <-time.After(time.Duration(10+rand.IntN(150)) * time.Millisecond):
		}
		s.mu.Lock()
		i := rand.IntN(len(s.instances))
		in := s.instances[i]
		s.mu.Unlock()
		switch rand.IntN(4) {
		case 0, 1:
			in.lis.breakOne()
			s.count("broken connections")
		case 2:
			s.begin()
			s.remove(i)
			// Handlers that wait for their context last until somebody ends it.
			ctx, cancel := context.WithTimeout(s.Context(), 300*time.Millisecond)
			in.port.Drain(ctx)
			cancel()
			s.end(in)
			s.count("drained instances")
		case 3:
			s.begin()
			s.remove(i)
			s.end(in)
			s.count("killed instances")
		}
	}
}

// load starts the callers.
func (s *soak) load(load *sync.WaitGroup) {
	start := func(n int, kind string, one func() error, allowed ...codes.Code) {
		for range n {
			load.Go(func() {
				for {
					select {
					case <-s.ended:
						return
					default:
					}
					err := one()
					code := status.Code(err)
					s.count(kind + " " + code.String())
					if err != nil && code != codes.Unavailable && !slices.Contains(allowed, code) {
						s.Errorf("%s: %v", kind, err)
					}
				}
			})
		}
	}
	start(8, "unary", func() error { return s.unary(100) })
	start(1, "large", func() error { return s.unary(rand.IntN(2 << 20)) })
	start(2, "list", func() error {
		all, err := listEcho(context.Background(), s.conn, "x")
		if err == nil && len(all) != 3 {
			s.Errorf("%d answers, want 3", len(all))
		}
		return err
	})
	start(2, "chat", s.chat, codes.Canceled)
	start(1, "sum", s.sum)
	slow := func(ctx context.Context) error {
		_, err := callEcho(metadata.AppendToOutgoingContext(ctx, "x-slow", "1"), s.conn, addMethod, "x")
		if err == nil {
			s.Error("a handler that waits for its end has answered")
		}
		return err
	}
	start(2, "cancelled", func() error {
		ctx, cancel := context.WithCancel(context.Background())
		time.AfterFunc(time.Duration(rand.IntN(3000))*time.Microsecond, cancel)
		return slow(ctx)
	}, codes.Canceled)
	start(2, "late", func() error {
		ctx, cancel := context.WithTimeout(context.Background(), time.Duration(rand.IntN(3000))*time.Microsecond)
		defer cancel()
		return slow(ctx)
	}, codes.DeadlineExceeded)
	if s.network == "unix" {
		return
	}
	for kind, protocol := range map[string]func(*http.Protocols){
		"http1": func(p *http.Protocols) { p.SetHTTP1(true) },
		"http2": func(p *http.Protocols) { p.SetHTTP2(true); p.SetUnencryptedHTTP2(true) },
	} {
		protocols := new(http.Protocols)
		protocol(protocols)
		transport := &http.Transport{Protocols: protocols, TLSClientConfig: s.client.Clone()}
		s.Cleanup(transport.CloseIdleConnections)
		start(2, kind, func() error { return s.request(&http.Client{Transport: transport}) })
	}
	load.Go(s.hostile)
}

func (s *soak) unary(size int) error {
	text := strings.Repeat("x", size)
	reply, err := callEcho(context.Background(), s.conn, addMethod, text)
	if err == nil && !strings.HasSuffix(reply, ":"+text) {
		s.Errorf("%d bytes came back of %d", len(reply), size)
	}
	return err
}

// chat has a conversation, which it breaks off now and then.
func (s *soak) chat() error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	stream, err := chatEcho(ctx, s.conn)
	if err != nil {
		return err
	}
	for i := range 1 + rand.IntN(20) {
		text := fmt.Sprint(i, strings.Repeat("y", rand.IntN(10_000)))
		if err := stream.SendMsg(wrapperspb.String(text)); err != nil && err != io.EOF {
			return err
		}
		out := new(wrapperspb.StringValue)
		if err := stream.RecvMsg(out); err != nil {
			return err
		}
		if !strings.HasSuffix(out.Value, ":"+text) {
			s.Errorf("message %d came back as %.20q", i, out.Value)
		}
	}
	if rand.IntN(4) == 0 {
		cancel()
	}
	stream.CloseSend()
	if err := stream.RecvMsg(new(wrapperspb.StringValue)); err != io.EOF {
		return err
	}
	return nil
}

// sum sends many messages and takes one.
func (s *soak) sum() error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	stream, err := s.conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true}, sumMethod)
	if err != nil {
		return err
	}
	n := rand.IntN(100)
	for range n {
		if err := stream.SendMsg(wrapperspb.String(strings.Repeat("z", 1000))); err == io.EOF {
			break
		} else if err != nil {
			return err
		}
	}
	if err := stream.CloseSend(); err != nil {
		return err
	}
	out := new(wrapperspb.StringValue)
	if err := stream.RecvMsg(out); err != nil {
		return err
	}
	if _, sum, _ := strings.Cut(out.Value, ":"); len(sum) != n*1000 {
		s.Errorf("the sum has %d bytes of %d", len(sum), n*1000)
	}
	return nil
}

// addr is the address of some instance.
func (s *soak) addr() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.instances[rand.IntN(len(s.instances))].lis.Addr().String()
}

// request sends a plain request. One whose connection breaks is Unavailable.
func (s *soak) request(client *http.Client) error {
	scheme := "http://"
	if s.client != nil {
		scheme = "https://"
	}
	body := bytes.Repeat([]byte("w"), rand.IntN(20_000))
	res, err := client.Post(scheme+s.addr()+"/", "text/plain", bytes.NewReader(body))
	if err != nil {
		return status.Error(codes.Unavailable, err.Error())
	}
	defer res.Body.Close()
	got, err := io.ReadAll(res.Body)
	if err != nil {
		return status.Error(codes.Unavailable, err.Error())
	}
	if res.StatusCode != 200 || !bytes.Equal(got, body) {
		s.Errorf("status %d, %d bytes of %d", res.StatusCode, len(got), len(body))
	}
	return nil
}

// hostile sends what nobody should.
func (s *soak) hostile() {
	const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
	bad := []string{"", "\x16\x03\x01", "GET / HT", preface[:10], preface, preface + "\x00\x00\x00\x04\x00\x00\x00\x00\x00",
		preface + "\x00\x00\x00\x04\x00\x00\x00\x00\x00" + "\x00\x00\x05\x01\x04\x00\x00\x00\x01\x83\x86\x84",     // a part of a header
		preface + "\x00\x00\x00\x04\x00\x00\x00\x00\x00" + "\x00\x00\x04\x01\x04\x00\x00\x00\x01\x83\x86\x84\x41", // a wrong one
		preface + "\x00\x00\x00\x04\x00\x00\x00\x00\x00" + strings.Repeat("\x00\x00\x08\x06\x00\x00\x00\x00\x0012345678", 1000)}
	for {
		select {
		case <-s.ended:
			return
		case <-time.After(5 * time.Millisecond):
		}
		conn, err := net.Dial("tcp", s.addr())
		if err != nil {
			s.count("hostile refused")
			continue
		}
		io.WriteString(conn, bad[rand.IntN(len(bad))])
		conn.SetReadDeadline(time.Now().Add(time.Duration(rand.IntN(10)) * time.Millisecond))
		io.Copy(io.Discard, conn)
		conn.Close()
		s.count("hostile done")
	}
}

// fragileListener accepts connections that break when breakOne says so.
type fragileListener struct {
	net.Listener
	mu    sync.Mutex
	conns map[net.Conn]bool
}

func (l *fragileListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conns[conn] = true
	return &fragileConn{Conn: conn, l: l}, nil
}

// breakOne breaks one of the connections.
func (l *fragileListener) breakOne() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for conn := range l.conns {
		conn.Close()
		return
	}
}

type fragileConn struct {
	net.Conn
	l *fragileListener
}

func (c *fragileConn) Close() error {
	c.l.mu.Lock()
	delete(c.l.conns, c.Conn)
	c.l.mu.Unlock()
	return c.Conn.Close()
}
