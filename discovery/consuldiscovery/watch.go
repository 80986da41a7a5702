package consuldiscovery

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/discovery/driver"
)

const (
	// longWait is how long a query waits for a change. It is also how long it takes to see that the agent's machine is gone,
	// or that its servers lost their data.
	longWait = 30 * time.Second
	// shortWait is that of queries that take turns.
	shortWait = 2 * time.Second
	// slack is what an answer may be late: Consul adds up to a sixteenth of the wait.
	slack = 10 * time.Second
	// maxRetry is the longest pause after failures.
	maxRetry = 2 * time.Second
	// watchedAtOnce bounds the connections of a watch of all services: an agent takes 200 from one address.
	watchedAtOnce = 64
)

// Watch implements [discovery.Registry]. While the agent cannot be reached, or Consul has no leader, the last known instances stay.
// However many watch a service here, Consul is asked once.
func (r *Registry) Watch(ctx context.Context, service string, notify func([]discovery.Instance)) error {
	return r.shared.Watch(ctx, service, notify, r.follow)
}

// follow is one watch for all that watch a service here.
func (r *Registry) follow(ctx context.Context, service string, notify func([]discovery.Instance)) error {
	if err := r.check(); err != nil {
		return fmt.Errorf("consuldiscovery: %w", err)
	}
	defer r.http.Release()
	if service == "" {
		r.watchAll(ctx, notify)
		return nil
	}
	w := &serviceWatch{registry: r, service: service, notify: notify}
	w.run(ctx, nil)
	return nil
}

// query is a blocking query that is repeated.
type query struct {
	registry *Registry
	path     string
	params   url.Values
	what     string // for the log
	// learn takes each answer, also one without news. doubt says that Consul may have lost data since the last answer: its index went
	// back, or it was away. It returns how long the next query may wait.
	learn func(body []byte, doubt bool) (time.Duration, error)
	// failed is told of each failure.
	failed func()
	// slots, unless nil, bounds how many queries wait at once.
	slots *slots
	// keys says that the key-value store is asked. Its index goes back, too, when Consul forgets that there was a key.
	keys bool
}

// follow repeats the query until ctx ends, by the rules of Consul's documentation: an index that goes back begins anew, none is below
// 1, and answers that come in quick succession slow it down.
func (q *query) follow(ctx context.Context) {
	log := q.registry.logger().With("watch", q.what)
	outage := driver.Outage{Engine: "Consul", Log: log}
	rate := pace{interval: time.Second / 2, burst: 8}
	var last, index uint64 // the last answer's, and what to wait for; 0 is not to wait
	wait, away := longWait, false
	for ctx.Err() == nil {
		rate.wait(ctx)
		body, next, err := q.ask(ctx, index, wait)
		lost := err == nil && next < last
		if err == nil {
			wait, err = q.learn(body, lost || away)
		}
		if ctx.Err() != nil {
			return
		}
		if away = err != nil; away {
			failures := outage.Failed(err)
			q.failed()
			index = 0 // what was missed comes with the first answer
			driver.Sleep(ctx, driver.Backoff(failures, maxRetry))
			continue
		}
		outage.Over()
		if last, index = next, next; lost {
			if !q.keys {
				log.Warn("Consul has lost data: its index went back")
			}
			index = 0
		}
	}
}

// ask makes the query once. A query that waits returns at a change or after the wait.
func (q *query) ask(ctx context.Context, index uint64, wait time.Duration) ([]byte, uint64, error) {
	if q.slots != nil {
		select {
		case q.slots.taken <- struct{}{}:
			defer func() { <-q.slots.taken }()
		case <-ctx.Done():
			return nil, 0, ctx.Err()
		}
		if q.slots.few.Load() {
			wait = min(wait, shortWait)
		}
	}
	params := maps.Clone(q.params)
	if q.registry.Datacenter != "" {
		params.Set("dc", q.registry.Datacenter)
	}
	limit := slack
	if index > 0 {
		params.Set("index", strconv.FormatUint(index, 10))
		params.Set("wait", max(wait.Round(time.Millisecond), time.Millisecond).String())
		limit += wait + wait/16
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	body, header, err := q.registry.do(ctx, http.MethodGet, q.path, params, nil)
	if q.keys {
		body, err = keysOf(body, header, err)
	}
	if err != nil {
		return nil, 0, err
	}
	next, _ := strconv.ParseUint(header.Get("X-Consul-Index"), 10, 64)
	return body, max(next, 1), nil
}

// slots are connections for which many queries take turns.
type slots struct {
	taken chan struct{}
	few   atomic.Bool // there are more queries than slots
}

// serviceWatch follows one service.
type serviceWatch struct {
	registry *Registry
	service  string
	notify   func([]discovery.Instance)

	view    driver.View
	ignored driver.Ignored
}

func (w *serviceWatch) run(ctx context.Context, slots *slots) {
	params := make(url.Values)
	if w.registry.Tag != "" {
		params.Set("tag", w.registry.Tag)
	}
	q := &query{
		registry: w.registry, path: "/v1/health/service/" + w.service, params: params, what: w.service, slots: slots,
		learn:  w.learn,
		failed: func() { w.notify(w.view.List()) },
	}
	q.follow(ctx)
}

// learn takes an answer.
func (w *serviceWatch) learn(body []byte, doubt bool) (time.Duration, error) {
	list, bad, err := parseEntries(body, w.service)
	if err != nil {
		return 0, err
	}
	w.ignored.Warn(w.registry.logger().With("service", w.service), "Consul: service ignored", bad)
	var doubtUntil time.Time
	if doubt {
		doubtUntil = time.Now().Add(w.registry.grace())
	}
	w.view.Replace(list, doubtUntil)
	w.notify(w.view.List())
	if next := w.view.NextExpiry(); !next.IsZero() {
		return min(longWait, time.Until(next)), nil
	}
	return longWait, nil
}

// allWatch follows the list of services, and each of them.
type allWatch struct {
	registry *Registry
	notify   func([]discovery.Instance)
	slots    slots
	watches  sync.WaitGroup

	mu       sync.Mutex
	listed   bool                   // the list of services was seen, or cannot be
	services map[string]*allService // by name
}

type allService struct {
	cancel context.CancelFunc
	gone   bool // from the list of services; followed until it has no instances
	spoke  bool
	list   []discovery.Instance
}

func (r *Registry) watchAll(ctx context.Context, notify func([]discovery.Instance)) {
	w := &allWatch{registry: r, notify: notify, slots: slots{taken: make(chan struct{}, watchedAtOnce)}, services: make(map[string]*allService)}
	q := &query{
		registry: r, path: "/v1/catalog/services", params: make(url.Values), what: "all services",
		learn: func(body []byte, _ bool) (time.Duration, error) { return longWait, w.learn(ctx, body) },
		failed: func() {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.listed = true
			w.tell()
		},
	}
	q.follow(ctx)
	w.watches.Wait() // their contexts are made of ctx
}

// learn takes the list of services: their names, each with the tags of its instances.
func (w *allWatch) learn(ctx context.Context, body []byte) error {
	var names map[string][]string
	if err := json.Unmarshal(body, &names); err != nil {
		return fmt.Errorf("malformed answer: %w", err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for name, tags := range names {
		// Consul's servers are a service too, which nobody calls by gRPC of ours; a name that a service cannot have, nobody can ask for.
		if name == "consul" || discovery.CheckName(name) != nil || w.registry.Tag != "" && !slices.Contains(tags, w.registry.Tag) {
			delete(names, name)
		}
	}
	for name, s := range w.services {
		_, there := names[name]
		s.gone = !there
		w.drop(name, s)
	}
	for name := range names {
		if w.services[name] != nil {
			continue
		}
		follow, cancel := context.WithCancel(ctx)
		s := &allService{cancel: cancel}
		w.services[name] = s
		watch := &serviceWatch{registry: w.registry, service: name, notify: func(list []discovery.Instance) { w.heard(name, s, list) }}
		w.watches.Go(func() { watch.run(follow, &w.slots) })
	}
	w.slots.few.Store(len(w.services) > watchedAtOnce)
	w.listed = true
	w.tell()
	return nil
}

// heard takes the instances of one service.
func (w *allWatch) heard(name string, s *allService, list []discovery.Instance) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.services[name] != s {
		return
	}
	s.spoke, s.list = true, list
	w.drop(name, s)
	w.tell()
}

// drop ends the watch of a service that is gone and has no instances any more.
func (w *allWatch) drop(name string, s *allService) {
	if s.gone && len(s.list) == 0 {
		s.cancel()
		delete(w.services, name)
	}
}

// tell notifies of all instances, when each service has spoken.
func (w *allWatch) tell() {
	var all []discovery.Instance
	for _, name := range slices.Sorted(maps.Keys(w.services)) {
		if !w.services[name].spoke {
			return
		}
		all = append(all, w.services[name].list...)
	}
	if w.listed {
		w.notify(all)
	}
}
