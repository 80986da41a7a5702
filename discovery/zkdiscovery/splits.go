package zkdiscovery

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/go-zookeeper/zk"
	"github.com/hanse-go/hanse/discovery"
)

var _ discovery.Splitter = (*Registry)(nil)

func (r *Registry) splitsPath() string { return r.root() + "/splits" }

func (r *Registry) splitPath(service string) string { return r.splitsPath() + "/" + service }

// SetSplit implements [discovery.Splitter]. While ZooKeeper is away it tries until ctx ends, for at most 10 s.
func (r *Registry) SetSplit(ctx context.Context, split discovery.Split) error {
	if r.err != nil {
		return r.err
	}
	if err := split.Validate(); err != nil {
		return err
	}
	record, err := split.Record()
	if err != nil {
		return err
	}
	l := r.joinLink()
	defer r.leaveLink(l)
	ctx, cancel := context.WithTimeout(ctx, announceTime)
	defer cancel()
	err = l.try(ctx, func(s *session) error {
		_, err := ask(ctx, func() (struct{}, error) {
			if split.Off() {
				err := s.conn.Delete(r.splitPath(split.Service), -1)
				if errors.Is(err, zk.ErrNoNode) {
					err = nil
				}
				return struct{}{}, err
			}
			if err := r.makeFolder(s, r.splitPath(split.Service)); err != nil {
				return struct{}{}, err
			}
			_, err := s.conn.Set(r.splitPath(split.Service), record, -1)
			return struct{}{}, err
		})
		return err
	})
	if err != nil {
		return r.explain("set the split of "+split.Service, err)
	}
	return nil
}

// WatchSplits implements [discovery.Splitter]. While ZooKeeper is away the last known rules stay. Rules are nobody's who could set them
// again, so they are lost when ZooKeeper is wiped.
func (r *Registry) WatchSplits(ctx context.Context, service string, notify func([]discovery.Split)) error {
	if r.err != nil {
		return r.err
	}
	if service != "" {
		if err := discovery.CheckName(service); err != nil {
			return err
		}
	}
	l := r.joinLink()
	defer r.leaveLink(l)
	s := &splitting{registry: r, link: l, service: service, notify: notify}
	s.run(ctx)
	return nil
}

// splitting follows the split of one service, or those of all, as [following] follows instances.
type splitting struct {
	registry *Registry
	link     *link
	service  string
	notify   func([]discovery.Split)

	splits map[string]discovery.Split // by service
	told   bool
}

func (f *splitting) run(ctx context.Context) {
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
			f.tell() // what is known: nothing
		}
		if failures++; failures == 1 {
			f.registry.opts.Logger.Warn("split rules cannot be read; tried again", "service", f.service, "error", f.registry.explain("read split rules", err))
		}
		wait(ctx, retryDelay(failures), nil)
	}
}

// begin follows in one session. It returns errSessionLost when that has ended.
func (f *splitting) begin(ctx context.Context) error {
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

// follow reads all that is followed, and again what has changed.
func (f *splitting) follow(ctx context.Context, s *session) error {
	changes := newListener()
	folder := f.registry.splitsPath()
	defer f.link.listen(changes, folder)()
	changed := map[string]struct{}{folder: {}}
	if f.service != "" {
		changed = map[string]struct{}{f.registry.splitPath(f.service): {}}
	}
	before := f.splits
	f.splits = make(map[string]discovery.Split)
	for {
		if _, ok := changed[folder]; ok && f.service == "" {
			names, _, err := children(ctx, s, folder)
			if err != nil {
				f.splits = before
				return err
			}
			for _, name := range names {
				if _, known := f.splits[name]; !known {
					changed[folder+"/"+name] = struct{}{}
				}
			}
		}
		for node := range changed {
			service := path.Base(node)
			if path.Dir(node) != folder || f.service != "" && service != f.service {
				continue
			}
			if err := f.read(ctx, s, service, before); err != nil {
				f.splits = before
				return err
			}
		}
		f.tell()
		before = f.splits
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changes.wake:
			changed = changes.take()
		}
	}
}

// read reads the split of a service, and asks to be told of the next change. A record that cannot be understood changes nothing: what was
// known before stays.
func (f *splitting) read(ctx context.Context, s *session, service string, before map[string]discovery.Split) error {
	node := f.registry.splitPath(service)
	record, err := ask(ctx, func() ([]byte, error) {
		for {
			record, _, _, err := s.conn.GetW(node)
			if !errors.Is(err, zk.ErrNoNode) || f.service == "" { // the folder's watch tells of nodes that are made
				return record, err
			}
			if there, _, _, err := s.conn.ExistsW(node); !there || err != nil {
				return nil, err
			}
		}
	})
	if errors.Is(err, zk.ErrNoNode) || err == nil && len(record) == 0 { // it is not there, or was made and has no content yet
		delete(f.splits, service)
		return nil
	}
	if err != nil {
		return err
	}
	split, err := discovery.ParseSplit(record)
	if err == nil && split.Service != service {
		err = fmt.Errorf("it is the split of %s", split.Service)
	}
	if err != nil {
		f.registry.opts.Logger.Warn("split rules in ZooKeeper ignored", "node", node, "error", strings.TrimPrefix(err.Error(), "discovery: "))
		if known, ok := before[service]; ok {
			f.splits[service] = known
		}
		return nil
	}
	f.splits[service] = split
	return nil
}

func (f *splitting) tell() {
	f.told = true
	list := make([]discovery.Split, 0, len(f.splits))
	for _, service := range slices.Sorted(maps.Keys(f.splits)) {
		list = append(list, f.splits[service].Clone())
	}
	f.notify(list)
}
