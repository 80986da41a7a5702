package etcddiscovery

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/discovery/driver"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// Options are what a registry can be told. The zero value works.
type Options struct {
	// System tells systems apart: those with different names never meet. It has up to 64 letters, digits, '.', '_' and '-'. The
	// default is "default".
	System string
	// Prefix is where the keys of all systems are. The default is "/hanse".
	Prefix string
	// TTL is how long an instance that died stays announced, in whole seconds and at least 2 s. The default is 10 s. A process that
	// is stopped or cut off for longer is taken for dead, and announces itself again when it is back.
	TTL time.Duration
	// Logger gets a warning when etcd goes away and for each record that cannot be understood. The default is slog.Default().
	Logger *slog.Logger
}

// defaultTTL is short enough for a dead instance to be forgotten soon, though callers do not rely on it: they stop calling an instance
// when its connection breaks. It is long enough for an election in etcd, and for some lost messages.
const defaultTTL = 10 * time.Second

// Registry is a [discovery.Registrar] in etcd. It is made by [New] or [Open].
type Registry struct {
	client *clientv3.Client
	opts   Options
	err    error // what is wrong with the options
	owned  bool  // the client is the registry's own
	watch  driver.Shared[discovery.Instance]

	mu    sync.Mutex
	pulse *pulse // nil when there are neither watchers nor leases
}

var _ discovery.Registrar = (*Registry)(nil)

// New returns the registry that opts names, in the etcd of the client. The client stays the caller's: its endpoints, TLS, credentials
// and logger count, and it is closed after the last use of the registry. Give it a DialKeepAliveTime, so that it notices when
// etcd's machine is cut off. What is wrong with opts is the error of every use.
func New(client *clientv3.Client, opts Options) *Registry {
	opts.System = cmp.Or(opts.System, "default")
	opts.Prefix = cmp.Or(opts.Prefix, "/hanse")
	opts.TTL = cmp.Or(opts.TTL, defaultTTL)
	if opts.Logger == nil {
		opts.Logger = slog.Default()
	}
	return &Registry{client: client, opts: opts, err: opts.check()}
}

var systemName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

func (o Options) check() error {
	if !systemName.MatchString(o.System) {
		return fmt.Errorf("etcddiscovery: system %q: want up to 64 letters, digits, '.', '_' and '-', beginning with a letter or digit", o.System)
	}
	if o.TTL < 2*time.Second || o.TTL%time.Second != 0 {
		return fmt.Errorf("etcddiscovery: TTL %v: want whole seconds, at least 2s", o.TTL)
	}
	if strings.HasSuffix(o.Prefix, "/") {
		return fmt.Errorf("etcddiscovery: prefix %q: want none that ends with a slash, such as /hanse", o.Prefix)
	}
	return nil
}

// Scope returns [discovery.ScopeNetwork].
func (r *Registry) Scope() discovery.Scope { return discovery.ScopeNetwork }

// String returns the registry's URL.
func (r *Registry) String() string {
	var hosts []string
	for _, e := range r.client.Endpoints() {
		_, host, found := strings.Cut(e, "://")
		if !found {
			host = e
		}
		hosts = append(hosts, host)
	}
	return "etcd://" + strings.Join(hosts, ",") + "/" + r.opts.System
}

// Close closes the client that [Open] made. It does nothing for a registry made by [New].
func (r *Registry) Close() error {
	if !r.owned {
		return nil
	}
	if err := r.client.Close(); err != nil && !errors.Is(err, context.Canceled) {
		return fmt.Errorf("etcddiscovery: close the client of %v: %w", r, err)
	}
	return nil
}

// Watch implements [discovery.Registry]. However many watch a service, etcd is asked once; memory is held for the services that are
// watched.
func (r *Registry) Watch(ctx context.Context, service string, notify func([]discovery.Instance)) error {
	if r.err != nil {
		return r.err
	}
	return r.watch.Watch(ctx, service, notify, r.follow)
}

func (r *Registry) root() string { return r.opts.Prefix + "/" + r.opts.System + "/" }

func (r *Registry) epochKey() string { return r.root() + "epoch" }

func (r *Registry) idKey(id string) string { return r.root() + "ids/" + id }

func (r *Registry) instanceKey(service, id string) string { return r.servicePrefix(service) + id }

// servicePrefix is what the keys of a service's instances begin with; those of all services if the name is empty.
func (r *Registry) servicePrefix(service string) string {
	if service == "" {
		return r.root() + "instances/"
	}
	return r.root() + "instances/" + service + "/"
}
