package eurekadiscovery

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/discovery/driver"
)

// Registry is a [discovery.Registrar] on Eureka. It is safe for concurrent use and must not be copied or changed while it is in use.
type Registry struct {
	// Servers are the base URLs of one or more servers that are each other's peers, without the apps of the requests:
	// http://HOST:8761/eureka with Spring Cloud, http://HOST:8080/eureka/v2 with Netflix's own. A user and password in one are sent as
	// basic authentication. The first that answers is used, until it does not. The default is http://127.0.0.1:8761/eureka.
	Servers []string
	// Interval is how often a watch asks. The default is 5 s, the least 100 ms.
	Interval time.Duration
	// TTL is what Eureka is told of how long an instance that died stays. It is renewed three times as often. The default is 30 s, the
	// least 3 s. (Eureka keeps dead instances for twice that and up to a minute more.)
	TTL time.Duration
	// Grace is how long ready instances stay known that vanish while Eureka was away, or all at once: a server that was started again
	// knows none, and they are announced again in this time. The default is 1 min; -1 is none.
	Grace time.Duration
	// Client makes the requests; TLS is set in its transport. The default is one without a proxy.
	Client *http.Client
	// Logger gets a warning when requests begin to fail and an info when they succeed again. The default is slog.Default().
	Logger *slog.Logger

	shared  driver.Shared[discovery.Instance] // all watches
	leases  driver.Renewals
	http    driver.Client
	current atomic.Int32 // the server that answered last
}

var _ discovery.Registrar = (*Registry)(nil)

const (
	defaultServer   = "http://127.0.0.1:8761/eureka"
	defaultInterval = 5 * time.Second
	minInterval     = 100 * time.Millisecond
	defaultTTL      = 30 * time.Second
	minTTL          = 3 * time.Second
	renewals        = 3 // in a TTL
	defaultGrace    = time.Minute
)

// Open returns the registry that a URL names; it is a value of [discovery.Schemes].
//
//	eureka:                                              a server of this machine
//	eureka:http://HOST:8761/eureka                       another one
//	eureka:http://A:8761/eureka,http://B:8761/eureka     two that are peers
//	eureka:https://HOST/eureka?interval=2s&ttl=15s       with Interval and TTL
//
// A password is not part of such a URL, for it gets logged: make a [Registry].
func Open(text string) (discovery.Registry, error) {
	servers, query, _ := strings.Cut(strings.TrimPrefix(text, "eureka:"), "?")
	params, err := url.ParseQuery(query)
	if err != nil {
		return nil, err
	}
	r := new(Registry)
	if servers != "" {
		r.Servers = strings.Split(servers, ",")
	}
	for name, values := range params {
		value := values[len(values)-1]
		switch name {
		case "interval":
			r.Interval, err = time.ParseDuration(value)
		case "ttl":
			r.TTL, err = time.ParseDuration(value)
		default:
			err = errors.New("unknown parameter (known are interval, ttl)")
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	for _, s := range r.Servers {
		if u, err := url.Parse(s); err == nil && u.User != nil {
			return nil, errors.New("want no user in the URL, for it gets logged: set it in the Servers of eurekadiscovery.Registry")
		}
	}
	return r, r.check()
}

// check reports the first field with which nothing can work.
func (r *Registry) check() error {
	for _, s := range r.servers() {
		u, err := url.Parse(s)
		if err != nil {
			return fmt.Errorf("server: %w", err)
		}
		if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" {
			return fmt.Errorf("server %q: want the base URL of a Eureka server, such as %s", u.Redacted(), defaultServer)
		}
		if strings.HasSuffix(s, "/apps") {
			return fmt.Errorf("server %q: want the base URL, without /apps", u.Redacted())
		}
	}
	if r.Interval != 0 && r.Interval < minInterval {
		return fmt.Errorf("field Interval is %v: want at least %v, or 0 for %v", r.Interval, minInterval, defaultInterval)
	}
	if r.TTL != 0 && r.TTL < minTTL {
		return fmt.Errorf("TTL %v: want at least %v, or 0 for %v", r.TTL, minTTL, defaultTTL)
	}
	return nil
}

// Scope returns [discovery.ScopeNetwork].
func (r *Registry) Scope() discovery.Scope { return discovery.ScopeNetwork }

// String returns the registry's URL, without passwords.
func (r *Registry) String() string {
	var all []string
	for _, s := range r.servers() {
		if u, err := url.Parse(s); err == nil {
			u.User = nil
			s = u.String()
		}
		all = append(all, s)
	}
	return "eureka:" + strings.Join(all, ",")
}

func (r *Registry) servers() []string {
	if len(r.Servers) == 0 {
		return []string{defaultServer}
	}
	all := slices.Clone(r.Servers)
	for i := range all {
		all[i] = strings.TrimSuffix(strings.TrimSpace(all[i]), "/")
	}
	return all
}

func (r *Registry) interval() time.Duration { return cmp.Or(r.Interval, defaultInterval) }

func (r *Registry) ttl() time.Duration { return cmp.Or(r.TTL, defaultTTL) }

func (r *Registry) grace() time.Duration { return max(0, cmp.Or(r.Grace, defaultGrace)) }

func (r *Registry) logger() *slog.Logger {
	if r.Logger != nil {
		return r.Logger
	}
	return slog.Default()
}
