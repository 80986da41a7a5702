package consuldiscovery

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/discovery/driver"
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
	return driver.Keep(ctx, inst, &keeper{registry: r, id: inst.ID}, r.logger())
}

// keeper keeps one service registered.
type keeper struct {
	registry *Registry
	id       string
	claimed  bool // the ID is this keeper's in this handle
	put      bool // the agent has been asked to register it
	fresh    bool // the agent was told a moment ago that it lives
}

var _ driver.Keeper = (*keeper)(nil)

// Put implements [driver.Keeper]: it registers the service and sets its check. A registration alone leaves the check's status as it was.
func (k *keeper) Put(ctx context.Context, inst discovery.Instance) error {
	r := k.registry
	if err := k.claim(ctx); err != nil {
		return err
	}
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
	k.put = true
	register, cancel := context.WithTimeout(ctx, r.requestTime())
	defer cancel()
	if _, _, err := r.do(register, http.MethodPut, "/v1/agent/service/register", url.Values{"replace-existing-checks": {"true"}}, s); err != nil {
		return err
	}
	err = k.pass(ctx, inst)
	k.fresh = err == nil
	return err
}

// claim takes the ID, unless an instance of this handle has it, or a live one of the agent's.
func (k *keeper) claim(ctx context.Context) error {
	r := k.registry
	if k.put {
		return nil
	}
	if err := r.check(); err != nil {
		return err
	}
	if !k.claimed {
		if _, taken := r.leases.LoadOrStore(k.id, true); taken {
			return discovery.ErrTaken
		}
		k.claimed = true
	}
	ctx, cancel := context.WithTimeout(ctx, r.requestTime())
	defer cancel()
	_, _, err := r.do(ctx, http.MethodGet, "/v1/agent/health/service/id/"+k.id, url.Values{"format": {"text"}}, nil)
	switch driver.StatusOf(err) {
	case http.StatusNotFound, http.StatusServiceUnavailable: // none, or one whose lease is over
		return nil
	case http.StatusTooManyRequests: // which is how Consul says warning here
		return discovery.ErrTaken
	}
	if err == nil {
		return discovery.ErrTaken
	}
	return err
}

// pass begins the check's TTL anew.
func (k *keeper) pass(ctx context.Context, inst discovery.Instance) error {
	ctx, cancel := context.WithTimeout(ctx, k.registry.requestTime())
	defer cancel()
	_, _, err := k.registry.do(ctx, http.MethodPut, "/v1/agent/check/update/"+checkID(inst), nil, struct{ Status, Output string }{status(inst.State), string(inst.State)})
	return err
}

// Check implements [driver.Keeper]: it renews the lease.
func (k *keeper) Check(ctx context.Context, inst discovery.Instance) (func(context.Context), error) {
	if !k.fresh {
		if err := k.pass(ctx, inst); unknownToAgent(err) {
			return nil, nil
		} else if err != nil {
			return nil, err
		}
	}
	k.fresh = false
	interval := k.registry.ttl() / renewals
	return func(ctx context.Context) { driver.Sleep(ctx, interval-rand.N(interval/8)) }, nil // so that many do not meet
}

// Withdraw implements [driver.Keeper].
func (k *keeper) Withdraw(ctx context.Context) error {
	r := k.registry
	defer r.http.Release()
	if k.claimed {
		defer r.leases.Delete(k.id)
	}
	if !k.put {
		return nil
	}
	if _, _, err := r.do(ctx, http.MethodPut, "/v1/agent/service/deregister/"+k.id, nil, nil); err != nil && !unknownToAgent(err) {
		return err
	}
	return nil
}

// Explain implements [driver.Keeper].
func (k *keeper) Explain(doing string, err error) error {
	return fmt.Errorf("consuldiscovery: %s: %w", doing, err)
}

// requestTime bounds a request that does not wait.
func (r *Registry) requestTime() time.Duration { return min(5*time.Second, r.ttl()) }

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
