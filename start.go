package hanse

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hanse-go/hanse/discovery"
)

const (
	defaultStartTimeout = 30 * time.Second
	defaultDrainTimeout = 30 * time.Second

	// grace is what code gets to return after its context was cancelled.
	grace = 2 * time.Second
)

// start brings the app from nothing to ready.
func (r *run) start(ctx context.Context) error {
	r.tasks = newTaskGroup(context.WithoutCancel(ctx), r.fail)
	if err := r.bind(); err != nil {
		return err
	}
	if err := r.startBackplane(ctx); err != nil {
		return quietly(ctx, err)
	}
	if err := r.bindEvents(ctx); err != nil {
		return quietly(ctx, err)
	}
	r.app.mu.Lock()
	r.app.bindBus()
	r.app.mu.Unlock()
	if err := r.bindStores(ctx); err != nil {
		return quietly(ctx, err)
	}
	if err := r.announceStarting(ctx); err != nil {
		return quietly(ctx, err)
	}
	if err := r.setUp(ctx); err != nil {
		return quietly(ctx, err)
	}
	if err := r.fixDeclarations(ctx); err != nil {
		return quietly(ctx, err)
	}
	if err := r.declareEvents(ctx); err != nil {
		return quietly(ctx, err)
	}
	if err := r.listen(ctx); err != nil {
		return quietly(ctx, err)
	}
	r.warnOfNobody()
	for _, m := range r.members {
		m.startTasks()
	}
	r.deliverEvents()
	r.runIdentity(r.tasks.ctx)
	if r.app.ConfigFile != "" {
		r.background.Go(func() { r.config.Run(r.tasks.ctx) })
	}
	r.enter(discovery.Ready)
	if err := r.announceReady(ctx); err != nil {
		return quietly(ctx, err)
	}
	r.announced = true
	r.followChecks()
	attrs := []any{"services", strings.Join(r.names(), ","), "took", time.Since(r.began).Round(time.Millisecond)}
	for _, p := range r.ports {
		if p.addr != nil {
			attrs = append(attrs, p.label(), p.addr.String())
		}
	}
	if r.admin != nil {
		attrs = append(attrs, "admin", r.admin.addr.String())
	}
	if c := r.app.certified.Load(); c != nil {
		attrs = append(attrs, "identity", c.system)
	}
	if r.backplane != nil {
		attrs = append(attrs, "backplane", shown(r.app.Backplane))
	}
	if label := wireLabel(r.wire); label != "" {
		attrs = append(attrs, "wire", label)
	}
	r.log.Info("ready", attrs...)
	return nil
}

// quietly drops errors that only say that ctx has ended: whoever ended it knows.
func quietly(ctx context.Context, err error) error {
	if ctx.Err() != nil && isCancellation(err) {
		return nil
	}
	return err
}

// bind gives each service its client, so that calls between them wait for set-ups instead of failing.
func (r *run) bind() error {
	var mistakes []error
	for _, m := range r.members {
		client, err := r.app.newClient(m.Service, r.local)
		if err != nil {
			return err
		}
		m.Service.mu.Lock()
		m.client = client
		m.tellDecisions()
		for _, conn := range m.unbound {
			if err := conn.Bind(client); err != nil {
				mistakes = append(mistakes, fmt.Errorf("service %s: Conn(%q): %w", m.Name, conn.Name(), err))
				conn.Close() // its calls fail, and do not wait
			}
		}
		m.unbound = nil
		m.Service.mu.Unlock()
	}
	return errors.Join(mistakes...)
}

// setUp runs the set-ups of all services at once, and returns when all have returned or when it is time to give up.
func (r *run) setUp(parent context.Context) error {
	ctx, cancel := context.WithCancelCause(parent)
	defer cancel(nil)

	type result struct {
		*member
		err error
	}
	results := make(chan result, len(r.members))
	pending := make(map[*member]bool)
	for _, m := range r.members {
		pending[m] = true
		go func() { results <- result{m, m.setUp(ctx)} }()
	}

	var timeout, giveUp <-chan time.Time
	if d := orDefault(r.app.StartTimeout, defaultStartTimeout); d > 0 {
		timer := time.NewTimer(d)
		defer timer.Stop()
		timeout = timer.C
	}
	var errs []error
	var closing sync.WaitGroup
	defer closing.Wait()
	cancelled := ctx.Done()
	for len(pending) > 0 {
		select {
		case res := <-results:
			delete(pending, res.member)
			switch {
			case res.err == nil:
				r.mu.Lock()
				r.order = append(r.order, res.member)
				r.mu.Unlock()
			case ctx.Err() != nil && isCancellation(res.err): // another failed first, or the app is told to stop
			default:
				errs = append(errs, fmt.Errorf("service %s: set-up failed: %w", res.Name, res.err))
				cancel(errors.New("another set-up failed"))
			}
		case <-timeout:
			errs = append(errs, r.tooLong(pending))
			cancel(errors.New("the start took too long"))
		case <-cancelled:
			cancelled = nil
			timer := time.NewTimer(grace)
			defer timer.Stop()
			giveUp = timer.C
			for m := range pending { // ends calls that do not heed ctx
				closing.Go(func() { m.client.Close() })
			}
		case <-giveUp:
			var names []string
			for m := range pending {
				names = append(names, m.Name)
			}
			slices.Sort(names)
			return errors.Join(append(errs, fmt.Errorf("set-up of %s still runs %v after its context was cancelled: let it return when ctx ends", strings.Join(names, ", "), grace))...)
		}
	}
	if len(errs) == 0 && parent.Err() != nil {
		return parent.Err()
	}
	return errors.Join(errs...)
}

// setUp runs the set-up of one service and opens it for the calls of its siblings.
func (m *member) setUp(ctx context.Context) (err error) {
	if m.Setup != nil {
		err = protect(m.log, "the set-up", func() error { return m.Setup(ctx, m.Service) })
	}
	if err != nil {
		return err
	}
	m.serveHealth()
	m.server.Unknown = m.Unknown
	m.Service.mu.Lock()
	m.sealed = true
	m.Service.mu.Unlock()
	m.server.Start()
	return nil
}

// fixDeclarations reports all mistakes that set-ups made, at once.
func (r *run) fixDeclarations(ctx context.Context) error {
	var mistakes []error
	for _, m := range r.members {
		mistakes = append(mistakes, m.takeMistakes()...)
		mistakes = append(mistakes, m.checkEvents()...)
		if err := m.prepareStore(ctx); err != nil {
			mistakes = append(mistakes, err)
		}
		if err := m.server.Err(); err != nil {
			mistakes = append(mistakes, fmt.Errorf("service %s: %w", m.Name, err))
		}
	}
	if err := r.config.Check(r.names()...); err != nil {
		mistakes = append(mistakes, err)
	}
	for _, p := range r.ports {
		mistakes = append(mistakes, p.route()...)
	}
	return errors.Join(mistakes...)
}

// tooLong describes a start that takes longer than it may: which set-ups still run and what they wait for.
func (r *run) tooLong(pending map[*member]bool) error {
	waits := make(map[string][]string)
	for m := range pending {
		waits[m.Name] = m.client.Waiting()
	}
	var b strings.Builder
	fmt.Fprintf(&b, "not ready after %v: ", orDefault(r.app.StartTimeout, defaultStartTimeout))
	for i, m := range r.members {
		if !pending[m] {
			continue
		}
		if i > 0 && !strings.HasSuffix(b.String(), ": ") {
			b.WriteString("; ")
		}
		if w := waits[m.Name]; len(w) > 0 {
			fmt.Fprintf(&b, "%s waits for %s", m.Name, strings.Join(w, " and "))
		} else {
			fmt.Fprintf(&b, "the set-up of %s has not returned", m.Name)
		}
	}
	if circle := findCycle(waits); circle != nil {
		fmt.Fprintf(&b, ". They wait in a circle (%s): make one of these calls after the set-up, in a task or in a handler", strings.Join(circle, " → "))
	} else {
		b.WriteString(". Start what is waited for, or give it longer with App.StartTimeout")
	}
	return errors.New(b.String())
}

// findCycle returns the names along a circle in waits, the first one again at its end, or nil.
func findCycle(waits map[string][]string) []string {
	done := make(map[string]bool)
	var path []string
	var visit func(name string) []string
	visit = func(name string) []string {
		if i := slices.Index(path, name); i >= 0 {
			return append(slices.Clone(path[i:]), name)
		}
		if done[name] {
			return nil
		}
		path = append(path, name)
		for _, next := range waits[name] {
			if circle := visit(next); circle != nil {
				return circle
			}
		}
		path = path[:len(path)-1]
		done[name] = true
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(waits)) {
		if circle := visit(name); circle != nil {
			return circle
		}
	}
	return nil
}

// names returns the names of the services, in the order in which they were given.
func (r *run) names() []string {
	names := make([]string, len(r.members))
	for i, m := range r.members {
		names[i] = m.Name
	}
	return names
}
