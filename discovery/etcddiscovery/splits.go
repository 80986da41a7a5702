package etcddiscovery

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hanse-go/hanse/discovery"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

var _ discovery.Splitter = (*Registry)(nil)

// splitKey is where the split of a service is; what the keys of all splits begin with if the name is empty.
func (r *Registry) splitKey(service string) string { return r.root() + "splits/" + service }

// SetSplit implements [discovery.Splitter]. While etcd is away it tries until ctx ends, for at most 10 s.
func (r *Registry) SetSplit(ctx context.Context, split discovery.Split) error {
	if r.err != nil {
		return r.err
	}
	if err := split.Validate(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, announceTime)
	defer cancel()
	record, err := split.Record()
	if err != nil {
		return err
	}
	err = try(ctx, func() error {
		if split.Off() {
			_, err := r.client.Delete(ctx, r.splitKey(split.Service))
			return err
		}
		_, err := r.client.Put(ctx, r.splitKey(split.Service), string(record))
		return err
	})
	if err != nil {
		return r.explain("set the split of "+split.Service, err)
	}
	return nil
}

// WatchSplits implements [discovery.Splitter]. While etcd is away the last known rules stay. Rules are nobody's who could set them again,
// so they are lost when etcd is wiped.
func (r *Registry) WatchSplits(ctx context.Context, service string, notify func([]discovery.Split)) error {
	if r.err != nil {
		return r.err
	}
	if service != "" {
		if err := discovery.CheckName(service); err != nil {
			return err
		}
	}
	p := r.joinPulse()
	defer r.leavePulse(p)
	s := &splitting{registry: r, pulse: p, service: service, notify: notify, splits: make(map[string]discovery.Split)}
	s.run(ctx)
	return nil
}

// splitting follows the split of one service, or those of all, as [following] follows instances.
type splitting struct {
	registry *Registry
	pulse    *pulse
	service  string
	notify   func([]discovery.Split)

	splits   map[string]discovery.Split // by service
	told     bool
	revision int64
}

func (s *splitting) run(ctx context.Context) {
	failures := 0
	for {
		life := s.pulse.current()
		err := s.relist(ctx)
		if err == nil {
			failures = 0
			err = s.followChanges(ctx, life)
		}
		if ctx.Err() != nil {
			return
		}
		if errors.Is(err, errWiped) || errors.Is(err, rpctypes.ErrCompacted) {
			continue
		}
		if !s.told {
			s.tell() // what is known: nothing
			s.registry.opts.Logger.Warn("split rules cannot be read; tried again", "service", s.service, "error", s.registry.explain("read split rules", err))
		}
		failures++
		wait(ctx, retryDelay(failures), nil)
	}
}

func (s *splitting) tell() {
	s.told = true
	list := make([]discovery.Split, 0, len(s.splits))
	for _, service := range slices.Sorted(maps.Keys(s.splits)) {
		list = append(list, s.splits[service].Clone())
	}
	s.notify(list)
}

// reach are the options for what is followed: a key, or all that begin with it.
func (s *splitting) reach(opts ...clientv3.OpOption) []clientv3.OpOption {
	if s.service == "" {
		opts = append(opts, clientv3.WithPrefix())
	}
	return opts
}

func (s *splitting) relist(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, operation)
	defer cancel()
	res, err := s.registry.client.Get(ctx, s.registry.splitKey(s.service), s.reach()...)
	if err != nil {
		return err
	}
	before := s.splits
	s.splits = make(map[string]discovery.Split)
	for _, kv := range res.Kvs {
		s.put(kv, before)
	}
	s.revision = res.Header.GetRevision()
	s.tell()
	return nil
}

func (s *splitting) followChanges(ctx, life context.Context) error {
	ctx, cancel := context.WithCancel(clientv3.WithRequireLeader(ctx))
	defer cancel()
	defer context.AfterFunc(life, cancel)()
	for res := range s.registry.client.Watch(ctx, s.registry.splitKey(s.service), s.reach(clientv3.WithRev(s.revision+1))...) {
		if res.Err() != nil {
			return res.Err()
		}
		for _, event := range res.Events {
			if event.Type == clientv3.EventTypePut {
				s.put(event.Kv, s.splits)
			} else {
				delete(s.splits, strings.TrimPrefix(string(event.Kv.Key), s.registry.splitKey("")))
			}
		}
		if len(res.Events) > 0 {
			s.tell()
		}
	}
	if life.Err() != nil {
		return errWiped
	}
	return errors.New("the watch ended")
}

// put takes a record. One that cannot be understood changes nothing: what was known before stays.
func (s *splitting) put(kv *mvccpb.KeyValue, before map[string]discovery.Split) {
	service := strings.TrimPrefix(string(kv.GetKey()), s.registry.splitKey(""))
	split, err := discovery.ParseSplit(kv.GetValue())
	if err == nil && split.Service != service {
		err = fmt.Errorf("it is the split of %s", split.Service)
	}
	if err != nil {
		s.registry.opts.Logger.Warn("split rules in etcd ignored", "key", string(kv.GetKey()), "error", strings.TrimPrefix(err.Error(), "discovery: "))
		if known, ok := before[service]; ok {
			s.splits[service] = known
		}
		return
	}
	s.splits[service] = split
}
