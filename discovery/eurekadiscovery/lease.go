package eurekadiscovery

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/discovery/driver"
)

// Register implements [discovery.Registrar]. It returns [discovery.ErrTaken] when Eureka has a live instance with the ID, of
// any application. A server that loses the registration gets it again with the next renewal.
func (r *Registry) Register(ctx context.Context, inst discovery.Instance) (discovery.Lease, error) {
	k := &keeper{registry: r, id: inst.ID, app: "/apps/" + appName(inst.Service)}
	return driver.Keep(ctx, inst, k, r.logger())
}

// keeper keeps one instance registered.
type keeper struct {
	registry *Registry
	id       string
	app      string // the path of the application
	claimed  bool   // the ID is this keeper's in this handle
	put      bool   // Eureka has been asked to register it
	fresh    bool   // Eureka was told a moment ago that it lives
	changed  int64  // when it was changed last, in ms
}

var _ driver.Keeper = (*keeper)(nil)

// Put implements [driver.Keeper].
func (k *keeper) Put(ctx context.Context, inst discovery.Instance) error {
	if err := k.claim(ctx); err != nil {
		return err
	}
	k.changed = max(k.changed+1, time.Now().UnixMilli()) // of two registrations Eureka keeps the newer, whichever comes first
	r, err := newRegistration(inst, int(k.registry.ttl()/time.Second), k.changed)
	if err != nil {
		return err
	}
	k.put = true
	_, err = k.registry.do(ctx, http.MethodPost, k.app, nil, r)
	k.fresh = err == nil
	return err
}

// claim takes the ID, unless an instance of this handle has it, or a live one in Eureka, of whatever application.
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
	_, err := r.do(ctx, http.MethodGet, "/instances/"+k.id, nil, nil)
	if err == nil {
		return discovery.ErrTaken
	}
	if driver.StatusOf(err) == http.StatusNotFound {
		return nil
	}
	return err
}

// Check implements [driver.Keeper]: it renews the lease.
func (k *keeper) Check(ctx context.Context, inst discovery.Instance) (func(context.Context), error) {
	if !k.fresh {
		params := url.Values{"status": {status(inst.State)}, "lastDirtyTimestamp": {strconv.FormatInt(k.changed, 10)}}
		_, err := k.registry.do(ctx, http.MethodPut, k.app+"/"+k.id, params, nil)
		if driver.StatusOf(err) == http.StatusNotFound {
			return nil, nil
		}
		if err != nil {
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
	if _, err := r.do(ctx, http.MethodDelete, k.app+"/"+k.id, nil, nil); err != nil && driver.StatusOf(err) != http.StatusNotFound {
		return err
	}
	return nil
}

// Explain implements [driver.Keeper].
func (k *keeper) Explain(doing string, err error) error {
	return fmt.Errorf("eurekadiscovery: %s: %w", doing, err)
}
