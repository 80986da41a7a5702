package hanse

import (
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/hanse-go/hanse/gateway"
)

// Handle serves plain HTTP requests that match the pattern, one of [http.ServeMux], on the port that serves the contracts. A
// request whose Host is the service's name or NAME.localhost, on any port, gets the handlers of this service; every other one
// those of all services that share the port, so two of them must not have the same pattern. Mistakes make Run fail.
// It panics when it is called after Setup has returned.
func (s *Service) Handle(pattern string, h http.Handler) {
	s.declare("Handle of " + pattern)
	rt := route{service: s.Name, pattern: pattern, handler: h}
	if h != nil {
		rt.handler = http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			defer s.member.run.requests.begin(s.Name + ": " + pattern)()
			s.member.web.Serve(pattern, w, req, h.ServeHTTP)
		})
	}
	if _, file, line, ok := runtime.Caller(1); ok {
		rt.where = fmt.Sprintf("%s:%d", filepath.Base(file), line)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if h == nil {
		s.mistake(fmt.Errorf("%s has no handler", rt))
		return
	}
	if s.mux == nil {
		s.mux = new(http.ServeMux)
	}
	if err := rt.add(s.mux, s.routes); err != nil {
		s.mistake(err)
		return
	}
	s.routes = append(s.routes, rt)
}

// requests counts the HTTP requests that run, by service and pattern.
type requests struct {
	mu      sync.Mutex
	running map[string]int
}

// begin counts a request until the returned function is called.
func (r *requests) begin(label string) (end func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.running == nil {
		r.running = make(map[string]int)
	}
	r.running[label]++
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.running[label]--; r.running[label] == 0 {
			delete(r.running, label)
		}
	}
}

// labels returns what runs, an entry for each request.
func (r *requests) labels() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []string
	for label, n := range r.running {
		all = append(all, slices.Repeat([]string{label}, n)...)
	}
	slices.Sort(all)
	return all
}

// route is one pattern of a service.
type route struct {
	service string
	pattern string
	handler http.Handler
	where   string // it was declared
}

func (rt route) String() string {
	return fmt.Sprintf("Handle(%q) at %s", rt.pattern, rt.where)
}

// add registers the route in a mux that has the earlier ones, with an error where ServeMux panics.
func (rt route) add(mux *http.ServeMux, earlier []route) error {
	if register(mux, rt) == nil {
		return nil
	}
	if err := register(new(http.ServeMux), rt); err != nil {
		return fmt.Errorf("%s: %v", rt, err)
	}
	for _, e := range earlier {
		pair := new(http.ServeMux)
		register(pair, e)
		if register(pair, rt) != nil {
			return fmt.Errorf("%s conflicts with %s of service %s: neither is more specific", rt, e, e.service)
		}
	}
	return fmt.Errorf("%s conflicts with an earlier pattern", rt)
}

func register(mux *http.ServeMux, rt route) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%v", p)
		}
	}()
	mux.Handle(rt.pattern, rt.handler)
	return nil
}

// httpRouter leads the HTTP requests of one port to the services behind it.
type httpRouter struct {
	byName   map[string]*http.ServeMux
	all      *http.ServeMux
	gateway  *gateway.Handler // nil: none
	calls    http.Handler     // gateway, with what is before it
	docs     *gateway.Docs    // nil: none
	requests *requests
}

// newHTTPRouter returns the router of services that share a port, and the conflicts between them.
func newHTTPRouter(members []*member) (*httpRouter, []error) {
	h := &httpRouter{byName: make(map[string]*http.ServeMux), all: new(http.ServeMux)}
	var mistakes []error
	var earlier []route
	for _, m := range members {
		mux := m.mux
		if mux == nil {
			mux = new(http.ServeMux)
		}
		h.byName[m.Name] = mux
		for _, rt := range m.routes {
			if err := rt.add(h.all, earlier); err != nil {
				mistakes = append(mistakes, fmt.Errorf("service %s: %w; change one, or give one of the services a listener of its own (--addr %s=HOST:PORT)", m.Name, err, m.Name))
			}
		}
		earlier = append(earlier, m.routes...)
	}
	return h, mistakes
}

func (h *httpRouter) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	name := serviceOfHost(req.Host)
	mux, named := h.byName[name]
	if !named {
		mux = h.all
	}
	if h.docs != nil && h.docs.Serves(req) && !claims(mux, req) {
		h.docs.ServeHTTP(w, req)
		return
	}
	if h.gateway == nil || !h.gateway.Serves(req) || claims(mux, req) {
		mux.ServeHTTP(w, req)
		return
	}
	defer h.requests.begin("gateway: " + req.URL.Path)()
	if named && req.Host != name { // so that the call goes to that service, as one by gRPC with it as its authority
		own := *req
		own.Host = name
		req = &own
	}
	h.calls.ServeHTTP(w, req)
}

// addressedBy leads to the gateway what is addressed to a name of this machine, a service or one of hosts.
func (h *httpRouter) addressedBy(hosts []string) http.Handler {
	return gateway.Addressed(h.gateway, func(name string) bool {
		return h.byName[name] != nil || slices.ContainsFunc(hosts, func(host string) bool { return host == "*" || strings.EqualFold(host, name) })
	})
}

// claims reports whether a pattern of the services is meant for the request: any that is more than "/", for that has what nobody else wants.
func claims(mux *http.ServeMux, req *http.Request) bool {
	_, pattern := mux.Handler(req)
	if i := strings.IndexByte(pattern, ' '); i >= 0 {
		pattern = strings.TrimLeft(pattern[i:], " \t")
	}
	return pattern != "" && pattern != "/"
}

// serviceOfHost returns the name of the service that a Host or :authority stands for, if it stands for one.
func serviceOfHost(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	return strings.TrimSuffix(host, ".localhost")
}
