package consuldiscovery_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	stdpath "path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// agent is an agent of Consul with its servers behind it, as the HTTP API's documentation has it: registrations and TTL checks,
// the key-value store, blocking queries and their indexes, ACL tokens. A real one cannot be had in CI.
type agent struct {
	token string // that requests must have; empty: none
	// before, unless nil, may answer a request itself; it then returns true.
	before func(w http.ResponseWriter, r *http.Request) bool

	mu         sync.Mutex
	changed    chan struct{} // closed at each change
	index      uint64        // of the last change, as Raft has it
	serviceAt  map[string]uint64
	extinction uint64 // index of the last time that a name lost its last instance
	services   map[string]*agentService
	keys       agentKeys
	requests   map[string]int // by method and first three elements of the path
}

type agentService struct {
	ID      string
	Service string `json:"Service"`
	Tags    []string
	Address string
	Port    int
	Meta    map[string]string
	Weights struct{ Passing, Warning int }

	checks map[string]*agentCheck
}

type agentCheck struct {
	CheckID, Name, Status, Output, ServiceID, ServiceName string

	ttl             time.Duration
	expiry          *time.Timer
	deregisterAfter time.Duration
	reaper          *time.Timer
}

func newAgent() *agent {
	return &agent{changed: make(chan struct{}), index: 10, serviceAt: make(map[string]uint64), extinction: 5, services: make(map[string]*agentService), keys: newAgentKeys(), requests: make(map[string]int)}
}

// close stops the clocks of the checks.
func (a *agent) close() { a.lose() }

// bump notes a change of a service; the caller holds mu.
func (a *agent) bump(service string) {
	a.index++
	a.serviceAt[service] = a.index
	if !slices.ContainsFunc(a.list(), func(s *agentService) bool { return s.Service == service }) {
		delete(a.serviceAt, service)
		a.extinction = a.index
	}
	close(a.changed)
	a.changed = make(chan struct{})
}

func (a *agent) list() []*agentService {
	var list []*agentService
	for _, s := range a.services {
		list = append(list, s)
	}
	slices.SortFunc(list, func(x, y *agentService) int { return strings.Compare(x.ID, y.ID) })
	return list
}

// lose forgets all registrations, as an agent without a data directory does when it starts again.
func (a *agent) lose() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, s := range a.list() {
		a.remove(s)
	}
}

// wipe forgets all at once and counts from the beginning, as servers do that lost their data. Queries that wait for an index that was
// once go on waiting.
func (a *agent) wipe() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, s := range a.services {
		for _, c := range s.checks {
			c.stop()
		}
	}
	clear(a.services)
	clear(a.serviceAt)
	a.keys = newAgentKeys()
	a.index, a.extinction = 3, 2
	close(a.changed)
	a.changed = make(chan struct{})
}

func (a *agent) remove(s *agentService) {
	for _, c := range s.checks {
		c.stop()
	}
	delete(a.services, s.ID)
	a.bump(s.Service)
}

func (c *agentCheck) stop() {
	for _, t := range []*time.Timer{c.expiry, c.reaper} {
		if t != nil {
			t.Stop()
		}
	}
}

func (a *agent) count(request string) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.requests[request]
}

func (a *agent) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	parts := strings.Split(strings.TrimPrefix(r.URL.Path, "/v1/"), "/")
	a.mu.Lock()
	a.requests[r.Method+" "+strings.Join(parts[:min(3, len(parts))], "/")]++
	before := a.before
	a.mu.Unlock()
	if before != nil && before(w, r) {
		return
	}
	if a.token != "" && r.Header.Get("X-Consul-Token") != a.token {
		http.Error(w, "Permission denied: anonymous token lacks permission 'service:write' on \"cart\". The anonymous token is used implicitly when a request does not specify a token.", http.StatusForbidden)
		return
	}
	if dc := r.URL.Query().Get("dc"); dc != "" && dc != "dc1" {
		http.Error(w, "No path to datacenter", http.StatusInternalServerError)
		return
	}
	last := parts[len(parts)-1]
	switch path := strings.Join(parts, "/"); {
	case r.Method == "PUT" && path == "agent/service/register":
		a.register(w, r)
	case r.Method == "PUT" && strings.HasPrefix(path, "agent/service/deregister/"):
		a.deregister(w, last)
	case r.Method == "PUT" && strings.HasPrefix(path, "agent/check/update/"):
		a.update(w, r, last)
	case r.Method == "GET" && strings.HasPrefix(path, "agent/health/service/id/"):
		a.healthOf(w, last)
	case r.Method == "GET" && strings.HasPrefix(path, "health/service/"):
		a.health(w, r, last)
	case r.Method == "GET" && path == "catalog/services":
		a.catalog(w, r)
	case stdpath.Clean(path) != strings.TrimSuffix(path, "/"):
		http.Redirect(w, r, "/v1/"+stdpath.Clean(path), http.StatusMovedPermanently)
	case strings.HasPrefix(path, "kv/"):
		a.key(w, r, strings.TrimPrefix(path, "kv/"))
	default:
		http.NotFound(w, r)
	}
}

var metaKey = regexp.MustCompile(`^[a-zA-Z0-9_-]+$`)

func (a *agent) register(w http.ResponseWriter, r *http.Request) {
	var in struct {
		ID, Name, Address string
		Port              int
		Tags              []string
		Meta              map[string]string
		Weights           *struct{ Passing, Warning int }
		Check             *struct {
			CheckID, Name, TTL, Status, DeregisterCriticalServiceAfter string
		}
	}
	dec := json.NewDecoder(r.Body)
	dec.DisallowUnknownFields() // which Consul does not do: a typing error shows here
	if err := dec.Decode(&in); err != nil {
		http.Error(w, "Request decode failed: "+err.Error(), http.StatusBadRequest)
		return
	}
	if in.ID == "" {
		in.ID = in.Name
	}
	bad := ""
	if len(in.Meta) > 64 {
		bad = "Node metadata cannot contain more than 64 key/value pairs"
	}
	for k, v := range in.Meta {
		if !metaKey.MatchString(k) || len(k) > 128 || len(v) > 512 || strings.HasPrefix(k, "consul-") {
			bad = fmt.Sprintf("Couldn't load metadata pair ('%s', '%s')", k, v)
		}
	}
	if wt := in.Weights; wt != nil && (wt.Passing < 1 || wt.Passing > 65535 || wt.Warning < 0 || wt.Warning > 65535) {
		bad = "Invalid Weights"
	}
	if in.Name == "" {
		bad = "Missing service name"
	}
	if bad != "" {
		http.Error(w, "Invalid Service Meta: "+bad, http.StatusBadRequest)
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	old := a.services[in.ID]
	s := &agentService{ID: in.ID, Service: in.Name, Tags: in.Tags, Address: in.Address, Port: in.Port, Meta: in.Meta, checks: make(map[string]*agentCheck)}
	s.Weights.Passing, s.Weights.Warning = 1, 1
	if in.Weights != nil {
		s.Weights = *in.Weights
	}
	if old != nil && r.URL.Query().Get("replace-existing-checks") == "" {
		s.checks = old.checks
	}
	if c := in.Check; c != nil {
		ttl, err := time.ParseDuration(c.TTL)
		after, err2 := time.ParseDuration(c.DeregisterCriticalServiceAfter)
		if err != nil || err2 != nil {
			http.Error(w, "Invalid check", http.StatusBadRequest)
			return
		}
		check := &agentCheck{CheckID: c.CheckID, Name: c.Name, Status: c.Status, ServiceID: in.ID, ServiceName: in.Name, ttl: ttl, deregisterAfter: max(after, time.Minute)}
		if check.CheckID == "" {
			check.CheckID = "service:" + in.ID
		}
		if check.Status == "" {
			check.Status = "critical"
		}
		if old != nil {
			if was := old.checks[check.CheckID]; was != nil { // what the check said stays
				check.Status, check.Output = was.Status, was.Output
			}
		}
		s.checks[check.CheckID] = check
		a.begin(check)
	}
	if old != nil {
		for id, c := range old.checks {
			if s.checks[id] != c {
				c.stop()
			}
		}
		if old.Service != in.Name {
			delete(a.services, in.ID)
			a.bump(old.Service)
		}
	}
	a.services[in.ID] = s
	a.bump(in.Name)
}

// begin starts the TTL of a check anew; the caller holds mu.
func (a *agent) begin(c *agentCheck) {
	c.stop()
	c.expiry = time.AfterFunc(c.ttl, func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		c.Status, c.Output = "critical", "TTL expired"
		a.bump(c.ServiceName)
		c.reaper = time.AfterFunc((c.deregisterAfter + 30*time.Second).Truncate(30*time.Second), func() {
			a.mu.Lock()
			defer a.mu.Unlock()
			if s := a.services[c.ServiceID]; s != nil && c.Status == "critical" {
				a.remove(s)
			}
		})
	})
}

func (a *agent) deregister(w http.ResponseWriter, id string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	s := a.services[id]
	if s == nil {
		http.Error(w, fmt.Sprintf("Unknown service ID %q. Ensure that the service ID is passed, not the service name.", id), http.StatusNotFound)
		return
	}
	a.remove(s)
}

func (a *agent) update(w http.ResponseWriter, r *http.Request, id string) {
	var in struct{ Status, Output string }
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil || !slices.Contains([]string{"passing", "warning", "critical"}, in.Status) {
		http.Error(w, "Invalid check status: '"+in.Status+"'", http.StatusBadRequest)
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, s := range a.services {
		c := s.checks[id]
		if c == nil || c.ttl == 0 {
			continue
		}
		a.begin(c)
		if c.Status != in.Status {
			c.Status, c.Output = in.Status, in.Output
			a.bump(s.Service)
		}
		return
	}
	http.Error(w, fmt.Sprintf("Unknown check ID %q. Ensure that the check ID is passed, not the check name.", id), http.StatusNotFound)
}

func (a *agent) healthOf(w http.ResponseWriter, id string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	s := a.services[id]
	if s == nil {
		http.Error(w, "ServiceId "+id+" not found", http.StatusNotFound)
		return
	}
	worst := "passing"
	for _, c := range s.checks {
		if c.Status == "critical" || c.Status == "warning" && worst == "passing" {
			worst = c.Status
		}
	}
	w.WriteHeader(map[string]int{"passing": 200, "warning": 429, "critical": 503}[worst])
	fmt.Fprint(w, worst)
}

// block waits, as a query does that has an index, and returns with mu held.
func (a *agent) block(r *http.Request, at func() uint64) uint64 {
	index, _ := strconv.ParseUint(r.URL.Query().Get("index"), 10, 64)
	wait := 5 * time.Minute
	if d, err := time.ParseDuration(r.URL.Query().Get("wait")); err == nil {
		wait = min(d, 10*time.Minute)
	}
	a.mu.Lock()
	if index == 0 {
		return at()
	}
	timeout, cancel := context.WithTimeout(r.Context(), wait+rand.N(wait/16+1))
	defer cancel()
	for at() <= index && timeout.Err() == nil {
		changed := a.changed
		a.mu.Unlock()
		select {
		case <-changed:
		case <-timeout.Done():
		}
		a.mu.Lock()
	}
	return at()
}

func (a *agent) answer(w http.ResponseWriter, index uint64, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Consul-Index", strconv.FormatUint(index, 10))
	w.Header().Set("X-Consul-Knownleader", "true")
	w.Header().Set("X-Consul-Lastcontact", "0")
	_ = json.NewEncoder(w).Encode(v)
}

func (a *agent) health(w http.ResponseWriter, r *http.Request, name string) {
	index := a.block(r, func() uint64 {
		if at := a.serviceAt[name]; at > 0 {
			return at
		}
		return a.extinction
	})
	entries := []any{}
	tag := r.URL.Query().Get("tag")
	for _, s := range a.list() {
		if s.Service != name || tag != "" && !slices.Contains(s.Tags, tag) {
			continue
		}
		checks := []agentCheck{{CheckID: "serfHealth", Name: "Serf Health Status", Status: "passing", Output: "Agent alive and reachable"}}
		for _, c := range s.checks {
			checks = append(checks, agentCheck{CheckID: c.CheckID, Name: c.Name, Status: c.Status, Output: c.Output, ServiceID: s.ID, ServiceName: s.Service})
		}
		entries = append(entries, map[string]any{
			"Node":    map[string]any{"ID": "40e4a748-2192-161a-0510-9bf59fe950b5", "Node": "foobar", "Address": "127.0.0.1", "Datacenter": "dc1", "Meta": map[string]string{}},
			"Service": *s,
			"Checks":  checks,
		})
	}
	a.mu.Unlock()
	a.answer(w, index, entries)
}

func (a *agent) catalog(w http.ResponseWriter, r *http.Request) {
	index := a.block(r, func() uint64 { return a.index })
	names := map[string][]string{"consul": {}}
	for _, s := range a.list() {
		names[s.Service] = append(names[s.Service], s.Tags...)
	}
	a.mu.Unlock()
	a.answer(w, index, names)
}

// put registers a service as somebody else would.
func (a *agent) put(definition string) {
	w := &discardWriter{code: 200}
	r, err := http.NewRequest("PUT", "/v1/agent/service/register", io.NopCloser(strings.NewReader(definition)))
	if err != nil {
		panic(err)
	}
	a.register(w, r)
	if w.code != 200 {
		panic(w.String())
	}
}

type discardWriter struct {
	strings.Builder
	code int
}

func (w *discardWriter) Header() http.Header  { return make(http.Header) }
func (w *discardWriter) WriteHeader(code int) { w.code = code }
