package consuldiscovery

import (
	"context"
	"fmt"
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
	return r.leases.Keep(ctx, inst, &keeper{registry: r, id: inst.ID}, r.ttl()/renewals, r.logger())
}

// keeper keeps one service registered.
type keeper struct {
	registry *Registry
	id       string
}

var _ driver.Renewer = (*keeper)(nil)

// Taken implements [driver.Renewer].
func (k *keeper) Taken(ctx context.Context) (bool, error) {
	r := k.registry
	if err := r.check(); err != nil {
		return false, err
	}
	ctx, cancel := context.WithTimeout(ctx, r.requestTime())
	defer cancel()
	_, _, err := r.do(ctx, http.MethodGet, "/v1/agent/health/service/id/"+k.id, url.Values{"format": {"text"}}, nil)
	switch driver.StatusOf(err) {
	case http.StatusNotFound, http.StatusServiceUnavailable: // none, or one whose lease is over
		return false, nil
	case http.StatusTooManyRequests: // which is how Consul says warning here
		return true, nil
	}
	return err == nil, err
}

// Register implements [driver.Renewer]. A registration alone leaves the check's status as it was, so the check is set, too.
func (k *keeper) Register(ctx context.Context, inst discovery.Instance) error {
	r := k.registry
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
	return k.pass(ctx, inst)
}

// pass begins the check's TTL anew.
func (k *keeper) pass(ctx context.Context, inst discovery.Instance) error {
	ctx, cancel := context.WithTimeout(ctx, k.registry.requestTime())
	defer cancel()
	_, _, err := k.registry.do(ctx, http.MethodPut, "/v1/agent/check/update/"+checkID(inst), nil, struct{ Status, Output string }{status(inst.State), string(inst.State)})
	return err
}

// Renew implements [driver.Renewer].
func (k *keeper) Renew(ctx context.Context, inst discovery.Instance) (known bool, err error) {
	if err = k.pass(ctx, inst); unknownToAgent(err) {
		return false, nil
	}
	return err == nil, err
}

// Withdraw implements [driver.Renewer].
func (k *keeper) Withdraw(ctx context.Context, registered bool) error {
	r := k.registry
	defer r.http.Release()
	if !registered {
		return nil
	}
	if _, _, err := r.do(ctx, http.MethodPut, "/v1/agent/service/deregister/"+k.id, nil, nil); err != nil && !unknownToAgent(err) {
		return err
	}
	return nil
}

// Explain implements [driver.Renewer].
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
