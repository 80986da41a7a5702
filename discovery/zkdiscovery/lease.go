package zkdiscovery

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"path"
	"sync"
	"time"

	"github.com/go-zookeeper/zk"
	"github.com/hanse-go/hanse/discovery"
)

const (
	announceTime = 10 * time.Second // for an announcement
	withdrawTime = 2 * time.Second  // for the last word
)

// lease keeps one instance announced, by nodes of the session, which it makes again when they are lost.
type lease struct {
	registry *Registry
	link     *link
	service  string
	id       string
	token    string // tells who has the ID
	changes  *listener
	unlisten []func()
	cancel   context.CancelFunc
	kept     sync.WaitGroup

	mu     sync.Mutex
	record []byte // what is to be announced
	closed bool

	busy chan struct{} // holds a value while ZooKeeper is asked to change something
}

var _ discovery.Lease = (*lease)(nil)

func (r *Registry) announce(ctx context.Context, inst discovery.Instance) (*lease, error) {
	if err := inst.Validate(); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	record, err := inst.Record()
	if err != nil {
		return nil, err
	}
	l := &lease{
		registry: r, link: r.joinLink(), service: inst.Service, id: inst.ID, token: rand.Text() + " " + inst.Service,
		changes: newListener(), busy: make(chan struct{}, 1), record: record,
	}
	ctx, cancel := context.WithTimeout(ctx, announceTime)
	defer cancel()
	if err := l.put(ctx); err != nil {
		if !errors.Is(err, discovery.ErrTaken) {
			err = errors.Join(r.explain(fmt.Sprintf("announce %s of %s", inst.ID, inst.Service), err), l.withdraw())
		}
		r.leaveLink(l.link)
		return nil, err
	}
	keeping, cancel := context.WithCancel(context.Background())
	l.cancel = cancel
	for _, node := range []string{r.idPath(l.id), r.instancePath(l.service, l.id)} {
		l.unlisten = append(l.unlisten, l.link.listen(l.changes, node))
	}
	l.kept.Go(func() { l.keep(keeping) })
	return l, nil
}

// Update implements [discovery.Lease]. When ZooKeeper does not take the record in time, that is an error, and it is announced later.
func (l *lease) Update(ctx context.Context, inst discovery.Instance) error {
	if l.service != inst.Service || l.id != inst.ID {
		return fmt.Errorf("zkdiscovery: update of instance %s of %s names %s of %s: service and ID of a lease cannot change", l.id, l.service, inst.ID, inst.Service)
	}
	if err := inst.Validate(); err != nil {
		return err
	}
	record, err := inst.Record()
	if err != nil {
		return err
	}
	l.mu.Lock()
	closed := l.closed
	l.record = record
	l.mu.Unlock()
	if closed {
		return fmt.Errorf("%w: %s of %s", discovery.ErrClosed, l.id, l.service)
	}
	ctx, cancel := context.WithTimeout(ctx, announceTime)
	defer cancel()
	err = l.begin(ctx)
	if err == nil {
		err = l.put(ctx)
		l.end()
	}
	if err != nil {
		poke(l.changes.wake)
		return l.registry.explain(fmt.Sprintf("update %s of %s (it is done when ZooKeeper takes it)", l.id, l.service), err)
	}
	return nil
}

// Close implements [discovery.Lease]. When ZooKeeper does not answer, that is an error, and the instance vanishes when it does, or when the
// session ends.
func (l *lease) Close() error {
	l.mu.Lock()
	closed := l.closed
	l.closed = true
	l.mu.Unlock()
	if closed {
		return nil
	}
	l.cancel()
	l.kept.Wait()
	_ = l.begin(context.Background()) // an update may be under way
	defer l.end()
	for _, stop := range l.unlisten {
		stop()
	}
	defer l.registry.leaveLink(l.link)
	if err := l.withdraw(); err != nil {
		return l.registry.explain(fmt.Sprintf("withdraw %s of %s (it vanishes within %v after ZooKeeper is back)", l.id, l.service, l.registry.opts.SessionTimeout), err)
	}
	return nil
}

// wanted returns what is to be announced; after Close it is nothing any more.
func (l *lease) wanted() ([]byte, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, fmt.Errorf("%w: %s of %s", discovery.ErrClosed, l.id, l.service)
	}
	return l.record, nil
}

func (l *lease) begin(ctx context.Context) error {
	select {
	case l.busy <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (l *lease) end() { <-l.busy }

// put announces the record. While ZooKeeper is away it tries again until ctx ends. It returns [discovery.ErrTaken] when another has the ID.
func (l *lease) put(ctx context.Context) error {
	return l.link.try(ctx, func(s *session) error { return l.putIn(ctx, s) })
}

// putIn announces the record in a session.
func (l *lease) putIn(ctx context.Context, s *session) error {
	record, err := l.wanted()
	if err != nil {
		return err
	}
	r := l.registry
	acl := r.opts.ACL
	idPath, instPath := r.idPath(l.id), r.instancePath(l.service, l.id)
	create := []any{
		&zk.CreateRequest{Path: idPath, Data: []byte(l.token), Acl: acl, Flags: zk.FlagEphemeral},
		&zk.CreateRequest{Path: instPath, Data: record, Acl: acl, Flags: zk.FlagEphemeral},
	}
	owner, state, err := l.look(ctx, s)
	switch {
	case err != nil:
		return err
	case state == free:
		err = multi(ctx, s, create)
		if errors.Is(err, zk.ErrNoNode) {
			if err = r.makeFolders(ctx, s, l.service); err == nil {
				err = multi(ctx, s, create)
			}
		}
		return err
	case state == taken:
		return fmt.Errorf("%w: %s of %s", discovery.ErrTaken, l.id, l.service)
	case owner == s.id:
		_, err = ask(ctx, func() (*zk.Stat, error) { return s.conn.Set(instPath, record, -1) })
		if !errors.Is(err, zk.ErrNoNode) {
			return err
		}
		err = multi(ctx, s, create[1:]) // somebody deleted it
		if errors.Is(err, zk.ErrNoNode) {
			if err = r.makeFolders(ctx, s, l.service); err == nil {
				err = multi(ctx, s, create[1:])
			}
		}
		return err
	}
	// The nodes are from a session of ours that is lost and has not ended yet. Watchers see the change, and no time without a node.
	err = multi(ctx, s, append([]any{&zk.DeleteRequest{Path: idPath, Version: -1}, &zk.DeleteRequest{Path: instPath, Version: -1}}, create...))
	if errors.Is(err, zk.ErrNoNode) { // one of them has gone
		err = multi(ctx, s, []any{&zk.DeleteRequest{Path: idPath, Version: -1}})
	}
	return err
}

// who has an ID
type state int

const (
	free state = iota
	taken
	ours
)

// look returns who has the ID, and in which session.
func (l *lease) look(ctx context.Context, s *session) (owner int64, _ state, _ error) {
	return holder(ctx, s, l.registry.idPath(l.id), l.token, false)
}

// holder returns who has the ID, and asks to be told of changes if watch is set.
func holder(ctx context.Context, s *session, idPath, token string, watch bool) (owner int64, _ state, _ error) {
	type node struct {
		data []byte
		stat *zk.Stat
	}
	n, err := ask(ctx, func() (n node, err error) {
		if watch {
			n.data, n.stat, _, err = s.conn.GetW(idPath)
		} else {
			n.data, n.stat, err = s.conn.Get(idPath)
		}
		return n, err
	})
	switch {
	case errors.Is(err, zk.ErrNoNode):
		return 0, free, nil
	case err != nil:
		return 0, 0, err
	case string(n.data) != token:
		return n.stat.EphemeralOwner, taken, nil
	}
	return n.stat.EphemeralOwner, ours, nil
}

// multi does all of the requests or none.
func multi(ctx context.Context, s *session, requests []any) error {
	_, err := ask(ctx, func() (struct{}, error) {
		results, err := s.conn.Multi(requests...)
		for _, r := range results {
			for _, telling := range []error{zk.ErrNoNode, zk.ErrNodeExists, zk.ErrNoAuth, zk.ErrInvalidACL} {
				if errors.Is(r.Error, telling) {
					return struct{}{}, r.Error
				}
			}
			if r.Error != nil && err == nil {
				err = r.Error
			}
		}
		return struct{}{}, err
	})
	return err
}

// makeFolders makes the nodes that hold those of a service's instances.
func (r *Registry) makeFolders(ctx context.Context, s *session, service string) error {
	_, err := ask(ctx, func() (struct{}, error) {
		for _, node := range []string{r.root() + "/ids", r.servicePath(service)} {
			if err := r.makeFolder(s, node); err != nil {
				return struct{}{}, err
			}
		}
		return struct{}{}, nil
	})
	return err
}

func (r *Registry) makeFolder(s *session, node string) error {
	_, err := s.conn.Create(node, nil, 0, r.opts.ACL)
	if errors.Is(err, zk.ErrNoNode) && node != "/" {
		if err := r.makeFolder(s, path.Dir(node)); err != nil {
			return err
		}
		_, err = s.conn.Create(node, nil, 0, r.opts.ACL)
	}
	if errors.Is(err, zk.ErrNodeExists) {
		return nil
	}
	return err
}

// withdraw deletes the nodes; what cannot be deleted is, when there is a session again.
func (l *lease) withdraw() error {
	ctx, cancel := context.WithTimeout(context.Background(), withdrawTime)
	defer cancel()
	s, err := l.link.session(ctx)
	if err == nil {
		err = withdraw(ctx, s, l.registry.idPath(l.id), l.registry.instancePath(l.service, l.id), l.token)
	}
	if err != nil {
		l.link.remember(litter{l.registry.idPath(l.id), l.registry.instancePath(l.service, l.id), l.token})
	}
	return err
}

// litter are the nodes of an instance that could not be withdrawn.
type litter struct{ idPath, instPath, token string }

// withdraw deletes the nodes of an instance if the ID is still held by the token.
func withdraw(ctx context.Context, s *session, idPath, instPath, token string) error {
	_, state, err := holder(ctx, s, idPath, token, false)
	if err != nil || state != ours {
		return err
	}
	err = multi(ctx, s, []any{&zk.DeleteRequest{Path: instPath, Version: -1}, &zk.DeleteRequest{Path: idPath, Version: -1}})
	if errors.Is(err, zk.ErrNoNode) { // one of them has gone
		err = multi(ctx, s, []any{&zk.DeleteRequest{Path: idPath, Version: -1}})
	}
	if errors.Is(err, zk.ErrNoNode) {
		return nil
	}
	return err
}

// keep sees that the instance stays announced.
func (l *lease) keep(ctx context.Context) {
	failures := 0
	for ctx.Err() == nil {
		err := l.hold(ctx)
		if err == nil {
			failures = 0
			continue
		}
		if failures++; failures == 1 && ctx.Err() == nil {
			l.registry.opts.Logger.Warn("instance cannot be kept announced; tried again", "service", l.service, "instance", l.id, "error", l.registry.explain("keep it announced", err))
		}
		wait(ctx, retryDelay(failures), nil)
	}
}

// hold announces the instance if it is not, and again when something happens to it, for as long as the session lives.
func (l *lease) hold(ctx context.Context) error {
	s, err := l.link.session(ctx)
	if err != nil {
		return err
	}
	changed := map[string]struct{}{l.registry.idPath(l.id): {}, l.registry.instancePath(l.service, l.id): {}} // whatever happened before
	for {
		if err := l.restore(ctx, s, changed); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-s.life.Done():
			return nil
		case <-l.changes.wake:
			changed = l.changes.take()
		}
	}
}

// restore makes sure that the instance is announced in the session. It asks to be told of the next change of the nodes that have changed.
func (l *lease) restore(ctx context.Context, s *session, changed map[string]struct{}) error {
	ctx, cancel := context.WithTimeout(ctx, announceTime)
	defer cancel()
	if err := l.begin(ctx); err != nil {
		return err
	}
	defer l.end()
	idPath, instPath := l.registry.idPath(l.id), l.registry.instancePath(l.service, l.id)
	for range 3 {
		_, watchID := changed[idPath]
		_, watchInst := changed[instPath]
		owner, state, err := holder(ctx, s, idPath, l.token, watchID)
		if err != nil {
			return err
		}
		if state == ours && owner == s.id {
			delete(changed, idPath)
			record, err := ask(ctx, func() (record []byte, err error) {
				if watchInst {
					record, _, _, err = s.conn.GetW(instPath)
				} else {
					record, _, err = s.conn.Get(instPath)
				}
				return record, err
			})
			if err == nil {
				delete(changed, instPath)
			}
			wanted, closed := l.wanted()
			if closed != nil {
				return closed
			}
			if err == nil && string(record) == string(wanted) {
				return nil
			} else if err != nil && !errors.Is(err, zk.ErrNoNode) {
				return err
			}
		}
		if err := l.put(ctx); err != nil {
			return err
		}
		l.registry.opts.Logger.Info("instance announced again: it was not in ZooKeeper as it should be", "service", l.service, "instance", l.id)
	}
	return errors.New("what was announced was changed at once by another")
}
