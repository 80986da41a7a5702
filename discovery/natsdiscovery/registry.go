package natsdiscovery

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/discovery/driver"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// DefaultSystem is the system of a registry that was told none.
const DefaultSystem = "default"

// Options are what a registry can be told. The zero value works.
type Options struct {
	// System tells systems apart: those with different names never meet. It has up to 64 letters, digits, '.', '_' and '-'. The
	// default is [DefaultSystem].
	System string
	// TTL is how long an instance that died stays announced, in whole seconds and at least 2 s. The default is 15 s. A process that
	// is stopped or cut off for longer is taken for dead, and announces itself again when it is back.
	TTL time.Duration
	// Replicas is on how many servers of a cluster the buckets are kept that are made. The default is 3, and 1 on a server alone.
	Replicas int
	// Logger gets a warning when the registry cannot be read and for each record that cannot be understood. The default is
	// slog.Default().
	Logger *slog.Logger
}

// defaultTTL is long enough for an election among servers of NATS, which takes up to 9 s. Callers do not rely on it: they stop calling an
// instance when its connection breaks.
const defaultTTL = 15 * time.Second

// Registry is a [discovery.Registrar] in NATS. It is made by [New].
type Registry struct {
	nc     *nats.Conn
	js     jetstream.JetStream
	opts   Options
	err    error // what is wrong with the options
	watch  driver.Shared[discovery.Instance]
	splits driver.Shared[discovery.Split]
	link   link

	mu   sync.Mutex
	made map[string]bool // buckets that are there
}

var (
	_ discovery.Registrar = (*Registry)(nil)
	_ discovery.Splitter  = (*Registry)(nil)
)

// New returns the registry that opts names, on a connection that stays the caller's: it is closed after the last use of the registry. Give it
// MaxReconnects(-1). What is wrong with opts is the error of every use.
func New(nc *nats.Conn, opts Options) *Registry {
	opts.System = cmp.Or(opts.System, DefaultSystem)
	opts.TTL = cmp.Or(opts.TTL, defaultTTL)
	if opts.Logger == nil {
		opts.Logger = slog.Default()
	}
	r := &Registry{nc: nc, opts: opts, err: opts.check(), made: make(map[string]bool)}
	r.link.nc = nc
	js, err := jetstream.New(nc)
	if err != nil && r.err == nil {
		r.err = fmt.Errorf("natsdiscovery: %w", err)
	}
	r.js = js
	return r
}

var systemName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

func (o Options) check() error {
	if !systemName.MatchString(o.System) {
		return fmt.Errorf("natsdiscovery: system %q: want up to 64 letters, digits, '.', '_' and '-', beginning with a letter or digit", o.System)
	}
	if o.TTL < 2*time.Second || o.TTL%time.Second != 0 {
		return fmt.Errorf("natsdiscovery: TTL %v: want whole seconds, at least 2s", o.TTL)
	}
	if o.Replicas < 0 || o.Replicas > 5 {
		return fmt.Errorf("natsdiscovery: %d replicas: want 1 to 5, or 0 for the default", o.Replicas)
	}
	return nil
}

// Scope returns [discovery.ScopeHost] when all servers that the connection was told are on loopback addresses, and else
// [discovery.ScopeNetwork].
func (r *Registry) Scope() discovery.Scope {
	for _, host := range r.hosts() {
		name, _, err := net.SplitHostPort(host)
		if ip := net.ParseIP(name); err != nil || name != "localhost" && (ip == nil || !ip.IsLoopback()) {
			return discovery.ScopeNetwork
		}
	}
	return discovery.ScopeHost
}

// hosts returns the addresses that the connection was told.
func (r *Registry) hosts() (hosts []string) {
	for _, server := range r.nc.Opts.Servers {
		for one := range strings.SplitSeq(server, ",") {
			hosts = append(hosts, hostOf(one))
		}
	}
	if len(hosts) == 0 {
		for one := range strings.SplitSeq(r.nc.Opts.Url, ",") {
			hosts = append(hosts, hostOf(one))
		}
	}
	return hosts
}

// hostOf returns HOST:PORT of a server's URL, without what is secret in it.
func hostOf(server string) string {
	server = strings.TrimSpace(server)
	if !strings.Contains(server, "://") {
		server = "nats://" + server
	}
	u, err := url.Parse(server)
	if err != nil {
		return "?"
	}
	return net.JoinHostPort(u.Hostname(), cmp.Or(u.Port(), "4222"))
}

// String returns the registry's URL.
func (r *Registry) String() string {
	return "nats://" + strings.Join(r.hosts(), ",") + "/" + r.opts.System
}

// Watch implements [discovery.Registry]. However many watch a service, NATS is asked once; memory is held for the services that are watched.
func (r *Registry) Watch(ctx context.Context, service string, notify func([]discovery.Instance)) error {
	if r.err != nil {
		return r.err
	}
	return r.watch.Watch(ctx, service, notify, r.follow)
}

// bucketName returns the name of one of the system's buckets. Different systems have different ones.
func (r *Registry) bucketName(what string) string {
	return strings.NewReplacer("_", "__", ".", "_-").Replace(r.opts.System) + "_" + what
}
