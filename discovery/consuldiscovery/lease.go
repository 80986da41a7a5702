package consuldiscovery

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/hanse-go/hanse/discovery"
)

// service is what registers one at an agent.
type service struct {
	ID      string
	Name    string
	Tags    []string `json:",omitempty"`
	Address string   `json:",omitempty"`
	Port    int      `json:",omitempty"`
	Meta    map[string]string
	Weights weights
	Check   check
}

type weights struct{ Passing, Warning int }

type check struct {
	CheckID                        string
	Name                           string
	TTL                            string
	Status                         string
	DeregisterCriticalServiceAfter string
}

// Register implements [discovery.Registrar]. It returns [discovery.ErrTaken] when this agent has a live instance with the ID. An agent
// that loses the registration gets it again with the next renewal.
func (r *Registry) Register(ctx context.Context, inst discovery.Instance) (discovery.Lease, error) {
	if err := inst.Validate(); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	fail := func(err error) (discovery.Lease, error) {
		return nil, fmt.Errorf("consuldiscovery: announce %s of %s: %w", inst.ID, inst.Service, err)
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
			_ = l.withdraw(time.Second) // if it got so far; else its TTL ends it
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

// taken reports whether the agent has a live service with the ID.
func (r *Registry) taken(ctx context.Context, id string) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, r.requestTime())
	defer cancel()
	_, _, err := r.do(ctx, http.MethodGet, "/v1/agent/health/service/id/"+id, url.Values{"format": {"text"}}, nil)
	switch statusOf(err) {
	case http.StatusNotFound, http.StatusServiceUnavailable: // none, or one whose lease is over
		return false, nil
	case http.StatusTooManyRequests: // which is how Consul says warning here
		return true, nil
	}
	return err == nil, err
}

// requestTime bounds a request that does not wait.
func (r *Registry) requestTime() time.Duration { return min(5*time.Second, r.ttl()) }

// lease keeps one service registered.
type lease struct {
	registry *Registry
	cancel   context.CancelFunc
	done     chan struct{} // closed when keep has ended

	turn      chan struct{}      // holds an element while somebody has the fields below
	inst      discovery.Instance // what is to be announced
	announced bool               // the agent has it
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

// Update implements [discovery.Lease]. What the agent did not take is sent again with the next renewal.
func (l *lease) Update(ctx context.Context, inst discovery.Instance) error {
	if err := l.take(ctx); err != nil {
		return err
	}
	defer func() { <-l.turn }()
	if l.inst.Service != inst.Service || l.inst.ID != inst.ID {
		return fmt.Errorf("consuldiscovery: update of instance %s of %s names %s of %s: service and ID of a lease cannot change", l.inst.ID, l.inst.Service, inst.ID, inst.Service)
	}
	if err := inst.Validate(); err != nil {
		return err
	}
	if l.closed {
		return fmt.Errorf("%w: %s of %s", discovery.ErrClosed, inst.ID, inst.Service)
	}
	l.inst, l.announced = inst.Clone(), false
	if err := l.announce(ctx); err != nil {
		return fmt.Errorf("consuldiscovery: update %s of %s: %w", inst.ID, inst.Service, err)
	}
	return nil
}

// closeTime bounds the withdrawing.
const closeTime = 5 * time.Second

// Close implements [discovery.Lease]. An instance that cannot be withdrawn vanishes with its TTL.
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
		return fmt.Errorf("consuldiscovery: withdraw %s of %s: %w", l.inst.ID, l.inst.Service, err)
	}
	return nil
}

func (l *lease) withdraw(limit time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	_, _, err := l.registry.do(ctx, http.MethodPut, "/v1/agent/service/deregister/"+l.inst.ID, nil, nil)
	if unknownToAgent(err) {
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
				log.Warn("Consul: the lease cannot be renewed; it is tried on", "error", err)
			}
			timer.Reset(retry.delay(failures))
			continue
		case again:
			log.Info("Consul: announced again, the agent had lost it")
		case failures > 0:
			log.Info("Consul: the lease is renewed again")
		}
		failures = 0
		timer.Reset(interval - rand.N(interval/8)) // so that many do not meet
	}
}

// renew tells the agent that the instance lives, and registers it again if the agent does not know it or has an older one.
func (l *lease) renew(ctx context.Context) (again bool, err error) {
	if err := l.take(ctx); err != nil {
		return false, err
	}
	defer func() { <-l.turn }()
	if !l.announced {
		return false, l.announce(ctx)
	}
	err = l.pass(ctx)
	if !unknownToAgent(err) {
		return false, err
	}
	return true, l.announce(ctx)
}

// announce registers the service and sets its check. A registration alone leaves the check's status as it was.
func (l *lease) announce(ctx context.Context) error {
	l.announced = false
	r, inst := l.registry, l.inst
	meta, err := writeMeta(inst)
	if err != nil {
		return err
	}
	s := service{
		ID: inst.ID, Name: inst.Service, Meta: meta,
		Weights: weights{Passing: min(max(inst.Weight, 1), 65535), Warning: 1},
		Check: check{
			CheckID: checkID(inst), Name: "Hanse lease", TTL: r.ttl().String(), Status: status(inst.State),
			DeregisterCriticalServiceAfter: max(r.DeregisterAfter, defaultDeregisterAfter).String(),
		},
	}
	if r.Tag != "" {
		s.Tags = []string{r.Tag}
	}
	s.Address, s.Port = firstTCP(inst.Endpoints)
	register, cancel := context.WithTimeout(ctx, r.requestTime())
	defer cancel()
	if _, _, err := r.do(register, http.MethodPut, "/v1/agent/service/register", url.Values{"replace-existing-checks": {"true"}}, s); err != nil {
		return err
	}
	if err := l.pass(ctx); err != nil {
		return err
	}
	l.announced = true
	return nil
}

// pass begins the check's TTL anew.
func (l *lease) pass(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, l.registry.requestTime())
	defer cancel()
	_, _, err := l.registry.do(ctx, http.MethodPut, "/v1/agent/check/update/"+checkID(l.inst), nil, struct{ Status, Output string }{status(l.inst.State), string(l.inst.State)})
	return err
}

func checkID(inst discovery.Instance) string { return "service:" + inst.ID }

// status is that of the check: clients of Consul that know nothing of Hanse call what passes.
func status(state discovery.State) string {
	if state == discovery.Ready {
		return "passing"
	}
	return "warning"
}

// firstTCP returns the address where clients that know nothing of Hanse call.
func firstTCP(endpoints []string) (string, int) {
	for _, e := range endpoints {
		u, err := url.Parse(e)
		if err != nil || u.Scheme != "tcp" {
			continue
		}
		host, port, err := net.SplitHostPort(u.Host)
		if err != nil {
			continue
		}
		if n, err := strconv.ParseUint(port, 10, 16); err == nil {
			return host, int(n)
		}
	}
	return "", 0
}
