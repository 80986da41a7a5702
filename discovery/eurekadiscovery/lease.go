package eurekadiscovery

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/hanse-go/hanse/discovery"
)

// Register implements [discovery.Registrar]. It returns [discovery.ErrTaken] when Eureka has a live instance with the ID, of
// any application. A server that loses the registration gets it again with the next renewal.
func (r *Registry) Register(ctx context.Context, inst discovery.Instance) (discovery.Lease, error) {
	if err := inst.Validate(); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	fail := func(err error) (discovery.Lease, error) {
		return nil, fmt.Errorf("eurekadiscovery: announce %s of %s: %w", inst.ID, inst.Service, err)
	}
	if err := r.check(); err != nil {
		return fail(err)
	}
	if !r.claim(inst.ID) {
		return nil, fmt.Errorf("%w: %s of %s", discovery.ErrTaken, inst.ID, inst.Service)
	}
	l := &lease{registry: r, inst: inst.Clone(), turn: make(chan struct{}, 1), done: make(chan struct{})}
	taken, err := r.taken(ctx, inst.ID)
	if err == nil && taken {
		err = discovery.ErrTaken
	}
	if err == nil {
		if err = l.announce(ctx); err != nil {
			_ = l.withdraw(time.Second) // if it got so far
		}
	}
	if err != nil {
		r.unclaim(inst.ID)
		r.release()
		return fail(err)
	}
	var keep context.Context
	keep, l.cancel = context.WithCancel(context.Background())
	go l.keep(keep, r.logger().With("service", inst.Service, "instance", inst.ID))
	return l, nil
}

// claim reports whether the ID is not announced through this handle, and takes it.
func (r *Registry) claim(id string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.leases[id] {
		return false
	}
	if r.leases == nil {
		r.leases = make(map[string]bool)
	}
	r.leases[id] = true
	return true
}

func (r *Registry) unclaim(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.leases, id)
}

// taken reports whether Eureka has a live instance with the ID, of whatever application.
func (r *Registry) taken(ctx context.Context, id string) (bool, error) {
	_, err := r.do(ctx, http.MethodGet, "/instances/"+id, nil, nil)
	if statusOf(err) == http.StatusNotFound {
		return false, nil
	}
	return err == nil, err
}

// lease keeps one instance registered.
type lease struct {
	registry *Registry
	cancel   context.CancelFunc
	done     chan struct{} // closed when keep has ended

	turn      chan struct{}      // holds an element while somebody has the fields below
	inst      discovery.Instance // what is to be announced
	changed   int64              // when it was changed last, in ms
	announced bool               // Eureka has it
	closed    bool
}

// take waits for the turn.
func (l *lease) take(ctx context.Context) error {
	select {
	case l.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Update implements [discovery.Lease]. What Eureka did not take is sent again with the next renewal.
func (l *lease) Update(ctx context.Context, inst discovery.Instance) error {
	if err := l.take(ctx); err != nil {
		return err
	}
	defer func() { <-l.turn }()
	if l.inst.Service != inst.Service || l.inst.ID != inst.ID {
		return fmt.Errorf("eurekadiscovery: update of instance %s of %s names %s of %s: service and ID of a lease cannot change", l.inst.ID, l.inst.Service, inst.ID, inst.Service)
	}
	if err := inst.Validate(); err != nil {
		return err
	}
	if l.closed {
		return fmt.Errorf("%w: %s of %s", discovery.ErrClosed, inst.ID, inst.Service)
	}
	l.inst, l.announced = inst.Clone(), false
	if err := l.announce(ctx); err != nil {
		return fmt.Errorf("eurekadiscovery: update %s of %s: %w", inst.ID, inst.Service, err)
	}
	return nil
}

// closeTime bounds the withdrawing.
const closeTime = 5 * time.Second

// Close implements [discovery.Lease]. An instance that cannot be withdrawn vanishes some time after its TTL.
func (l *lease) Close() error {
	l.cancel()
	<-l.done
	l.turn <- struct{}{}
	defer func() { <-l.turn }()
	if l.closed {
		return nil
	}
	l.closed = true
	defer l.registry.release()
	defer l.registry.unclaim(l.inst.ID)
	if err := l.withdraw(closeTime); err != nil {
		return fmt.Errorf("eurekadiscovery: withdraw %s of %s: %w", l.inst.ID, l.inst.Service, err)
	}
	return nil
}

func (l *lease) withdraw(limit time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	_, err := l.registry.do(ctx, http.MethodDelete, l.path(), nil, nil)
	if statusOf(err) == http.StatusNotFound {
		return nil
	}
	return err
}

// keep renews the lease until ctx ends.
func (l *lease) keep(ctx context.Context, log *slog.Logger) {
	defer close(l.done)
	interval := l.registry.ttl() / renewals
	retry := backoff{least: 100 * time.Millisecond, most: min(2*time.Second, interval)}
	failures := 0
	timer := time.NewTimer(interval)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		again, err := l.renew(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			if failures++; failures == 1 {
				log.Warn("Eureka: the lease cannot be renewed; it is tried on", "error", err)
			}
			timer.Reset(retry.delay(failures))
			continue
		case again:
			log.Info("Eureka: announced again, Eureka had lost it")
		case failures > 0:
			log.Info("Eureka: the lease is renewed again")
		}
		failures = 0
		timer.Reset(interval - rand.N(interval/8)) // so that many do not meet
	}
}

// renew tells Eureka that the instance lives, and registers it again if Eureka does not know it or has an older one.
func (l *lease) renew(ctx context.Context) (again bool, err error) {
	if err := l.take(ctx); err != nil {
		return false, err
	}
	defer func() { <-l.turn }()
	if !l.announced {
		return false, l.announce(ctx)
	}
	params := url.Values{"status": {status(l.inst.State)}, "lastDirtyTimestamp": {strconv.FormatInt(l.changed, 10)}}
	_, err = l.registry.do(ctx, http.MethodPut, l.path(), params, nil)
	if statusOf(err) != http.StatusNotFound {
		return false, err
	}
	return true, l.announce(ctx)
}

// announce registers the instance.
func (l *lease) announce(ctx context.Context) error {
	l.announced = false
	l.changed = max(l.changed+1, time.Now().UnixMilli()) // of two registrations Eureka keeps the newer, whichever comes first
	r, err := newRegistration(l.inst, int(l.registry.ttl()/time.Second), l.changed)
	if err != nil {
		return err
	}
	if _, err := l.registry.do(ctx, http.MethodPost, "/apps/"+appName(l.inst.Service), nil, r); err != nil {
		return err
	}
	l.announced = true
	return nil
}

func (l *lease) path() string { return "/apps/" + appName(l.inst.Service) + "/" + l.inst.ID }
