package dev

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"html"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hanse-go/hanse/cmd/hanse/internal/board"
	"github.com/hanse-go/hanse/cmd/hanse/internal/lasting"
	"github.com/hanse-go/hanse/cmd/hanse/internal/manifest"
	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/identity"
)

// httpKey is the metadata key of an instance that serves pages; its value is their URL.
const httpKey = "http"

// doorWait is how long a request waits for an instance, while the service restarts.
const doorWait = 10 * time.Second

// doors give each service that serves pages an address that stays the same, whatever instances come and go, and in the next run of
// hanse dev too. A request goes to one of the ready instances, and waits when there is none.
type doors struct {
	board *board.Board

	ports *lasting.Ports

	problemf func(format string, args ...any)
	stopped  func(service string) bool // someone stopped it, and it stays so until someone starts it; nil: none
	source   identity.Source           // of the certificate that instances want to see with calls; nil: none

	mu    sync.Mutex
	open  map[string]*door
	fixed map[string]int // ports that hanse.yaml asks for
	ended bool
	serve sync.WaitGroup
}

type door struct {
	service string
	stopped func(service string) bool
	board   *board.Board
	addr    string
	server  *http.Server
	next    atomic.Uint64
	h1, h2  *http.Transport
	calls   *http.Transport // of gRPC calls to instances that want certificates; nil: they go by h2
}

func newDoors(file string, b *board.Board, problemf func(string, ...any)) *doors {
	return &doors{ports: lasting.OpenPorts(file), board: b, problemf: problemf, open: make(map[string]*door), fixed: make(map[string]int)}
}

// run opens a door for each service that has pages, until ctx ends.
func (d *doors) run(ctx context.Context) {
	d.board.Await(ctx, nil, func(list []discovery.Instance) bool {
		d.update(list)
		return false
	})
	d.mu.Lock()
	d.ended = true
	for _, o := range d.open {
		o.close()
	}
	d.mu.Unlock()
	d.serve.Wait()
}

func (o *door) close() {
	o.server.Close()
	o.h1.CloseIdleConnections()
	o.h2.CloseIdleConnections()
	if o.calls != nil {
		o.calls.CloseIdleConnections()
	}
}

// fix says which ports hanse.yaml asks for. Open doors of which it asks for another one than before are moved; fix returns their
// services.
func (d *doors) fix(wishes []*wish) (moved []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	before := d.fixed
	d.fixed = make(map[string]int)
	for _, w := range wishes {
		if w.foreign() || w.entry == nil || w.entry.Port == 0 {
			continue
		}
		for _, service := range w.services {
			d.fixed[service] = w.entry.Port
		}
	}
	for service, o := range d.open {
		if d.fixed[service] != before[service] && !d.ended {
			o.close()
			delete(d.open, service)
			d.openLocked(service)
			moved = append(moved, service)
		}
	}
	return moved
}

func (d *doors) update(list []discovery.Instance) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, i := range list {
		if i.Metadata[httpKey] != "" && d.open[i.Service] == nil && !d.ended {
			d.openLocked(i.Service)
		}
	}
}

func (d *doors) openLocked(service string) {
	lis := d.listenAt(service)
	if lis == nil {
		return
	}
	o := &door{service: service, stopped: d.stopped, board: d.board, addr: lis.Addr().String(), h1: new(http.Transport), h2: new(http.Transport)}
	if d.source != nil {
		o.calls = &http.Transport{TLSClientConfig: identity.ClientConfig(d.source, devIdentity, service), Protocols: new(http.Protocols)}
		o.calls.Protocols.SetHTTP2(true)
	}
	o.h1.Protocols, o.h2.Protocols = new(http.Protocols), new(http.Protocols)
	o.h1.Protocols.SetHTTP1(true)
	o.h2.Protocols.SetUnencryptedHTTP2(true) // gRPC, for tools that know no registry
	proxy := &httputil.ReverseProxy{Rewrite: o.rewrite, Transport: o, FlushInterval: -1, ErrorHandler: o.unavailable, ErrorLog: log.New(io.Discard, "", 0)}
	o.server = &http.Server{Handler: proxy, ReadHeaderTimeout: 10 * time.Second, Protocols: new(http.Protocols), ErrorLog: log.New(io.Discard, "", 0)}
	// What net/http logs about connections that browsers cut off is nobody's business.
	o.server.Protocols.SetHTTP1(true)
	o.server.Protocols.SetUnencryptedHTTP2(true)
	d.open[service] = o
	d.serve.Go(func() { o.server.Serve(lis) })
}

// listen listens at an address of this machine that stays the same in the next run.
func (d *doors) listen(name string) (net.Listener, error) { return d.ports.Listen(name) }

// listenAt takes the port that hanse.yaml asks for, or one that stays the same; nil: none is free. The caller holds mu.
func (d *doors) listenAt(service string) net.Listener {
	if port := d.fixed[service]; port != 0 {
		lis, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err == nil {
			return lis
		}
		d.problemf("the pages of %s cannot be at port %d, which %s asks for: %v", service, port, manifest.Name, err)
	}
	lis, _ := d.ports.Listen(service)
	return lis
}

// url returns the address of a service's pages, or "".
func (d *doors) url(service string) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	if o := d.open[service]; o != nil {
		return "http://" + o.addr
	}
	return ""
}

// pages returns the addresses of all services with pages, by service.
func (d *doors) pages() (urls []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, service := range slices.Sorted(maps.Keys(d.open)) {
		urls = append(urls, "http://"+d.open[service].addr)
	}
	return urls
}

// errStopped is why there is nothing to wait for.
var errStopped = errors.New("it is stopped")

// pick returns a ready instance other than the one with the ID not, and whether its address has pages of other services too. It waits
// for one, unless the service was stopped.
func (o *door) pick(ctx context.Context, not string) (inst discovery.Instance, shared bool, err error) {
	ok := o.board.Await(ctx, nil, func(list []discovery.Instance) bool {
		var ready []discovery.Instance
		for _, i := range list {
			if i.Service == o.service && i.State == discovery.Ready && i.Metadata[httpKey] != "" && i.ID != not {
				ready = append(ready, i)
			}
		}
		if len(ready) == 0 {
			if o.stopped != nil && o.stopped(o.service) {
				err = errStopped
			}
			return err != nil
		}
		inst = ready[o.next.Add(1)%uint64(len(ready))]
		for _, i := range list {
			shared = shared || i.Service != o.service && i.Metadata[httpKey] == inst.Metadata[httpKey]
		}
		return true
	})
	if !ok {
		err = fmt.Errorf("no instance of %s has been ready for %v", o.service, doorWait)
	}
	return inst, shared, err
}

func (o *door) rewrite(r *httputil.ProxyRequest) {
	r.Out.URL.Scheme, r.Out.URL.Host = "http", o.service // RoundTrip says where it is
	r.Out.Host = r.In.Host
	r.SetXForwarded()
}

// RoundTrip sends a request to an instance, and to another one when the first is not there any more.
func (o *door) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithTimeout(r.Context(), doorWait)
	defer cancel()
	not := ""
	for try := 1; ; try++ {
		inst, shared, err := o.pick(ctx, not)
		if err != nil {
			return nil, cmp.Or(r.Context().Err(), err)
		}
		target, err := url.Parse(inst.Metadata[httpKey])
		if err != nil {
			return nil, fmt.Errorf("instance %s of %s announces a bad address: %w", inst.ID, o.service, err)
		}
		out := r.Clone(r.Context())
		out.URL.Host = target.Host
		if host, _, err := net.SplitHostPort(r.Host); shared && (err != nil || host == "localhost" || net.ParseIP(host) != nil) {
			out.Host = o.service + ".localhost"
		}
		transport := o.h1
		if r.ProtoMajor == 2 {
			transport = o.h2
			if addr := callAddr(inst); o.calls != nil && addr != "" && strings.HasPrefix(r.Header.Get("Content-Type"), "application/grpc") {
				transport = o.calls // a page may be had over plain HTTP, a call may not
				out.URL.Scheme, out.URL.Host = "https", addr
			}
		}
		resp, err := transport.RoundTrip(out)
		if err == nil || try == 3 || r.Context().Err() != nil || !untaken(err) {
			return resp, err
		}
		not = inst.ID
	}
}

// callAddr returns the TCP address at which an instance takes calls, or "".
func callAddr(inst discovery.Instance) string {
	for _, e := range inst.Endpoints {
		if addr, ok := strings.CutPrefix(e, "tcp://"); ok {
			return addr
		}
	}
	return ""
}

// untaken reports whether a request failed before an instance had any of it. (A request on a kept connection that turns out to be
// closed is sent again by net/http.) Others are not repeated: the request may be what ended the instance.
func untaken(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "dial"
}

// unavailable answers when there is no instance, with a page that tries again by itself.
func (o *door) unavailable(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() != nil {
		return // nobody is listening
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	status, head, text := http.StatusBadGateway, o.service+" does not answer", "hanse dev says why. This page tries again by itself.</p><pre>"+html.EscapeString(err.Error())+"</pre>"
	if errors.Is(err, errStopped) {
		status, head, text = http.StatusServiceUnavailable, o.service+" is stopped", "Start it with <code>hanse start "+o.service+"</code>; this page tries again by itself.</p>"
	}
	w.WriteHeader(status)
	fmt.Fprintf(w, "<!doctype html><meta charset=utf-8><meta http-equiv=refresh content=2><title>%[1]s</title>"+
		"<body style=\"font:16px/1.5 system-ui;margin:15vh auto;max-width:36em\"><h1>%[2]s</h1><p>%[3]s\n", o.service, head, text)
}
