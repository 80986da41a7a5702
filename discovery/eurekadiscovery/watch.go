package eurekadiscovery

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"reflect"
	"slices"
	"time"

	"github.com/hanse-go/hanse/discovery"
)

// Watch implements [discovery.Registry]. While no server answers, the last known instances stay. However many watch a service
// here, Eureka is asked once.
func (r *Registry) Watch(ctx context.Context, service string, notify func([]discovery.Instance)) error {
	r.mu.Lock()
	if r.shared == nil {
		r.shared = discovery.Share(follower{r})
	}
	shared := r.shared
	r.mu.Unlock()
	return shared.Watch(ctx, service, notify)
}

// follower is the registry as [discovery.Share] sees it: one watch for each call of Watch.
type follower struct{ registry *Registry }

func (f follower) Watch(ctx context.Context, service string, notify func([]discovery.Instance)) error {
	r := f.registry
	if service != "" {
		if err := discovery.CheckName(service); err != nil {
			return err
		}
	}
	if err := r.check(); err != nil {
		return fmt.Errorf("eurekadiscovery: %w", err)
	}
	defer r.release()
	w := &watch{registry: r, service: service, notify: notify}
	w.run(ctx)
	return nil
}

// watch asks for one service, or for all.
type watch struct {
	registry *Registry
	service  string
	notify   func([]discovery.Instance)

	verified bool // Eureka has answered
	told     bool
	known    []discovery.Instance
	failures int                  // in a row
	refused  int                  // the status that was logged last
	kept     []discovery.Instance // that vanished in a way that is no proof of their end, and have not come back
	until    time.Time            // how long they stay
	warned   map[string]string    // by instance ID
}

func (w *watch) run(ctx context.Context) {
	log := w.registry.logger().With("watch", w.service)
	retry := backoff{least: 250 * time.Millisecond, most: min(2*time.Second, w.registry.interval())}
	for ctx.Err() == nil {
		list, err := w.ask(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			code := statusOf(err)
			if w.failures++; w.failures == 1 || code != 0 && code != w.refused { // a refusal says more than what broke the connection
				w.refused = code
				log.Warn("Eureka cannot be watched; the last known instances stay", "error", err)
			}
			w.tell(w.known)
			sleep(ctx, retry.delay(w.failures))
			continue
		case w.failures > 0:
			log.Info("Eureka is watched again")
		}
		w.learn(list)
		w.failures = 0
		interval := w.registry.interval()
		sleep(ctx, interval-rand.N(interval/8)) // so that many do not meet
	}
}

// ask returns what Eureka says now.
func (w *watch) ask(ctx context.Context) ([]discovery.Instance, error) {
	path := "/apps"
	if w.service != "" {
		path += "/" + appName(w.service)
	}
	body, err := w.registry.do(ctx, http.MethodGet, path, nil, nil)
	if w.service != "" && statusOf(err) == http.StatusNotFound {
		return nil, w.verify(ctx) // it has no instances
	}
	if err != nil {
		return nil, err
	}
	w.verified = true
	list, bad, err := parseApps(body, w.service)
	if err != nil {
		return nil, err
	}
	w.warn(bad)
	return list, nil
}

// verify tells a service without instances from a URL without Eureka behind it, which both are answered 404. It asks for what changed of
// late, which is there always, and may be forbidden.
func (w *watch) verify(ctx context.Context) error {
	if w.verified {
		return nil
	}
	_, err := w.registry.do(ctx, http.MethodGet, "/apps/delta", nil, nil)
	if err == nil || statusOf(err) == http.StatusForbidden {
		w.verified = true
		return nil
	}
	return err
}

// learn takes an answer. A server that was started again knows nobody until they have renewed their leases, so ready instances that
// are gone all at once, or after no server answered, stay for a time.
func (w *watch) learn(list []discovery.Instance) {
	if w.failures > 0 || len(list) == 0 && len(w.kept) == 0 && len(w.known) > 0 {
		w.kept, w.until = slices.Clone(w.known), time.Now().Add(w.registry.grace())
	}
	if !time.Now().Before(w.until) {
		w.kept = nil
	}
	w.kept = slices.DeleteFunc(w.kept, func(old discovery.Instance) bool {
		back := slices.ContainsFunc(list, func(i discovery.Instance) bool { return byKey(i, old) == 0 })
		return back || old.State != discovery.Ready // which leave anyway
	})
	if len(w.kept) > 0 {
		list = append(list, w.kept...)
		slices.SortFunc(list, byKey)
	}
	w.tell(list)
}

// warn logs, once, what is wrong with instances that are left out.
func (w *watch) warn(bad map[string]error) {
	warned := make(map[string]string, len(bad))
	for id, err := range bad {
		warned[id] = err.Error()
		if w.warned[id] != warned[id] {
			w.registry.logger().Warn("Eureka: instance ignored", "watch", w.service, "id", id, "error", err)
		}
	}
	w.warned = warned
}

// tell notifies of the list if it is news.
func (w *watch) tell(list []discovery.Instance) {
	if w.told && (len(w.known) == 0 && len(list) == 0 || reflect.DeepEqual(w.known, list)) {
		return
	}
	w.told, w.known = true, list
	copies := make([]discovery.Instance, len(list))
	for i, inst := range list {
		copies[i] = inst.Clone()
	}
	w.notify(copies)
}
