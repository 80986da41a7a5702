package zkdiscovery

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-zookeeper/zk"
	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/discovery/driver"
)

// readers is how many records are asked for at the same time.
const readers = 16

// follow is one watch for all that watch a service here.
func (r *Registry) follow(ctx context.Context, service string, notify func([]discovery.Instance)) error {
	l := r.joinLink()
	defer r.leaveLink(l)
	l.inSessions(ctx, "instances of "+cmp.Or(service, "all services"), &following{registry: r, link: l, service: service, notify: notify})
	return nil
}

// follower looks at what there is, tells it, and looks again after each change, in one session.
type follower interface {
	follow(ctx context.Context, s *session, tell func()) error
	tell()
}

// inSessions has f follow what is called what, in one session after the other, until ctx ends.
func (l *link) inSessions(ctx context.Context, what string, f follower) {
	failures, told := 0, false
	tell := func() {
		told = true
		f.tell()
	}
	for ctx.Err() == nil {
		err := l.inSession(ctx, f, tell, told)
		if ctx.Err() != nil {
			return
		}
		if errors.Is(err, errSessionLost) {
			failures = 0
			continue
		}
		if !told {
			tell() // what is known: nothing. Who has other registries to ask must not wait for this one
		}
		if failures++; failures == 1 {
			l.registry.opts.Logger.Warn(what+" cannot be read; tried again", "error", l.registry.explain("read "+what, err))
		}
		driver.Sleep(ctx, driver.Backoff(failures, hurry))
	}
}

// inSession follows in one session. It returns errSessionLost when that has ended. Who has not told anything yet waits for a session for the
// time of an operation only.
func (l *link) inSession(ctx context.Context, f follower, tell func(), told bool) error {
	first, cancel := ctx, context.CancelFunc(func() {})
	if !told {
		first, cancel = context.WithTimeout(ctx, operation)
	}
	s, err := l.session(first)
	cancel()
	if err != nil {
		return err
	}
	ctx, cancel = context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.life, cancel)()
	err = f.follow(ctx, s, tell)
	if s.life.Err() != nil {
		return errSessionLost
	}
	return err
}

// following follows one service, or all of them. ZooKeeper tells once that a node has changed, so each change is followed by a look that
// asks to be told again: what happens in between is seen by the look.
type following struct {
	registry *Registry
	link     *link
	service  string
	notify   func([]discovery.Instance)

	view     driver.View
	services map[string]*folder // by name; in this session
	made     map[string]int64   // when the folder of a service was made, as ZooKeeper counts
}

// folder is the node of a service, as far as this session has seen it.
type folder struct {
	path string
	seen map[string]struct{} // the instances whose records were read, and are watched
	stop func()              // of the listening
}

func (f *following) tell() { f.notify(f.view.List()) }

// follow looks, and looks again after each change.
func (f *following) follow(ctx context.Context, s *session, tell func()) error {
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
	tell()
	for {
		var expiry <-chan time.Time
		if next := f.view.NextExpiry(); !next.IsZero() {
			expiry = time.After(time.Until(next))
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-expiry:
			if err := f.link.look(ctx, s); err != nil { // it is missed some time after it went away
				return err
			}
			if f.view.Expire(f.link.doubtful()) {
				tell()
			}
		case <-changes.wake:
			if err := f.lookAgain(ctx, s, changes); err != nil {
				return err
			}
			tell()
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
	for inst := range f.view.All() {
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
	for inst := range f.view.All() {
		if inst.Service == service && !slices.Contains(ids, inst.ID) {
			f.view.Remove(service, inst.ID, doubtUntil)
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
					f.view.Put(inst)
				} else {
					f.view.Remove(service, id, time.Time{})
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
