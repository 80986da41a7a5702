package consuldiscovery

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/discovery/driver"
)

var _ discovery.Splitter = (*Registry)(nil)

// setTime bounds the setting of rules.
const setTime = 10 * time.Second

// splitKey is the key of the split of a service; what the keys of all splits begin with if the name is empty.
func (r *Registry) splitKey(service string) string {
	tag := url.PathEscape(cmp.Or(r.Tag, "default"))
	if tag == "." || tag == ".." { // Consul takes these out of paths
		tag = strings.ReplaceAll(tag, ".", "%2E")
	}
	return "hanse/" + tag + "/splits/" + service
}

// SetSplit implements [discovery.Splitter]. While Consul is away it tries until ctx ends, for at most 10 s. Of rules that are set at the same
// time the last ones stay.
func (r *Registry) SetSplit(ctx context.Context, split discovery.Split) error {
	if err := r.check(); err != nil {
		return fmt.Errorf("consuldiscovery: %w", err)
	}
	if err := split.Validate(); err != nil {
		return err
	}
	var record []byte // none takes the rules away
	if !split.Off() {
		var err error
		if record, err = split.Record(); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, setTime)
	defer cancel()
	if err := r.setKey(ctx, r.splitKey(split.Service), record); err != nil {
		return fmt.Errorf("consuldiscovery: set the split of %s: %w", split.Service, err)
	}
	return nil
}

// setKey writes a key whatever it is, or deletes it if there is no value, until that has been done.
//
// An answer that is lost leaves open whether the key was written. It is read again then, so that what somebody else wrote after that is
// not written over.
func (r *Registry) setKey(ctx context.Context, name string, value []byte) error {
	var open *key // what the key was before a write whose answer was lost
	for failures := 0; ; {
		was, err := r.readKey(ctx, name)
		if err == nil {
			if value == nil && was.ModifyIndex == 0 || value != nil && bytes.Equal(was.Value, value) {
				return nil
			}
			if open != nil && open.ModifyIndex != was.ModifyIndex {
				return errors.New("somebody else has set it at the same time: look what is in force")
			}
			var done bool
			if done, err = r.writeKey(ctx, name, was.ModifyIndex, value); done {
				return nil
			}
			if err != nil {
				open = &was
			}
		}
		if err == nil {
			continue // somebody else was faster
		}
		if code := driver.StatusOf(err); code/100 == 4 && code != http.StatusTooManyRequests {
			return err
		}
		failures++
		driver.Sleep(ctx, driver.Backoff(failures, maxRetry))
		if ctx.Err() != nil {
			return err
		}
	}
}

// WatchSplits implements [discovery.Splitter]. While Consul is away the last known rules stay. Rules are nobody's who could set them again, so
// they are lost when Consul is wiped. However many services are watched here, Consul is asked once.
func (r *Registry) WatchSplits(ctx context.Context, service string, notify func([]discovery.Split)) error {
	if service != "" {
		if err := discovery.CheckName(service); err != nil {
			return err
		}
	}
	spoke, said := false, []discovery.Split(nil)
	return r.splits.Watch(ctx, "", func(list []discovery.Split) {
		if service != "" {
			list = slices.DeleteFunc(list, func(s discovery.Split) bool { return s.Service != service })
		}
		if spoke && len(list) == len(said) && (len(list) == 0 || reflect.DeepEqual(list, said)) {
			return // another service's have changed
		}
		spoke, said = true, make([]discovery.Split, len(list))
		for i, split := range list {
			said[i] = split.Clone()
		}
		notify(list)
	}, r.followSplits)
}

// followSplits is one watch, of all rules, for all that watch some here.
func (r *Registry) followSplits(ctx context.Context, _ string, notify func([]discovery.Split)) error {
	if err := r.check(); err != nil {
		return fmt.Errorf("consuldiscovery: %w", err)
	}
	defer r.http.Release()
	var view driver.SplitView
	var ignored driver.Ignored
	q := &query{
		registry: r, path: keyPath(r.splitKey("")), params: url.Values{"recurse": {""}}, what: "split rules", keys: true,
		learn: func(body []byte, _ bool) (time.Duration, error) {
			var list []key
			if err := json.Unmarshal(body, &list); err != nil {
				return 0, fmt.Errorf("malformed answer: %w", err)
			}
			there, bad := make(map[string]bool), make(map[string]error)
			for _, k := range list {
				service := strings.TrimPrefix(k.Key, r.splitKey(""))
				if service == "" {
					continue // the folder itself, as Consul's pages make it
				}
				there[service] = true
				if err := view.Put(service, k.Value); err != nil {
					bad[k.Key] = err
				}
			}
			view.Retain(there)
			ignored.Warn(r.logger(), "Consul: split rules ignored", bad)
			notify(view.List())
			return longWait, nil
		},
		failed: func() { notify(view.List()) },
	}
	q.follow(ctx)
	return nil
}
