package hanse

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/hanse-go/hanse/events"
	"github.com/hanse-go/hanse/events/natsevents"
)

// Events returns what the service publishes and subscribes events through. It makes a Service an [events.Host]: topics take it as it is.
//
//	orders.Placed.Subscribe(s, "mailer", sendMail)
//	err := orders.Placed.Publish(ctx, s, msg)
//
// Topics that are declared or subscribed before Run or in Setup are made before the service is ready, and handlers are called, and jobs fired, from
// when all set-ups have returned. When the app stops, it stops fetching events first, and finishes those that are being handled.
func (s *Service) Events() *events.Bus { return &s.bus }

// prepareBus sets the service's events up as the app wants it.
func (m *member) prepareBus() {
	a, b := m.run.app, &m.bus
	b.Source, b.Member = "hanse:///"+m.Name, m.id
	b.DrainTimeout, b.Logger, b.Telemetry = a.DrainTimeout, m.log, m.tells
	if a.hasStore() {
		b.Jobs = storeJobs{m.Service}
	}
	switch {
	case a.Broker != nil:
		b.Bind(a.Broker)
	case a.Backplane == nil:
		b.Refuse(errors.New(noBroker))
	}
}

// bindEvents gives the services the broker on the app's backplane, which runs now.
func (r *run) bindEvents(ctx context.Context) error {
	if r.app.Broker != nil || r.app.Backplane == nil {
		return nil
	}
	conn, err := r.app.backplane().conn(ctx)
	if err != nil {
		return err
	}
	r.broker = natsevents.New(conn, natsevents.Options{System: r.app.System, Logger: r.log})
	for _, m := range r.members {
		m.bus.Bind(r.broker)
	}
	return nil
}

// hasBroker reports whether the app has a broker, or will have one on its backplane.
func (a *App) hasBroker() bool { return a.Broker != nil || a.Backplane != nil }

// noBroker says what to do in an app without a broker.
const noBroker = "the app has no broker for events: run it by hanse dev or beside a hanse hub, or give it a backplane, by --backplane or by the field Backplane " +
	"of hanse.App (&embednats.Server{}); in a test, set the field Broker to &events.Memory{}"

// keepsJobs reports whether the app has what jobs are kept in.
func (a *App) keepsJobs() bool {
	_, ok := a.Broker.(events.JobKeeper)
	return ok || a.hasStore()
}

// checkEvents returns what is wrong with the topics, subscriptions and jobs that the service declared.
func (m *member) checkEvents() (mistakes []error) {
	for _, err := range m.bus.Mistakes() {
		mistakes = append(mistakes, fmt.Errorf("service %s: %w", m.Name, err))
	}
	if names := m.bus.Declared(); !m.run.app.hasBroker() && len(names) > 0 {
		what := "and " + noBroker
		if m.run.lacksBroker { // that was said
			what = "too"
		}
		m.run.lacksBroker = true
		mistakes = append(mistakes, fmt.Errorf("service %s uses events (%s), %s", m.Name, strings.Join(names, ", "), what))
	}
	if names := m.bus.DeclaredJobs(); !m.run.app.keepsJobs() && len(names) > 0 {
		mistakes = append(mistakes, fmt.Errorf("service %s has jobs (%s), which a store keeps, and %w", m.Name, strings.Join(names, ", "), errNoStore))
	}
	return mistakes
}

// declareEvents makes the topics, joins the groups and notes the jobs of all services.
func (r *run) declareEvents(ctx context.Context) error {
	if d := orDefault(r.app.StartTimeout, defaultStartTimeout); d > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, d, fmt.Errorf("the broker has not answered for %v", d))
		defer cancel()
	}
	errs := make([]error, len(r.members))
	var all sync.WaitGroup
	for i, m := range r.members {
		if len(m.bus.Declared()) == 0 && len(m.bus.DeclaredJobs()) == 0 {
			continue
		}
		all.Go(func() {
			if err := m.bus.Declare(ctx); err != nil {
				errs[i] = fmt.Errorf("service %s: %w", m.Name, err)
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

// delivery is the events that are delivered to the services of a run.
type delivery struct {
	stop    context.CancelFunc // fetches no more; nil when nothing was ever fetched
	running sync.WaitGroup

	mu   sync.Mutex
	errs []error
}

// deliverEvents begins to call the handlers, and to fire the jobs, of all services.
func (r *run) deliverEvents() {
	if !r.app.hasBroker() && !r.app.keepsJobs() {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	r.delivery.stop = cancel
	for _, m := range r.members {
		if !r.app.hasBroker() && len(m.bus.DeclaredJobs()) == 0 {
			continue
		}
		r.delivery.running.Go(func() {
			if err := m.bus.Run(ctx); err != nil {
				r.delivery.mu.Lock()
				defer r.delivery.mu.Unlock()
				r.delivery.errs = append(r.delivery.errs, fmt.Errorf("service %s: %w", m.Name, err))
			}
		})
	}
}

// fetchNoEvents begins the end of the delivery.
func (r *run) fetchNoEvents() {
	if r.delivery.stop != nil {
		r.delivery.stop()
	}
}

// finishEvents waits until no event is being handled. That takes no longer than a drain may: each bus sees to it.
func (r *run) finishEvents() error {
	r.delivery.running.Wait()
	r.delivery.mu.Lock()
	defer r.delivery.mu.Unlock()
	return errors.Join(r.delivery.errs...)
}

// closeEvents waits until what the service published is stored, and ends that.
func (m *member) closeEvents(ctx context.Context) error {
	if ctx.Err() != nil { // it gets a moment
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
	}
	if err := m.bus.Close(ctx); err != nil {
		return fmt.Errorf("service %s: %w", m.Name, err)
	}
	return nil
}
