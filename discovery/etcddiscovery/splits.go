package etcddiscovery

import (
	"cmp"
	"context"
	"errors"
	"strings"
	"time"

	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/discovery/driver"
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

var _ discovery.Splitter = (*Registry)(nil)

// setTime bounds the setting of rules.
const setTime = 10 * time.Second

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
	ctx, cancel := context.WithTimeout(ctx, setTime)
	defer cancel()
	record, err := split.Record()
	if err != nil {
		return err
	}
	err = try(ctx, func(ctx context.Context) error {
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
	p.follow(ctx, "split rules of "+cmp.Or(service, "all services"), &splitting{registry: r, service: service, notify: notify})
	return nil
}

// splitting follows the split of one service, or those of all, as [following] follows instances.
type splitting struct {
	registry *Registry
	service  string
	notify   func([]discovery.Split)

	view     driver.SplitView
	revision int64
}

func (s *splitting) tell() { s.notify(s.view.List()) }

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
	there := make(map[string]bool)
	for _, kv := range res.Kvs {
		s.put(kv)
		there[s.serviceOf(kv)] = true
	}
	s.view.Retain(there)
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
				s.put(event.Kv)
			} else {
				s.view.Remove(s.serviceOf(event.Kv))
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

func (s *splitting) serviceOf(kv *mvccpb.KeyValue) string {
	return strings.TrimPrefix(string(kv.GetKey()), s.registry.splitKey(""))
}

// put takes a record, and says which one cannot be understood.
func (s *splitting) put(kv *mvccpb.KeyValue) {
	if err := s.view.Put(s.serviceOf(kv), kv.GetValue()); err != nil {
		s.registry.opts.Logger.Warn("split rules in etcd ignored", "key", string(kv.GetKey()), "error", strings.TrimPrefix(err.Error(), "discovery: "))
	}
}
