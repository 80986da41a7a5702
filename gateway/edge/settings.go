package edge

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/hanse-go/hanse/config"
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
//	  users: {issuer: "https://login.example.com", audience: [shop]}
//	  rules:
//	    - match: [/shop.catalog.v1.Catalog/*]
//	      auth: open
//	      rate: {per-second: 20, by: ip}
//	    - match: ["*"]
//	      auth: any
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
	// Users says by which tokens users are known. Default: none are, unless the program knows them ([Gateway.Users]).
	Users Tokens
	// CORS says which pages may call. Default: none of other sites.
	CORS CORS
	// Docs serves /openapi.json and /docs, to everyone who can connect; where only this machine can, see
	// [gateway.Local].
	Docs bool `desc:"serve /openapi.json and /docs"`
	// MCP offers methods to AI agents as tools, by the Model Context Protocol at /mcp: to each those that it may call. Where only this machine
	// can connect, see [gateway.Local].
	MCP bool `desc:"offer methods to AI agents, at /mcp"`
	// Tools are the methods that are tools: /package.Service/Method, or /package.Service/* for all of a contract. Default: those that are
	// marked NO_SIDE_EFFECTS. Methods that stream are never tools.
	Tools []string `desc:"the methods that are tools for agents"`
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

// Tokens says which tokens of an OpenID Connect issuer are good. Clients send them as "authorization: Bearer TOKEN".
type Tokens struct {
	// Issuer is the URL of the issuer exactly as its tokens have it: https, or http on a loopback address. Its discovery document is
	// at ISSUER/.well-known/openid-configuration.
	Issuer string `desc:"the URL of the issuer of users' tokens"`
	// Audience lists for whom tokens are meant: one of it must be among a token's. It must not be empty, for then the tokens that users
	// gave to other programs would be good here.
	Audience []string `desc:"for whom tokens are meant"`
	// Claims are what services are told of a user besides sub, as [ClaimPrefix] says.
	Claims []string `desc:"what services are told of a user, besides sub"`
	// Algorithms lists those that tokens may be signed with. Default: all of which a public key is of use: see [Algorithms].
	Algorithms []string `desc:"that tokens may be signed with"`
	// Leeway is how far the clocks of the issuer and of this machine may differ. Default: 30 s.
	Leeway time.Duration `desc:"how far clocks may differ"`
}

// Algorithms are those of [Tokens.Algorithms] that can be allowed. Others are no signatures, or need a key that can also sign.
func Algorithms() []string {
	return []string{"RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "PS256", "PS384", "PS512", "EdDSA"}
}

// CheckIssuer says why the keys of an issuer cannot be had from a URL: others on the way could give other keys.
func CheckIssuer(from string) error {
	u, err := url.Parse(from)
	switch {
	case err != nil:
		return err
	case u.Scheme == "https" && u.Host != "":
		return nil
	case u.Scheme == "http" && (u.Hostname() == "localhost" || net.ParseIP(u.Hostname()).IsLoopback()):
		return nil
	}
	return fmt.Errorf("%q is no https URL: anybody on the way could give other keys", from)
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
	// Auth is who may call: open for everyone; key for those who send a key of Settings.Keys; user for users with a good token; any for
	// either. Default: nobody but programs on this machine, see Settings.Rules.
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
	// By is what is counted for itself: ip; key; user; claim:NAME, what a claim of the user says; or all together: all. Default: ip.
	By string
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

// Validate returns what is wrong with the settings, all of it: each a [config.Error], which a file's line belongs to.
func (s Settings) Validate() error {
	var m mistakes
	if _, _, err := net.SplitHostPort(s.listen()); err != nil {
		m.add("listen", "%q is not host:port", s.Listen)
	}
	if s.TLS.Cert == "" && s.TLS.Key != "" {
		m.add("tls.key", "there is a key and no cert")
	}
	if len(s.Expose) == 0 && !s.local() {
		m.add("expose", "name the services that can be called: others than this machine reach %s", s.listen())
	}
	for i, name := range s.Expose {
		if err := discovery.CheckName(name); err != nil {
			m.add(fmt.Sprintf("expose[%d]", i), "%v", err)
		}
	}
	if s.Body < 0 {
		m.add("body", "%d is not a number of bytes", s.Body)
	}
	for name, sum := range s.Keys {
		if b, err := hex.DecodeString(sum); err != nil || len(b) != sha256.Size {
			m.add("keys", "that of %s is no SHA-256 in hexadecimal digits: make it with   printf %%s KEY | sha256sum", name) // not its line: it may be the key
		}
	}
	if err := (gateway.Config{CORS: s.CORS.config()}).Check(); err != nil {
		m.add("cors", "%v", err)
	}
	if len(s.Tools) > 0 && !s.MCP {
		m.add("tools", "nobody is offered them: say   mcp: true")
	}
	for i, method := range s.Tools {
		if !isMethod(method) {
			m.add(fmt.Sprintf("tools[%d]", i), "%q is not /package.Service/Method or /package.Service/*", method)
		}
	}
	s.Users.check(&m)
	for i, r := range s.Rules {
		r.check(fmt.Sprintf("rules[%d].", i), s, &m)
	}
	return errors.Join(m...)
}

// mistakes collects what is wrong with settings.
type mistakes []error

func (m *mistakes) add(path, format string, args ...any) {
	*m = append(*m, &config.Error{Path: path, Reason: fmt.Sprintf(format, args...)})
}

func (t Tokens) check(m *mistakes) {
	if t.Issuer == "" {
		if !reflect.DeepEqual(t, Tokens{}) {
			m.add("users", "there is no issuer")
		}
		return
	}
	if err := CheckIssuer(t.Issuer); err != nil {
		m.add("users.issuer", "%v", err)
	}
	if len(t.Audience) == 0 || slices.Contains(t.Audience, "") {
		m.add("users.audience", "say for whom tokens are meant, or those for other programs would be good here")
	}
	for i, name := range t.Algorithms {
		if !slices.Contains(Algorithms(), name) {
			m.add(fmt.Sprintf("users.algorithms[%d]", i), "%q is none of %s: others are no signatures, or need a key that can also sign", name, strings.Join(Algorithms(), ", "))
		}
	}
	if t.Leeway < 0 {
		m.add("users.leeway", "it cannot be negative")
	}
}

// check adds what is wrong with the rule, whose settings are s and whose path begins with at.
func (r Rule) check(at string, s Settings, m *mistakes) {
	for i, match := range r.Match {
		if match != "*" && !isMethod(match) {
			m.add(fmt.Sprintf("%smatch[%d]", at, i), "%q is not /package.Service/Method, /package.Service/* or *", match)
		}
	}
	switch {
	case !slices.Contains([]string{"", "open", "key", "user", "any"}, r.Auth):
		m.add(at+"auth", "%q is not open, key, user or any", r.Auth)
	case (r.Auth == "key" || r.Auth == "any") && len(s.Keys) == 0:
		m.add(at+"auth", "%s, and there are no keys", r.Auth)
	}
	for i, name := range r.Keys {
		if s.Keys[name] == "" {
			m.add(fmt.Sprintf("%skeys[%d]", at, i), "there is none of %q", name)
		}
	}
	claim, byClaim := strings.CutPrefix(r.Rate.By, "claim:")
	switch {
	case byClaim && claim != "" && (s.Users.Issuer == "" || claim == "sub" || slices.Contains(s.Users.Claims, claim)):
	case byClaim && claim != "":
		m.add(at+"rate.by", "services are not told %q: put it into users.claims", claim)
	case !slices.Contains([]string{"", "ip", "key", "user", "all"}, r.Rate.By):
		m.add(at+"rate.by", "%q is not ip, key, user, claim:NAME or all", r.Rate.By)
	}
	if r.Rate.PerSecond < 0 || r.Rate.PerSecond > 1e9 || r.Rate.Burst < 0 {
		m.add(at+"rate", "per-second and burst are numbers from 0 on")
	}
	if r.Timeout < 0 {
		m.add(at+"timeout", "it cannot be negative")
	}
	if r.Body < 0 {
		m.add(at+"body", "it cannot be negative")
	}
}

// isMethod reports whether a text is /package.Service/Method, or /package.Service/*.
func isMethod(s string) bool {
	contract, method, ok := strings.Cut(strings.TrimPrefix(s, "/"), "/")
	return strings.HasPrefix(s, "/") && ok && contract != "" && method != "" &&
		!strings.ContainsRune(contract, '*') && (method == "*" || !strings.ContainsAny(method, "*/"))
}
