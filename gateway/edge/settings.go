package edge

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/gateway"
)

// Settings say what a gateway shows and to whom. As YAML:
//
//	gateway:
//	  listen: :8443
//	  tls: {cert: tls.crt, key: tls.key}
//	  expose: [catalog, orders]
//	  keys:
//	    partner: 2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b
//	  rules:
//	    - match: [/shop.catalog.v1.Catalog/*]
//	      auth: open
//	      rate: {per-second: 20, by: ip}
//	    - match: ["*"]
//	      auth: key
//	      timeout: 5s
type Settings struct {
	// Listen is the address for clients: host:port. Default: 127.0.0.1:8080. It counts from the start only.
	Listen string `desc:"the address for clients"`
	// TLS is shown to clients; its files are read again when they change. Without it clients speak plaintext, by HTTP/1.1 and h2c.
	TLS TLS
	// Expose lists the services that can be called. Default: all, where Listen is an address that only this machine reaches; elsewhere
	// the services must be named.
	Expose []string `desc:"the services that can be called"`
	// Rules say how calls are let in; the first that matches counts. A method that none matches can be called freely where Listen is an
	// address that only this machine reaches and a call is made to a name of it (see [gateway.LocalName]), and by nobody elsewhere.
	Rules []Rule `desc:"how calls are let in; the first that matches counts"`
	// Keys are the clients that have one, by name: each the SHA-256 of its key in hexadecimal digits. A key is a secret of at least 128
	// random bits, sent as x-api-key; services do not get it. To make one: openssl rand -hex 32.
	Keys map[string]string `desc:"SHA-256 of the key of each client, by its name"`
	// CORS says which pages may call. Default: none of other sites.
	CORS CORS
	// Docs serves /openapi.json and /docs, to everyone who can connect; where only this machine can, see
	// [gateway.Local].
	Docs bool `desc:"serve /openapi.json and /docs"`
	// Body is the most bytes that a request message may have, where its rule says nothing. Default: 1 MiB.
	Body int `desc:"bytes of one request message"`
	// AccessLog logs every call: who, what, the status, and how long it took.
	AccessLog bool `desc:"log every call"`
}

// TLS names the files of a certificate and its key, in PEM form.
type TLS struct {
	Cert string // the certificate and those between it and the authority
	Key  string // its key. Default: it is in Cert
}

// CORS is [gateway.CORS], for a file.
type CORS struct {
	Origins     []string      // whose pages may call, or "*" alone
	Credentials bool          // with cookies
	Headers     []string      // that pages may send, too
	MaxAge      time.Duration // that a browser may remember the answer
}

func (c CORS) config() gateway.CORS { return gateway.CORS(c) }

// Rule says how calls of some methods are let in.
type Rule struct {
	// Match are full methods: /package.Service/Method; /package.Service/* for all of a contract; * for all.
	Match []string `required:"true"`
	// Auth is who may call: open for everyone; key for those who send a key of Settings.Keys; user for those whom Gateway.Users lets in; any
	// for either. Default: nobody but programs on this machine, see Settings.Rules.
	Auth string
	// Keys names those whose keys count. Default: all.
	Keys []string
	// Rate limits the calls of this rule.
	Rate Rate
	// Timeout is the longest that a call may take; a client's own deadline counts when it is shorter. Default: as long as the client wants,
	// and what the system gives calls without a deadline.
	Timeout time.Duration
	// Body is the most bytes that a request message may have. Default: Settings.Body.
	Body int
}

// Rate is how many calls are let in.
type Rate struct {
	PerSecond float64 // calls a second; 0 is no limit
	Burst     int     // calls at once after a pause. Default: those of one second, at least 1
	By        string  // what is counted for itself: ip, key, user; or all together: all. Default: ip
}

const defaultBody = 1 << 20

func (s Settings) listen() string {
	if s.Listen == "" {
		return "127.0.0.1:8080"
	}
	return s.Listen
}

// local reports whether only this machine reaches the address.
func (s Settings) local() bool {
	host, _, err := net.SplitHostPort(s.listen())
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

func (s Settings) body() int {
	if s.Body > 0 {
		return s.Body
	}
	return defaultBody
}

// largestBody is what a message may have under the rule that allows the most.
func (s Settings) largestBody() int {
	most := s.body()
	for _, r := range s.Rules {
		most = max(most, r.Body)
	}
	return most
}

// Validate returns what is wrong with the settings, all of it.
func (s Settings) Validate() error {
	var mistakes []error
	wrong := func(format string, args ...any) { mistakes = append(mistakes, fmt.Errorf(format, args...)) }
	if _, _, err := net.SplitHostPort(s.listen()); err != nil {
		wrong("listen: %q is not host:port", s.Listen)
	}
	if s.TLS.Cert == "" && s.TLS.Key != "" {
		wrong("tls: there is a key and no cert")
	}
	if len(s.Expose) == 0 && !s.local() {
		wrong("expose: name the services that can be called: others than this machine reach %s", s.listen())
	}
	for _, name := range s.Expose {
		if err := discovery.CheckName(name); err != nil {
			wrong("expose: %w", err)
		}
	}
	if s.Body < 0 {
		wrong("body: %d is not a number of bytes", s.Body)
	}
	for name, sum := range s.Keys {
		if b, err := hex.DecodeString(sum); err != nil || len(b) != sha256.Size {
			wrong("keys: that of %s is no SHA-256 in hexadecimal digits: make it with   printf %%s KEY | sha256sum", name)
		}
	}
	for i, r := range s.Rules {
		if err := r.check(s.Keys); err != nil {
			wrong("rules[%d]: %w", i, err)
		}
	}
	return errors.Join(mistakes...)
}

func (r Rule) check(keys map[string]string) error {
	for _, m := range r.Match {
		if m == "*" {
			continue
		}
		contract, method, ok := strings.Cut(strings.TrimPrefix(m, "/"), "/")
		if !strings.HasPrefix(m, "/") || !ok || contract == "" || method == "" || strings.ContainsRune(contract, '*') || method != "*" && strings.ContainsAny(method, "*/") {
			return fmt.Errorf("match: %q is not /package.Service/Method, /package.Service/* or *", m)
		}
	}
	if !slices.Contains([]string{"", "open", "key", "user", "any"}, r.Auth) {
		return fmt.Errorf("auth: %q is not open, key, user or any", r.Auth)
	}
	if (r.Auth == "key" || r.Auth == "any") && len(keys) == 0 {
		return fmt.Errorf("auth: %s, and there are no keys", r.Auth)
	}
	for _, name := range r.Keys {
		if keys[name] == "" {
			return fmt.Errorf("keys: there is none of %q", name)
		}
	}
	if !slices.Contains([]string{"", "ip", "key", "user", "all"}, r.Rate.By) {
		return fmt.Errorf("rate.by: %q is not ip, key, user or all", r.Rate.By)
	}
	if r.Rate.PerSecond < 0 || r.Rate.PerSecond > 1e9 || r.Rate.Burst < 0 {
		return errors.New("rate: per-second and burst are numbers from 0 on")
	}
	if r.Timeout < 0 || r.Body < 0 {
		return errors.New("timeout and body are not negative")
	}
	return nil
}
