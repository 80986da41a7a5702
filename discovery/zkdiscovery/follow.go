package zkdiscovery

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-zookeeper/zk"
	"github.com/hanse-go/hanse/discovery"
)

// readers is how many records are asked for at the same time.
const readers = 16

// follower is the registry as [discovery.Share] sees it: watches of its own for each call of Watch.
type follower struct{ registry *Registry }

func (f follower) Watch(ctx context.Context, service string, notify func([]discovery.Instance)) error {
	l := f.registry.joinLink()
	defer f.registry.leaveLink(l)
	w := &following{registry: f.registry, link: l, service: service, notify: notify}
	w.run(ctx)
	return nil
}

// following follows one service, or all of them. ZooKeeper tells once that a node has changed, so each change is followed by a look that
// asks to be told again: what happens in between is seen by the look.
type following struct {
	registry *Registry
	link     *link
	service  string
	notify   func([]discovery.Instance)

	view     view
	told     bool
	services map[string]*folder // by name; in this session
	made     map[string]int64   // when the folder of a service was made, as ZooKeeper counts
}

// folder is the node of a service, as far as this session has seen it.
type folder struct {
	path string
	seen map[string]struct{} // the instances whose records were read, and are watched
	stop func()              // of the listening
}

func (f *following) run(ctx context.Context) {
	failures := 0
	for ctx.Err() == nil {
		err := f.begin(ctx)
		if ctx.Err() != nil {
			return
		}
		if errors.Is(err, errSessionLost) {
			failures = 0
			continue
		}
		if !f.told {
			f.tell() // what is known: nothing. Who has other registries to ask must not wait for this one
		}
		if failures++; failures == 1 {
			f.registry.opts.Logger.Warn("instances of a service cannot be read; tried again", "service", f.service, "error", f.registry.explain("list its instances", err))
		}
		wait(ctx, retryDelay(failures), nil)
	}
}

// begin follows the service in one session. It returns errSessionLost when that has ended.
func (f *following) begin(ctx context.Context) error {
	s, err := f.link.firstSession(ctx, f.told)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.life, cancel)()
	err = f.follow(ctx, s)
	if s.life.Err() != nil {
		return errSessionLost
	}
	return err
}

func (f *following) tell() {
	f.told = true
	f.notify(f.view.list())
}

// follow looks, and looks again after each change.
func (f *following) follow(ctx context.Context, s *session) error {
	changes := newListener()
	f.services = make(map[string]*folder)
	defer func() {
		for _, folder := range f.services {
			folder.stop()
		}
	}()
	if f.service == "" {
		defer f.link.listen(changes, f.registry.servicesPath())()
		if err := f.lookAtServices(ctx, s, changes); err != nil {
			return err
		}
	} else {
		f.add(f.service, changes)
		if err := f.lookAtService(ctx, s, f.service); err != nil {
			return err
		}
	}
	f.tell()
	for {
		var expiry <-chan time.Time
		if next := f.view.nextExpiry(); !next.IsZero() {
			expiry = time.After(time.Until(next))
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-expiry:
			if f.view.expire(time.Now()) {
				f.tell()
			}
		case <-changes.wake:
			if err := f.lookAgain(ctx, s, changes); err != nil {
				return err
			}
			f.tell()
		}
	}
}

// lookAgain looks at what has changed.
func (f *following) lookAgain(ctx context.Context, s *session, changes *listener) error {
	nodes := changes.take()
	if _, ok := nodes[f.registry.servicesPath()]; ok && f.service == "" {
		if err := f.lookAtServices(ctx, s, changes); err != nil {
			return err
		}
	}
	changed := make(map[string][]string) // instances, by service
	for node := range nodes {
		dir, name := path.Split(node)
		dir = strings.TrimSuffix(dir, "/")
		service := path.Base(dir)
		switch {
		case dir == f.registry.servicesPath() && f.services[name] != nil:
			if err := f.lookAtService(ctx, s, name); err != nil {
				return err
			}
		case path.Dir(dir) == f.registry.servicesPath() && f.services[service] != nil:
			changed[service] = append(changed[service], name)
		}
	}
	for service, ids := range changed {
		for _, id := range ids {
			delete(f.services[service].seen, id)
		}
		if err := f.read(ctx, s, service, ids); err != nil {
			return err
		}
	}
	return nil
}

// add begins to listen for changes of a service.
func (f *following) add(service string, changes *listener) {
	node := f.registry.servicePath(service)
	f.services[service] = &folder{path: node, seen: make(map[string]struct{}), stop: f.link.listen(changes, node)}
}

// lookAtServices looks which services there are, and at those that are new.
func (f *following) lookAtServices(ctx context.Context, s *session, changes *listener) error {
	names, _, err := children(ctx, s, f.registry.servicesPath())
	if err != nil {
		return err
	}
	known := make(map[string]bool) // those that this session or an earlier one has seen
	for _, inst := range f.view.there {
		known[inst.Service] = true
	}
	for _, name := range names {
		known[name] = true
	}
	for name := range known {
		if discovery.CheckName(name) != nil || f.services[name] != nil {
			continue
		}
		f.add(name, changes)
		if err := f.lookAtService(ctx, s, name); err != nil {
			return err
		}
	}
	return nil
}

// children returns the names of a node's children, and when it was made. It asks to be told of changes: also of its making, if it is not
// there.
func children(ctx context.Context, s *session, node string) (names []string, made int64, err error) {
	type answer struct {
		names []string
		made  int64
	}
	a, err := ask(ctx, func() (a answer, err error) {
		for {
			names, stat, _, err := s.conn.ChildrenW(node)
			if !errors.Is(err, zk.ErrNoNode) {
				if err == nil {
					a = answer{names, stat.Czxid}
				}
				return a, err
			}
			there, _, _, err := s.conn.ExistsW(node)
			if !there || err != nil {
				return a, err
			}
		}
	})
	return a.names, a.made, err
}

// lookAtService looks which instances a service has, and reads the records of those that are new.
func (f *following) lookAtService(ctx context.Context, s *session, service string) error {
	folder := f.services[service]
	ids, made, err := children(ctx, s, folder.path)
	if err != nil {
		return err
	}
	doubtUntil := f.link.doubtful()
	if before, ok := f.made[service]; ok && before != made { // it was deleted, with all that was in it
		if until := time.Now().Add(f.registry.opts.SessionTimeout); doubtUntil.Before(until) {
			doubtUntil = until
		}
	}
	for id := range folder.seen {
		if !slices.Contains(ids, id) {
			delete(folder.seen, id)
		}
	}
	if err := f.read(ctx, s, service, ids); err != nil {
		return err
	}
	for _, inst := range slices.Collect(maps.Values(f.view.there)) {
		if inst.Service == service && !slices.Contains(ids, inst.ID) {
			f.view.remove(viewKey(inst), time.Now(), doubtUntil)
		}
	}
	if f.made == nil {
		f.made = make(map[string]int64)
	}
	f.made[service] = made
	return nil
}

// read reads the records that were not seen yet. Those that cannot be understood are not put into the view.
func (f *following) read(ctx context.Context, s *session, service string, ids []string) error {
	var (
		folder = f.services[service]
		mu     sync.Mutex
		wg     sync.WaitGroup
		failed error
		slots  = make(chan struct{}, readers)
	)
	unseen := slices.DeleteFunc(slices.Clone(ids), func(id string) bool {
		_, seen := folder.seen[id]
		return seen
	})
	for _, id := range unseen {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			record, err := ask(ctx, func() ([]byte, error) {
				data, _, _, err := s.conn.GetW(folder.path + "/" + id)
				return data, err
			})
			mu.Lock()
			defer mu.Unlock()
			switch {
			case errors.Is(err, zk.ErrNoNode): // it has gone meanwhile, and the folder's watch says so
			case err != nil:
				failed = err
			default:
				folder.seen[id] = struct{}{}
				if inst, ok := f.parse(service, id, record); ok {
					f.view.put(inst)
				} else {
					f.view.remove(service+"/"+id, time.Time{}, time.Time{})
				}
			}
		})
	}
	wg.Wait()
	return failed
}

// parse reads the record of an instance, and says which one cannot be understood.
func (f *following) parse(service, id string, record []byte) (discovery.Instance, bool) {
	inst, err := discovery.ParseRecord(record)
	if err == nil && (inst.Service != service || inst.ID != id) {
		err = fmt.Errorf("it is the record of instance %s of %s", inst.ID, inst.Service)
	}
	if err != nil {
		f.registry.opts.Logger.Warn("record in ZooKeeper ignored", "node", f.registry.instancePath(service, id), "error", strings.TrimPrefix(err.Error(), "discovery: "))
		return discovery.Instance{}, false
	}
	return inst, true
}
