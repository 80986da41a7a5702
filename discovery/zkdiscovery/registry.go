package zkdiscovery

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/go-zookeeper/zk"
	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/discovery/driver"
)

// Options are what a registry can be told. The zero value works.
type Options struct {
	// System tells systems apart: those with different names never meet. It has up to 64 letters, digits, '.', '_' and '-'. The
	// default is "default".
	System string
	// Prefix is the node below which all systems are. The default is "/hanse".
	Prefix string
	// SessionTimeout is how long an instance that died stays announced, at least 1 s; ZooKeeper has bounds of its own, by default from
	// 4 to 40 s. The default is 10 s. A process that is stopped or cut off for longer is taken for dead, and announces itself again
	// when it is back.
	SessionTimeout time.Duration
	// Auth are the credentials of the session. Default: none.
	Auth []Auth
	// ACL is what the nodes that are made here allow. The default allows all to everybody, or, with Auth, to who has the same
	// credentials, and reading to everybody.
	ACL []zk.ACL
	// Dial makes the connections, with TLS for instance. The default is net.DialTimeout.
	Dial zk.Dialer
	// Logger gets a warning when ZooKeeper goes away and for each record that cannot be understood. The default is slog.Default().
	Logger *slog.Logger
}

// Auth is a credential, such as the scheme "digest" with "user:password".
type Auth struct {
	Scheme     string
	Credential []byte
}

// defaultTimeout is short enough for a dead instance to be forgotten soon, though callers do not rely on it: they stop calling an
// instance when its connection breaks. It is long enough for an election in ZooKeeper.
const defaultTimeout = 10 * time.Second

// Registry is a [discovery.Registrar] in ZooKeeper. It is made by [New] or [Open]. It is connected while something is watched or
// announced.
type Registry struct {
	servers []string
	opts    Options
	err     error // what is wrong with the options
	watch   driver.Shared[discovery.Instance]

	mu   sync.Mutex
	link *link // nil when there are neither watchers nor leases
}

var _ discovery.Registrar = (*Registry)(nil)

// New returns the registry that opts names, in the ZooKeeper of the servers, each a host:port; the port is 2181 where none is given. What
// is wrong with the arguments is the error of every use.
func New(servers []string, opts Options) *Registry {
	opts.System = cmp.Or(opts.System, "default")
	opts.Prefix = cmp.Or(opts.Prefix, "/hanse")
	opts.SessionTimeout = cmp.Or(opts.SessionTimeout, defaultTimeout)
	if opts.Logger == nil {
		opts.Logger = slog.Default()
	}
	if opts.ACL == nil {
		opts.ACL = zk.WorldACL(zk.PermAll)
		if len(opts.Auth) > 0 {
			opts.ACL = append(zk.AuthACL(zk.PermAll), zk.WorldACL(zk.PermRead)...)
		}
	}
	r := &Registry{opts: opts, err: opts.check()}
	for _, s := range servers {
		addr, err := address(s)
		if err != nil && r.err == nil {
			r.err = fmt.Errorf("zkdiscovery: server %w", err)
		}
		r.servers = append(r.servers, addr)
	}
	if len(servers) == 0 && r.err == nil {
		r.err = fmt.Errorf("zkdiscovery: no servers: want their addresses, such as zk-1:2181")
	}
	return r
}

var systemName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

func (o Options) check() error {
	if !systemName.MatchString(o.System) {
		return fmt.Errorf("zkdiscovery: system %q: want up to 64 letters, digits, '.', '_' and '-', beginning with a letter or digit", o.System)
	}
	if o.SessionTimeout < time.Second {
		return fmt.Errorf("zkdiscovery: session timeout %v: want at least 1s", o.SessionTimeout)
	}
	if !strings.HasPrefix(o.Prefix, "/") || strings.HasSuffix(o.Prefix, "/") {
		return fmt.Errorf("zkdiscovery: prefix %q: want the path of a node, such as /hanse", o.Prefix)
	}
	return nil
}

// Scope returns [discovery.ScopeNetwork].
func (r *Registry) Scope() discovery.Scope { return discovery.ScopeNetwork }

// String returns the registry's URL.
func (r *Registry) String() string {
	return "zk://" + strings.Join(r.servers, ",") + "/" + r.opts.System
}

// Watch implements [discovery.Registry]. However many watch a service, ZooKeeper is asked once; memory is held for the services that are
// watched.
func (r *Registry) Watch(ctx context.Context, service string, notify func([]discovery.Instance)) error {
	if r.err != nil {
		return r.err
	}
	return r.watch.Watch(ctx, service, notify, r.follow)
}

func (r *Registry) root() string { return r.opts.Prefix + "/" + r.opts.System }

func (r *Registry) idPath(id string) string { return r.root() + "/ids/" + id }

func (r *Registry) servicesPath() string { return r.root() + "/instances" }

func (r *Registry) servicePath(service string) string { return r.servicesPath() + "/" + service }

func (r *Registry) instancePath(service, id string) string { return r.servicePath(service) + "/" + id }
