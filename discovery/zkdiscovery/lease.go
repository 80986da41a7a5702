package zkdiscovery

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"path"

	"github.com/go-zookeeper/zk"
	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/discovery/driver"
)

// keeper keeps one instance announced, by nodes of the session, which it makes again when they are lost.
type keeper struct {
	registry *Registry
	service  string
	nodes    litter
	link     *link
	changes  *listener
	unlisten []func()
	seen     *session            // in which the nodes were looked at
	changed  map[string]struct{} // nodes of which no change is told any more
}

var _ driver.Keeper = (*keeper)(nil)

// Register implements [discovery.Registrar]. While ZooKeeper is away it tries until ctx ends, for at most 20 s. It returns
// [discovery.ErrTaken] when an instance whose session has not ended has the ID.
func (r *Registry) Register(ctx context.Context, inst discovery.Instance) (discovery.Lease, error) {
	if r.err != nil {
		return nil, r.err
	}
	nodes := litter{r.idPath(inst.ID), r.instancePath(inst.Service, inst.ID), rand.Text() + " " + inst.Service}
	return driver.Keep(ctx, inst, &keeper{registry: r, service: inst.Service, nodes: nodes, changes: newListener()}, r.opts.Logger)
}

// Put implements [driver.Keeper].
func (k *keeper) Put(ctx context.Context, inst discovery.Instance) error {
	if k.link == nil {
		k.link = k.registry.joinLink()
		for _, node := range []string{k.nodes.idPath, k.nodes.instPath} {
			k.unlisten = append(k.unlisten, k.link.listen(k.changes, node))
		}
	}
	record, err := inst.Record()
	if err != nil {
		return err
	}
	return k.link.try(ctx, func(s *session) error { return k.putIn(ctx, s, record) })
}

// putIn announces the record in a session.
func (k *keeper) putIn(ctx context.Context, s *session, record []byte) error {
	acl := k.registry.opts.ACL
	idPath, instPath := k.nodes.idPath, k.nodes.instPath
	create := []any{
		&zk.CreateRequest{Path: idPath, Data: []byte(k.nodes.token), Acl: acl, Flags: zk.FlagEphemeral},
		&zk.CreateRequest{Path: instPath, Data: record, Acl: acl, Flags: zk.FlagEphemeral},
	}
	owner, state, err := holder(ctx, s, idPath, k.nodes.token, false)
	switch {
	case err != nil:
		return err
	case state == free:
		return k.create(ctx, s, create)
	case state == taken:
		return discovery.ErrTaken
	case owner == s.id:
		_, err = ask(ctx, func() (*zk.Stat, error) { return s.conn.Set(instPath, record, -1) })
		if errors.Is(err, zk.ErrNoNode) { // somebody deleted it
			err = k.create(ctx, s, create[1:])
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

// create makes nodes, and the folders that they are in.
func (k *keeper) create(ctx context.Context, s *session, create []any) error {
	err := multi(ctx, s, create)
	if errors.Is(err, zk.ErrNoNode) {
		if err = k.registry.makeFolders(ctx, s, k.service); err == nil {
			err = multi(ctx, s, create)
		}
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

// Check implements [driver.Keeper]. It asks to be told of the next change of the nodes that have changed, and waits for one, or for the end of
// the session.
func (k *keeper) Check(ctx context.Context, inst discovery.Instance) (func(context.Context), error) {
	record, err := inst.Record()
	if err != nil {
		return nil, err
	}
	s, err := k.link.session(ctx)
	if err != nil {
		return nil, err
	}
	idPath, instPath := k.nodes.idPath, k.nodes.instPath
	if k.seen != s {
		k.seen, k.changed = s, map[string]struct{}{idPath: {}, instPath: {}}
	}
	maps.Copy(k.changed, k.changes.take())
	_, watchID := k.changed[idPath]
	_, watchInst := k.changed[instPath]
	owner, state, err := holder(ctx, s, idPath, k.nodes.token, watchID)
	if err != nil || state != ours || owner != s.id {
		return nil, err
	}
	delete(k.changed, idPath)
	there, err := ask(ctx, func() (there []byte, err error) {
		if watchInst {
			there, _, _, err = s.conn.GetW(instPath)
		} else {
			there, _, err = s.conn.Get(instPath)
		}
		return there, err
	})
	switch {
	case errors.Is(err, zk.ErrNoNode):
		return nil, nil
	case err != nil:
		return nil, err
	}
	delete(k.changed, instPath)
	if string(there) != string(record) {
		return nil, nil
	}
	return func(ctx context.Context) {
		select {
		case <-ctx.Done():
		case <-s.life.Done():
		case <-k.changes.wake:
		}
	}, nil
}

// Withdraw implements [driver.Keeper]: it deletes the nodes; what cannot be deleted is, when there is a session again.
func (k *keeper) Withdraw(ctx context.Context) error {
	if k.link == nil {
		return nil
	}
	defer k.registry.leaveLink(k.link)
	for _, stop := range k.unlisten {
		stop()
	}
	s, err := k.link.session(ctx)
	if err == nil {
		err = withdraw(ctx, s, k.nodes)
	}
	if err != nil {
		k.link.remember(k.nodes)
		return fmt.Errorf("it vanishes within %v after ZooKeeper is back: %w", k.registry.opts.SessionTimeout, err)
	}
	return nil
}

// Explain implements [driver.Keeper].
func (k *keeper) Explain(doing string, err error) error { return k.registry.explain(doing, err) }

// litter are the nodes of an instance that could not be withdrawn.
type litter struct{ idPath, instPath, token string }

// withdraw deletes the nodes of an instance if the ID is still held by the token.
func withdraw(ctx context.Context, s *session, nodes litter) error {
	_, state, err := holder(ctx, s, nodes.idPath, nodes.token, false)
	if err != nil || state != ours {
		return err
	}
	err = multi(ctx, s, []any{&zk.DeleteRequest{Path: nodes.instPath, Version: -1}, &zk.DeleteRequest{Path: nodes.idPath, Version: -1}})
	if errors.Is(err, zk.ErrNoNode) { // one of them has gone
		err = multi(ctx, s, []any{&zk.DeleteRequest{Path: nodes.idPath, Version: -1}})
	}
	if errors.Is(err, zk.ErrNoNode) {
		return nil
	}
	return err
}
