package edge

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/internal/backoff"
	"github.com/hanse-go/hanse/internal/reflection"
	"github.com/hanse-go/hanse/rpc"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// describeTimeout is how long a service may take to tell its contracts.
const describeTimeout = 5 * time.Second

// system knows the services of a system and what they can be asked.
type system struct {
	registry discovery.Registry
	conn     func(service string, opts ...rpc.ConnOption) *rpc.Conn
	logger   *slog.Logger
	present  bool   // only services that have an instance are shown
	looked   func() // called after each update, unless it is nil

	table atomic.Pointer[table]

	mu      sync.Mutex
	expose  []string            // nil: all
	found   map[string]offer    // by service, those with an instance that can be called
	known   map[string]*service // by name
	waiting map[string]string   // why a service is not known yet
	changed chan struct{}       // of capacity 1: found or expose is another one
	seen    bool                // the registry has answered
}

// offer is what a service's instances say that they have: contracts with their hashes. Empty: they do not say.
type offer string

// service is one whose contracts are known.
type service struct {
	name      string
	offer     offer
	conn      *rpc.Conn
	forwarder *rpc.Forwarder
	contracts []protoreflect.ServiceDescriptor
	types     []*reflection.Types
}

// table is what calls are led by. It is replaced, never changed.
type table struct {
	generation uint64
	contracts  []protoreflect.ServiceDescriptor
	methods    map[string]*target // by full method
	types      []*reflection.Types
}

// target is where the calls of a method go.
type target struct {
	service *service
	method  protoreflect.MethodDescriptor
}

var empty table

func (s *system) now() *table {
	if t := s.table.Load(); t != nil {
		return t
	}
	return &empty
}

// show changes which services are shown.
func (s *system) show(expose []string) {
	s.mu.Lock()
	s.expose = slices.Clone(expose)
	if s.changed == nil {
		s.changed = make(chan struct{}, 1)
	}
	s.mu.Unlock()
	s.wake()
}

func (s *system) wake() {
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

// run follows the registry until ctx ends.
func (s *system) run(ctx context.Context) {
	var watching sync.WaitGroup
	defer watching.Wait()
	defer s.close()
	var stop context.CancelFunc
	var watched []string
	delay := backoff.Policy{Min: 500 * time.Millisecond, Max: 15 * time.Second}
	failures := 0
	var retry <-chan time.Time
	for begun := false; ; {
		select {
		case <-ctx.Done():
			if stop != nil {
				stop()
			}
			return
		case <-retry:
		case <-s.changed:
			failures = 0
		}
		s.mu.Lock()
		expose := s.expose
		s.mu.Unlock()
		if !begun || !slices.Equal(expose, watched) {
			if stop != nil {
				stop()
			}
			begun, watched = true, expose
			var inner context.Context
			inner, stop = context.WithCancel(ctx)
			s.watch(inner, &watching, expose)
		}
		retry = nil
		if !s.update(ctx) {
			failures++
			retry = time.After(delay.Delay(failures))
		}
	}
}

// watch follows the services, all with none.
func (s *system) watch(ctx context.Context, running *sync.WaitGroup, services []string) {
	names := services
	if len(names) == 0 {
		names = []string{""}
	}
	s.mu.Lock()
	s.found, s.seen = make(map[string]offer), false
	found := s.found
	s.mu.Unlock()
	for _, name := range names {
		running.Go(func() {
			err := s.registry.Watch(ctx, name, func(instances []discovery.Instance) {
				offers := offersOf(instances)
				s.mu.Lock()
				maps.DeleteFunc(found, func(service string, _ offer) bool { return name == "" || service == name })
				maps.Copy(found, offers)
				s.seen = true
				s.mu.Unlock()
				s.wake()
			})
			if err != nil {
				s.logger.Error("the registry cannot be watched", "service", name, "error", err)
			}
		})
	}
}

// offersOf returns what the services have that can be called.
func offersOf(instances []discovery.Instance) map[string]offer {
	contracts := make(map[string][]string)
	for _, i := range instances {
		if i.State != discovery.Ready {
			continue
		}
		list := contracts[i.Service]
		for _, c := range i.Contracts {
			list = append(list, c.Name+" "+c.Hash)
		}
		contracts[i.Service] = list
	}
	offers := make(map[string]offer, len(contracts))
	for name, list := range contracts {
		slices.Sort(list)
		offers[name] = offer(strings.Join(slices.Compact(list), "\n"))
	}
	return offers
}

// update asks services that are new or have changed for their contracts. It reports whether all have told them.
func (s *system) update(ctx context.Context) bool {
	s.mu.Lock()
	found := maps.Clone(s.found)
	known := maps.Clone(s.known)
	s.mu.Unlock()
	next := make(map[string]*service)
	waiting := make(map[string]string)
	for _, name := range slices.Sorted(maps.Keys(found)) {
		before := known[name]
		if before != nil && before.offer == found[name] {
			next[name] = before
			continue
		}
		now, err := s.describe(ctx, name, found[name], before)
		switch {
		case err == nil:
			next[name] = now
		case ctx.Err() != nil:
			return true
		default:
			if before != nil {
				next[name] = before // what it had is better than nothing
			}
			if waiting[name] = err.Error(); s.waitingFor(name) != err.Error() {
				s.logger.Warn("a service does not tell its contracts; asking again", "service", name, "error", err)
			}
		}
	}
	// Services without an instance keep their routes: their calls wait, or fail as the call of any service does that is away.
	for name, before := range known {
		if next[name] == nil && s.shown(name) {
			next[name] = before
		}
	}
	s.mu.Lock()
	s.known, s.waiting = next, waiting
	s.mu.Unlock()
	for name, before := range known {
		if next[name] == nil {
			before.conn.Close()
		}
	}
	if s.present {
		// The others stay known, with their connections: calls may run, and services come back.
		next = maps.Clone(next)
		maps.DeleteFunc(next, func(name string, _ *service) bool { _, ok := found[name]; return !ok })
	}
	s.publish(next)
	if s.looked != nil {
		s.looked()
	}
	return len(waiting) == 0
}

// shown reports whether a service may be called.
func (s *system) shown(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.expose) == 0 || slices.Contains(s.expose, name)
}

func (s *system) waitingFor(name string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.waiting[name]
}

// describe asks a service for its contracts.
func (s *system) describe(ctx context.Context, name string, has offer, before *service) (*service, error) {
	ctx, cancel := context.WithTimeout(ctx, describeTimeout)
	defer cancel()
	now := &service{name: name, offer: has}
	if before != nil {
		now.conn = before.conn
	} else {
		now.conn = s.conn(name)
	}
	now.forwarder = &rpc.Forwarder{Conn: now.conn, Outgoing: tell}
	if err := now.ask(ctx); err != nil {
		if before == nil {
			now.conn.Close()
		}
		return nil, err
	}
	return now, nil
}

// ask fills in the contracts.
func (s *service) ask(ctx context.Context) error {
	r := reflection.New(s.conn)
	defer r.Close()
	names, err := r.Contracts(ctx)
	if err != nil {
		return fmt.Errorf("gRPC reflection: %w", err)
	}
	for _, name := range names {
		d, types, err := r.Contract(ctx, name)
		if err != nil {
			return fmt.Errorf("gRPC reflection: %w", err)
		}
		s.contracts, s.types = append(s.contracts, d), append(s.types, types)
	}
	return nil
}

// publish makes the table of the services, in the order of their names: of two that have a contract the first is called.
func (s *system) publish(services map[string]*service) {
	t := &table{methods: make(map[string]*target), generation: s.now().generation}
	owner := make(map[protoreflect.FullName]string)
	for _, name := range slices.Sorted(maps.Keys(services)) {
		sv := services[name]
		for i, d := range sv.contracts {
			if first, taken := owner[d.FullName()]; taken {
				s.logger.Warn("two services have a contract; the first is called", "contract", string(d.FullName()), "first", first, "other", name)
				continue
			}
			owner[d.FullName()] = name
			t.contracts, t.types = append(t.contracts, d), append(t.types, sv.types[i])
			for j := range d.Methods().Len() {
				m := d.Methods().Get(j)
				t.methods["/"+string(d.FullName())+"/"+string(m.Name())] = &target{service: sv, method: m}
			}
		}
	}
	if !slices.Equal(t.contracts, s.now().contracts) {
		t.generation++
	}
	s.table.Store(t)
}

// missing says what the system does not know yet.
func (s *system) missing() (reasons []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.seen {
		return []string{"the registry has not answered yet"}
	}
	for _, name := range slices.Sorted(maps.Keys(s.waiting)) {
		reasons = append(reasons, name+": "+s.waiting[name])
	}
	for _, name := range slices.Sorted(maps.Keys(s.found)) {
		if s.known[name] == nil && s.waiting[name] == "" {
			reasons = append(reasons, name+": it is being asked for its contracts")
		}
	}
	for _, name := range s.expose {
		if _, found := s.found[name]; !found && s.known[name] == nil {
			reasons = append(reasons, name+": no instance is ready")
		}
	}
	return reasons
}

// serviceOf returns the name of the service that has a contract.
func (s *system) serviceOf(d protoreflect.ServiceDescriptor) string {
	if d.Methods().Len() == 0 {
		return ""
	}
	if t := s.now().methods["/"+string(d.FullName())+"/"+string(d.Methods().Get(0).Name())]; t != nil {
		return t.service.name
	}
	return ""
}

// close ends the connections.
func (s *system) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, sv := range s.known {
		sv.conn.Close()
	}
}
