package eurekadiscovery

import (
	"context"
	"fmt"
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
	return r.leases.Keep(ctx, inst, k, r.ttl()/renewals, r.logger())
}

// keeper keeps one instance registered.
type keeper struct {
	registry *Registry
	id       string
	app      string // the path of the application
	changed  int64  // when it was changed last, in ms
}

var _ driver.Renewer = (*keeper)(nil)

// Taken implements [driver.Renewer]: an instance of any application has the ID.
func (k *keeper) Taken(ctx context.Context) (bool, error) {
	r := k.registry
	if err := r.check(); err != nil {
		return false, err
	}
	_, err := r.do(ctx, http.MethodGet, "/instances/"+k.id, nil, nil)
	if driver.StatusOf(err) == http.StatusNotFound {
		return false, nil
	}
	return err == nil, err
}

// Register implements [driver.Renewer].
func (k *keeper) Register(ctx context.Context, inst discovery.Instance) error {
	k.changed = max(k.changed+1, time.Now().UnixMilli()) // of two registrations Eureka keeps the newer, whichever comes first
	r, err := newRegistration(inst, int(k.registry.ttl()/time.Second), k.changed)
	if err != nil {
		return err
	}
	_, err = k.registry.do(ctx, http.MethodPost, k.app, nil, r)
	return err
}

// Renew implements [driver.Renewer].
func (k *keeper) Renew(ctx context.Context, inst discovery.Instance) (known bool, err error) {
	params := url.Values{"status": {status(inst.State)}, "lastDirtyTimestamp": {strconv.FormatInt(k.changed, 10)}}
	_, err = k.registry.do(ctx, http.MethodPut, k.app+"/"+k.id, params, nil)
	if driver.StatusOf(err) == http.StatusNotFound {
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
	if _, err := r.do(ctx, http.MethodDelete, k.app+"/"+k.id, nil, nil); err != nil && driver.StatusOf(err) != http.StatusNotFound {
		return err
	}
	return nil
}

// Explain implements [driver.Renewer].
func (k *keeper) Explain(doing string, err error) error {
	return fmt.Errorf("eurekadiscovery: %s: %w", doing, err)
}
