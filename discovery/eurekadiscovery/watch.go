package eurekadiscovery

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/discovery/driver"
)

// Watch implements [discovery.Registry]. While no server answers, the last known instances stay. However many watch a service
// here, Eureka is asked once.
func (r *Registry) Watch(ctx context.Context, service string, notify func([]discovery.Instance)) error {
	return r.shared.Watch(ctx, service, notify, r.follow)
}

// follow is one watch for all that watch a service here.
func (r *Registry) follow(ctx context.Context, service string, notify func([]discovery.Instance)) error {
	if err := r.check(); err != nil {
		return fmt.Errorf("eurekadiscovery: %w", err)
	}
	defer r.http.Release()
	log := r.logger().With("watch", service)
	w := &watch{registry: r, service: service, log: log, outage: driver.Outage{Engine: "Eureka", Log: log}}
	for ctx.Err() == nil {
		pause := driver.Pace(r.interval())
		list, err := w.ask(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			pause = driver.Backoff(w.outage.Failed(err), min(2*time.Second, r.interval()))
		default:
			w.learn(list, w.outage.Over())
		}
		notify(w.view.List())
		driver.Sleep(ctx, pause)
	}
	return nil
}

// watch asks for one service, or for all.
type watch struct {
	registry *Registry
	service  string
	log      *slog.Logger
	outage   driver.Outage
	verified bool // Eureka has answered
	view     driver.View
	listed   bool // the last answer had instances
	ignored  driver.Ignored
}

// ask returns what Eureka says now.
func (w *watch) ask(ctx context.Context) ([]discovery.Instance, error) {
	path := "/apps"
	if w.service != "" {
		path += "/" + appName(w.service)
	}
	body, err := w.registry.do(ctx, http.MethodGet, path, nil, nil)
	if w.service != "" && driver.StatusOf(err) == http.StatusNotFound {
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
	w.ignored.Warn(w.log, "Eureka: instance ignored", bad)
	return list, nil
}

// verify tells a service without instances from a URL without Eureka behind it, which both are answered 404. It asks for what changed of
// late, which is there always, and may be forbidden.
func (w *watch) verify(ctx context.Context) error {
	if w.verified {
		return nil
	}
	_, err := w.registry.do(ctx, http.MethodGet, "/apps/delta", nil, nil)
	if err == nil || driver.StatusOf(err) == http.StatusForbidden {
		w.verified = true
		return nil
	}
	return err
}

// learn takes an answer, the first after an outage or not. A server that was started again knows nobody until they have renewed their
// leases, so instances that are gone all at once, or after no server answered, stay for a time.
func (w *watch) learn(list []discovery.Instance, outage bool) {
	var doubtUntil time.Time
	if outage || w.listed && len(list) == 0 {
		doubtUntil = time.Now().Add(w.registry.grace())
	}
	w.listed = len(list) > 0
	w.view.Replace(list, doubtUntil)
}
