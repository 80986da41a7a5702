package consuldiscovery

import (
	"cmp"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/discovery/driver"
)

// Registry is a [discovery.Registrar] on a Consul agent. Its zero value uses the agent of this machine. It is safe for concurrent use
// and must not be copied or changed while it is in use.
//
// A registration belongs to the agent that it was made at: give each process the agent of its own machine, as Consul means it.
type Registry struct {
	// Address is the URL of the agent. The default is http://127.0.0.1:8500.
	Address string
	// Token is an ACL token, sent with each request. It needs service:write for what is announced, and service:read and node:read for
	// what is called; key_prefix:read of hanse/ where there are split rules, and key_prefix:write to set them. The default is none.
	Token string
	// Datacenter is where instances are looked for, and where split rules are; instances are always announced in the agent's. The default
	// is the agent's.
	Datacenter string
	// Tag tells systems apart that share a datacenter: instances are announced with it, and only those that have it are found. Each tag
	// has split rules of its own. The default is none.
	Tag string
	// TTL is how long an instance that died stays known: its lease is renewed four times as often. The default is 10 s, the least 1 s.
	TTL time.Duration
	// DeregisterAfter is how long a dead instance stays in Consul, as critical, which nobody calls. The default is 1 min, which is also
	// Consul's least.
	DeregisterAfter time.Duration
	// Grace is how long ready instances stay known that vanish while Consul was away or lost data: if they live, they are announced
	// again in this time. The default is 1 min; -1 is none.
	Grace time.Duration
	// Client makes the requests; TLS is set in its transport. It must have no Timeout, for a watch is a request that waits. The
	// default is one without a proxy.
	Client *http.Client
	// Logger gets a warning when requests begin to fail and an info when they succeed again. The default is slog.Default().
	Logger *slog.Logger

	shared driver.Shared[discovery.Instance] // all watches
	splits driver.Shared[discovery.Split]    // of all services: one query, however many are called
	leases driver.Renewals
	http   driver.Client
}

var _ discovery.Registrar = (*Registry)(nil)

const (
	defaultTTL             = 10 * time.Second
	minTTL                 = time.Second
	renewals               = 4 // in a TTL
	defaultDeregisterAfter = time.Minute
	defaultGrace           = time.Minute
)

// Open returns the registry that a URL names; it is a value of [discovery.Schemes].
//
//	consul:                             the agent of this machine
//	consul://HOST:PORT                  another agent
//	consul:https://HOST:PORT            over TLS, with the system's certificate authorities
//	consul://HOST:PORT?dc=eu&tag=shop   with Datacenter and Tag; also ttl=15s
//
// A token is not part of a URL, for URLs get logged: make a [Registry].
func Open(text string) (discovery.Registry, error) {
	rest := strings.TrimPrefix(text, "consul:")
	if strings.HasPrefix(rest, "//") {
		rest = "http:" + rest
	}
	u, err := url.Parse(rest)
	if err != nil {
		return nil, err
	}
	if u.User != nil || u.Fragment != "" || u.Opaque != "" {
		return nil, fmt.Errorf("want consul://HOST:PORT or consul:https://HOST:PORT, and no user in it: a token is a field of consuldiscovery.Registry")
	}
	r := new(Registry)
	for name, values := range u.Query() {
		value := values[len(values)-1]
		switch name {
		case "dc":
			r.Datacenter = value
		case "tag":
			r.Tag = value
		case "ttl":
			if r.TTL, err = time.ParseDuration(value); err != nil {
				return nil, fmt.Errorf("ttl: %w", err)
			}
		default:
			return nil, fmt.Errorf("unknown parameter %q (known are dc, tag, ttl)", name)
		}
	}
	u.RawQuery = ""
	r.Address = u.String()
	return r, r.check()
}

// check reports the first field with which nothing can work.
func (r *Registry) check() error {
	u, err := url.Parse(r.address())
	if err != nil {
		return fmt.Errorf("address: %w", err)
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" {
		return fmt.Errorf("address %q: want the URL of a Consul agent, such as http://127.0.0.1:8500", r.address())
	}
	if r.TTL != 0 && r.TTL < minTTL {
		return fmt.Errorf("TTL %v: want at least %v, or 0 for %v", r.TTL, minTTL, defaultTTL)
	}
	if r.DeregisterAfter != 0 && r.DeregisterAfter < defaultDeregisterAfter {
		return fmt.Errorf("DeregisterAfter %v: Consul takes no less than %v", r.DeregisterAfter, defaultDeregisterAfter)
	}
	return nil
}

// Scope returns [discovery.ScopeNetwork].
func (r *Registry) Scope() discovery.Scope { return discovery.ScopeNetwork }

// String returns the registry's URL, without the token.
func (r *Registry) String() string {
	s := "consul:" + strings.TrimPrefix(r.address(), "http:")
	params := make(url.Values)
	if r.Datacenter != "" {
		params.Set("dc", r.Datacenter)
	}
	if r.Tag != "" {
		params.Set("tag", r.Tag)
	}
	if len(params) > 0 {
		s += "?" + params.Encode()
	}
	return s
}

func (r *Registry) address() string {
	return strings.TrimSuffix(cmp.Or(r.Address, "http://127.0.0.1:8500"), "/")
}

func (r *Registry) ttl() time.Duration { return cmp.Or(r.TTL, defaultTTL) }

func (r *Registry) grace() time.Duration { return max(0, cmp.Or(r.Grace, defaultGrace)) }

func (r *Registry) logger() *slog.Logger {
	if r.Logger != nil {
		return r.Logger
	}
	return slog.Default()
}
