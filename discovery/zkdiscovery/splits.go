package zkdiscovery

import (
	"cmp"
	"context"
	"errors"
	"path"
	"strings"
	"time"

	"github.com/go-zookeeper/zk"
	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/discovery/driver"
)

var _ discovery.Splitter = (*Registry)(nil)

// setTime bounds the setting of rules.
const setTime = 10 * time.Second

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
	ctx, cancel := context.WithTimeout(ctx, setTime)
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
	l.inSessions(ctx, "split rules of "+cmp.Or(service, "all services"), &splitting{registry: r, link: l, service: service, notify: notify})
	return nil
}

// splitting follows the split of one service, or those of all, as [following] follows instances.
type splitting struct {
	registry *Registry
	link     *link
	service  string
	notify   func([]discovery.Split)

	view driver.SplitView
}

func (f *splitting) tell() { f.notify(f.view.List()) }

// follow reads all that is followed, and again what has changed.
func (f *splitting) follow(ctx context.Context, s *session, tell func()) error {
	changes := newListener()
	folder := f.registry.splitsPath()
	defer f.link.listen(changes, folder)()
	changed := map[string]struct{}{folder: {}}
	if f.service != "" {
		changed = map[string]struct{}{f.registry.splitPath(f.service): {}}
	}
	read := make(map[string]bool) // the services whose rules were read in this session, and are watched
	for {
		if _, ok := changed[folder]; ok && f.service == "" {
			names, _, err := children(ctx, s, folder)
			if err != nil {
				return err
			}
			there := make(map[string]bool)
			for _, name := range names {
				there[name] = true
				if !read[name] {
					changed[folder+"/"+name] = struct{}{}
				}
			}
			f.view.Retain(there)
		}
		for node := range changed {
			service := path.Base(node)
			if path.Dir(node) != folder || f.service != "" && service != f.service {
				continue
			}
			there, err := f.read(ctx, s, service)
			if err != nil {
				return err
			}
			read[service] = there
		}
		tell()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changes.wake:
			changed = changes.take()
		}
	}
}

// read reads the split of a service, asks to be told of the next change, and reports whether it is there.
func (f *splitting) read(ctx context.Context, s *session, service string) (there bool, _ error) {
	node := f.registry.splitPath(service)
	record, err := ask(ctx, func() ([]byte, error) {
		for {
			record, _, _, err := s.conn.GetW(node)
			if !errors.Is(err, zk.ErrNoNode) || f.service == "" { // the folder's watch tells of nodes that are made
				return record, err
			}
			if there, _, _, err := s.conn.ExistsW(node); !there || err != nil {
				return nil, cmp.Or(err, zk.ErrNoNode)
			}
		}
	})
	if errors.Is(err, zk.ErrNoNode) {
		f.view.Remove(service)
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if len(record) == 0 { // it was made and has no content yet
		f.view.Remove(service)
	} else if err := f.view.Put(service, record); err != nil {
		f.registry.opts.Logger.Warn("split rules in ZooKeeper ignored", "node", node, "error", strings.TrimPrefix(err.Error(), "discovery: "))
	}
	return true, nil
}
