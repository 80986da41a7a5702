package natsdiscovery

import (
	"cmp"
	"context"
	"strings"
	"time"

	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/discovery/driver"
)

// setTime bounds the setting of rules.
const setTime = 20 * time.Second

// SetSplit implements [discovery.Splitter]. While NATS is away it tries until ctx ends, for at most 20 s.
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
	b := r.rules()
	err = r.try(ctx, b, func(ctx context.Context) error {
		m := b.message(split.Service, record)
		if split.Off() {
			m = b.deletion(split.Service)
		}
		_, err := r.put(ctx, b, m, "", -1)
		return err
	})
	if err != nil {
		return r.explain("set the split of "+split.Service, err)
	}
	return nil
}

// WatchSplits implements [discovery.Splitter]. While NATS is away the last known rules stay. Rules are nobody's who could set them again,
// so they are lost when NATS is wiped.
func (r *Registry) WatchSplits(ctx context.Context, service string, notify func([]discovery.Split)) error {
	if r.err != nil {
		return r.err
	}
	return r.splits.Watch(ctx, service, notify, func(ctx context.Context, service string, notify func([]discovery.Split)) error {
		f := &splitting{registry: r, notify: notify}
		r.followKeys(ctx, "split rules of "+cmp.Or(service, "all services"), r.rules(), cmp.Or(service, "*"), f)
		return nil
	})
}

// splitting follows the split of one service, or those of all, as [following] follows instances.
type splitting struct {
	registry *Registry
	notify   func([]discovery.Split)
	view     driver.SplitView
}

func (s *splitting) tell()         { s.notify(s.view.List()) }
func (*splitting) next() time.Time { return time.Time{} }
func (*splitting) expire()         {}

func (s *splitting) all(keys []change, _ bool) {
	there := make(map[string]bool)
	for _, c := range keys {
		s.put(c)
		there[c.key] = true
	}
	s.view.Retain(there)
	s.tell()
}

func (s *splitting) one(c change) {
	if c.gone {
		s.view.Remove(c.key)
	} else {
		s.put(c)
	}
	s.tell()
}

// put takes a record, and says which one cannot be understood.
func (s *splitting) put(c change) {
	if err := s.view.Put(c.key, c.value); err != nil {
		s.registry.opts.Logger.Warn("split rules in NATS ignored", "key", "splits/"+c.key, "error", strings.TrimPrefix(err.Error(), "discovery: "))
	}
}
