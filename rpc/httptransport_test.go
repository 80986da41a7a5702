package rpc_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hanse-go/hanse/balancer"
	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/identity"
	"github.com/hanse-go/hanse/rpc"
)

// site is an instance of the service "site" that answers plain HTTP.
type site struct {
	port  *rpc.Port
	lease discovery.Lease
	inst  discovery.Instance
}

// sites is a system of them.
type sites struct {
	t        *testing.T
	registry discovery.Memory
	identity *identity.Authority
}

func (s *sites) open(id string, h http.HandlerFunc) *site {
	s.t.Helper()
	srv := &rpc.Server{Name: "site", Instance: id}
	srv.Start()
	s.t.Cleanup(srv.Stop)
	port := &rpc.Port{Servers: []*rpc.Server{srv}, HTTP: h}
	if s.identity != nil {
		port.Identity = s.identity
	}
	addr := servePort(s.t, port)
	x := &site{port: port, inst: discovery.Instance{Service: "site", ID: id, State: discovery.Ready, Endpoints: []string{"tcp://" + addr},
		Contracts: []discovery.Contract{{Name: "shop.Other"}}}}
	var err error
	if x.lease, err = s.registry.Register(s.t.Context(), x.inst); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { x.lease.Close() })
	return x
}

func (s *sites) client() *http.Client {
	s.t.Helper()
	c := &rpc.Client{Service: "caller", Registry: &s.registry, Balancing: balancer.Policies{"": {Picker: func() balancer.Picker { return new(balancer.RoundRobin) }}}}
	if s.identity != nil {
		c.Identity = s.identity
	}
	s.t.Cleanup(func() { c.Close() })
	return &http.Client{Transport: rpc.NewHTTPTransport(func(name string, opts ...rpc.ConnOption) *rpc.Conn {
		conn := rpc.NewConn(name, opts...)
		if err := conn.Bind(c); err != nil {
			s.t.Error(err)
		}
		return conn
	})}
}

func read(resp *http.Response, err error) (string, error) {
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return fmt.Sprint(resp.StatusCode, " ", string(b)), err
}

// Requests reach all instances of a service by its name, whatever contracts they announce, over TLS where there is an identity.
func TestHTTPByName(t *testing.T) {
	for _, secure := range []bool{false, true} {
		s := &sites{t: t}
		if secure {
			var err error
			if s.identity, err = identity.NewAuthority("shop"); err != nil {
				t.Fatal(err)
			}
		}
		var both [2]atomic.Int64
		for i := range both {
			s.open(fmt.Sprint("i", i), func(w http.ResponseWriter, r *http.Request) {
				both[i].Add(1)
				id, _ := identity.Caller(r.Context())
				b, _ := io.ReadAll(r.Body)
				fmt.Fprintf(w, "%s %s %s by %s of %s", r.Proto, r.URL, b, id.Service, r.Host)
			})
		}
		client := s.client()
		ctx := soon(t)
		for both[0].Load() == 0 || both[1].Load() == 0 { // the second one may not be connected at once
			if ctx.Err() != nil {
				t.Fatalf("secure %v: %d and %d requests", secure, both[0].Load(), both[1].Load())
			}
			resp, err := client.Post("http://site/list?x=1", "text/plain", strings.NewReader("sent"))
			want := "200 HTTP/2.0 /list?x=1 sent by  of site"
			if secure {
				want = "200 HTTP/2.0 /list?x=1 sent by caller of site"
			}
			if got, err := read(resp, err); err != nil || got != want {
				t.Fatalf("%q, %v", got, err)
			}
		}
	}
}

// What is sent again, and what is not.
func TestHTTPAgain(t *testing.T) {
	refuse := func(w http.ResponseWriter, key string) {
		w.Header().Set(key, "1")
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	for name, tt := range map[string]struct {
		method string
		body   io.Reader
		header string
		fail   http.HandlerFunc
		again  bool
	}{
		"refused":                     {"POST", strings.NewReader("x"), "", func(w http.ResponseWriter, r *http.Request) { refuse(w, "Hanse-Not-Processed") }, true},
		"refused, as Connect says it": {"POST", strings.NewReader("x"), "", func(w http.ResponseWriter, r *http.Request) { refuse(w, "Trailer-Hanse-Not-Processed") }, true},
		"refused when the body has gone": {"POST", io.MultiReader(strings.NewReader("x")), "", func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			refuse(w, "Hanse-Not-Processed")
		}, false},
		"failed to read":         {"GET", nil, "", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(503) }, true},
		"failed to write":        {"POST", strings.NewReader("x"), "", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(503) }, false},
		"failed to write, keyed": {"POST", strings.NewReader("x"), "k", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(503) }, true},
		"an answer":              {"GET", nil, "", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(500) }, false},
		"cut off while reading":  {"GET", nil, "", func(w http.ResponseWriter, r *http.Request) { panic(http.ErrAbortHandler) }, true},
		"cut off while writing":  {"POST", nil, "", func(w http.ResponseWriter, r *http.Request) { panic(http.ErrAbortHandler) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := &sites{t: t}
			var calls atomic.Int64
			h := func(w http.ResponseWriter, r *http.Request) {
				if calls.Add(1) == 1 {
					tt.fail(w, r)
					return
				}
				b, _ := io.ReadAll(r.Body)
				fmt.Fprintf(w, "got %s", b)
			}
			s.open("i0", h)
			s.open("i1", h)
			req, err := http.NewRequestWithContext(t.Context(), tt.method, "http://site/", tt.body)
			if err != nil {
				t.Fatal(err)
			}
			if tt.header != "" {
				req.Header.Set("Idempotency-Key", tt.header)
			}
			got, err := read(s.client().Do(req))
			want := "200 got "
			if tt.body != nil {
				want += "x"
			}
			if again := err == nil && got == want; again != tt.again {
				t.Errorf("%q, %v; %d calls", got, err, calls.Load())
			}
			if n := calls.Load(); tt.again != (n == 2) {
				t.Errorf("%d calls", n)
			}
		})
	}
}

// upload is a body that cannot be read any more when it is closed.
type upload struct {
	io.Reader
	closed atomic.Int64
}

func (u *upload) Read(p []byte) (int, error) {
	if u.closed.Load() > 0 {
		return 0, errors.New("read after it was closed")
	}
	return u.Reader.Read(p)
}

func (u *upload) Close() error {
	u.closed.Add(1)
	return nil
}

// A body that is sent again is one of its own, and is open until the answer was read.
func TestHTTPBodyAgain(t *testing.T) {
	s := &sites{t: t}
	var calls atomic.Int64
	text := strings.Repeat("0123456789", 100_000)
	h := func(w http.ResponseWriter, r *http.Request) {
		if calls.Add(1) < 3 {
			io.CopyN(io.Discard, r.Body, 1000) // and what is still on its way is not wanted
			w.Header().Set("Hanse-Not-Processed", "1")
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		b, err := io.ReadAll(r.Body)
		fmt.Fprint(w, string(b) == text, " ", err)
	}
	for i := range 3 {
		s.open(fmt.Sprint("i", i), h)
	}
	var bodies []*upload
	again := func() (io.ReadCloser, error) {
		u := &upload{Reader: strings.NewReader(text)}
		bodies = append(bodies, u)
		return u, nil
	}
	first, _ := again()
	req, err := http.NewRequestWithContext(t.Context(), "POST", "http://site/", first)
	if err != nil {
		t.Fatal(err)
	}
	req.GetBody, req.ContentLength = again, int64(len(text))
	if got, err := read(s.client().Do(req)); err != nil || got != "200 true <nil>" {
		t.Errorf("%q, %v", got, err)
	}
	if len(bodies) != 3 {
		t.Errorf("%d bodies", len(bodies))
	}
	for i, u := range bodies {
		if n := u.closed.Load(); n != 1 {
			t.Errorf("body %d was closed %d times", i, n)
		}
	}
}

// An address that another instance has now is not taken for the one that was meant.
func TestHTTPMeant(t *testing.T) {
	s := &sites{t: t}
	x := s.open("i0", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "right") })
	stale := x.inst
	stale.ID = "gone"
	lease, err := s.registry.Register(t.Context(), stale)
	if err != nil {
		t.Fatal(err)
	}
	defer lease.Close()
	client := s.client()
	for range 6 {
		if got, err := read(client.Post("http://site/", "text/plain", strings.NewReader("x"))); err != nil || got != "200 right" {
			t.Fatalf("%q, %v", got, err)
		}
	}
}

// Instances are replaced under load, and no request fails, be it one that may not be repeated.
func TestHTTPRolling(t *testing.T) {
	s := &sites{t: t}
	h := func(w http.ResponseWriter, r *http.Request) { io.Copy(w, r.Body) }
	old := s.open("i0", h)
	client := s.client()
	ctx, stop := context.WithCancel(t.Context())
	var callers sync.WaitGroup
	var calls atomic.Int64
	for range 8 {
		callers.Go(func() {
			for ctx.Err() == nil {
				got, err := read(client.Post("http://site/", "text/plain", strings.NewReader("x")))
				if err != nil || got != "200 x" {
					t.Errorf("request %d: %q, %v", calls.Load(), got, err)
				}
				calls.Add(1)
			}
		})
	}
	for i := range 5 {
		for from := calls.Load(); calls.Load() < from+50; {
			select {
			case <-time.After(time.Millisecond):
			case <-t.Context().Done():
			}
		}
		next := s.open(fmt.Sprint("n", i), h)
		old.inst.State = discovery.Draining
		if err := old.lease.Update(t.Context(), old.inst); err != nil {
			t.Fatal(err)
		}
		if err := old.port.Drain(t.Context()); err != nil {
			t.Fatal(err)
		}
		old.port.Close()
		old.lease.Close()
		old = next
	}
	stop()
	callers.Wait()
}

// What cannot be sent fails with a reason, and at its deadline.
func TestHTTPErrors(t *testing.T) {
	s := &sites{t: t}
	client := s.client()
	if _, err := client.Get("http://www.example.com/"); err == nil || !strings.Contains(err.Error(), `"www.example.com"`) {
		t.Errorf("a host that is no service: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, "GET", "http://nobody/", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Do(req); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a service without instances: %v", err)
	}
}
