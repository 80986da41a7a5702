package oidc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"
)

const (
	defaultLeeway = 30 * time.Second
	maxTokens     = 2048 // that are kept because they were verified before
)

// Verifier verifies tokens of one issuer. It finds the issuer's keys by its discovery document when the first token comes, and asks again
// every ten minutes while tokens come, when one is signed by a key that it does not know, and at most every 5 seconds. While the issuer
// cannot be reached, the keys that it had count for up to a day.
//
// A token must be signed by one of these keys with an asymmetric algorithm, be of the issuer and for the audience, name a subject, and
// have begun and not expired.
//
// The fields are set before the first use. Its methods are safe for concurrent use. A Verifier must not be copied.
type Verifier struct {
	// Issuer is the URL of the issuer exactly as its tokens have it: https, or http on a loopback address. Its discovery document is
	// at ISSUER/.well-known/openid-configuration.
	Issuer string
	// Audience lists for whom tokens are meant: one of it must be among a token's. It must not be empty, for then the tokens that users
	// gave to other programs would be good here.
	Audience []string
	// Algorithms lists those that tokens may be signed with: RS256, RS384, RS512, ES256, ES384, ES512, PS256, PS384, PS512, EdDSA.
	// Empty: all of these.
	Algorithms []string
	// Leeway is how far the clocks of the issuer and of this machine may differ. 0 is 30 s, -1 is not at all.
	Leeway time.Duration
	// Optional lets in calls without a token; [FromContext] finds none then. A wrong token is refused all the same.
	Optional bool
	// Public lists methods that need no token, but get a right one: "/package.Service/Method", or all that begin alike, by a * at the
	// end. Health checks and reflection are public.
	Public []string
	// Logger gets what goes wrong with the issuer; callers are told only that something does. nil: slog.Default.
	Logger *slog.Logger
	// HTTPClient is what the issuer is asked by; an answer may take 10 s. nil: one that trusts the system's authorities, and follows redirects
	// to URLs that an Issuer may have.
	HTTPClient *http.Client

	mu       sync.Mutex
	keys     *keySet       // nil before discovery
	asking   chan struct{} // closed when discovery has ended; nil: nobody asks
	asked    time.Time
	askErr   error
	verified map[string]*verified
}

// verified is a token that was found right.
type verified struct {
	token      *Token
	generation uint64 // of the keys
}

// algorithms that a public key is of use for.
var algorithms = []jose.SignatureAlgorithm{
	jose.RS256, jose.RS384, jose.RS512, jose.ES256, jose.ES384, jose.ES512, jose.PS256, jose.PS384, jose.PS512, jose.EdDSA,
}

// Ready returns nil when the Verifier can do its work: its fields are right and it has the keys of the issuer, for which it asks. Else the
// error says what is missing. It fits Check of a service.
func (v *Verifier) Ready(ctx context.Context) error {
	keys, err := v.issuer(ctx)
	if err == nil {
		_, _, err = keys.current(ctx)
	}
	return err
}

// check says what is wrong with the fields.
func (v *Verifier) check() error {
	if v.Issuer == "" {
		return errors.New("oidc: Verifier.Issuer is empty: set the URL of the issuer")
	}
	if err := checkURL(v.Issuer); err != nil {
		return fmt.Errorf("oidc: Verifier.Issuer: %w", err)
	}
	if len(v.Audience) == 0 || slices.Contains(v.Audience, "") {
		return errors.New("oidc: Verifier.Audience is empty: say for whom tokens are meant, or those for other programs would be good here")
	}
	for _, name := range v.Algorithms {
		if !slices.Contains(algorithms, jose.SignatureAlgorithm(name)) {
			return fmt.Errorf("oidc: Verifier.Algorithms: %q is none of %v: others are not signatures, or need a key that can also sign", name, algorithms)
		}
	}
	return nil
}

func (v *Verifier) logger() *slog.Logger {
	if v.Logger != nil {
		return v.Logger
	}
	return slog.Default()
}

// checkURL refuses what would let others on the network choose the keys.
func checkURL(s string) error {
	u, err := url.Parse(s)
	switch {
	case err != nil:
		return err
	case u.Scheme == "https" && u.Host != "":
		return nil
	case u.Scheme == "http" && (u.Hostname() == "localhost" || net.ParseIP(u.Hostname()).IsLoopback()):
		return nil
	}
	return fmt.Errorf("%q is no https URL: anybody on the way could give other keys", s)
}

// issuer returns the keys of the issuer, after discovery.
func (v *Verifier) issuer(ctx context.Context) (*keySet, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.keys != nil {
		return v.keys, nil
	}
	if v.asking == nil && (v.asked.IsZero() || time.Since(v.asked) >= fetchPause) {
		if err := v.check(); err != nil {
			return nil, err
		}
		v.asked, v.asking = time.Now(), make(chan struct{})
		go v.discover(v.asking)
	}
	if answer := v.asking; answer != nil {
		v.mu.Unlock()
		var ended error
		select {
		case <-answer:
		case <-ctx.Done():
			ended = &unavailable{fmt.Errorf("waiting for the issuer: %w", context.Cause(ctx))}
		}
		v.mu.Lock()
		if ended != nil {
			return nil, ended
		}
	}
	if v.keys == nil {
		return nil, &unavailable{fmt.Errorf("the issuer cannot be asked: %w", v.askErr)}
	}
	return v.keys, nil
}

// newClient returns a client that keeps no connections: minutes pass between two questions.
func newClient() *http.Client {
	return &http.Client{
		Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true},
		CheckRedirect: func(req *http.Request, via []*http.Request) error {
			if len(via) > 5 {
				return errors.New("it redirects and redirects")
			}
			return checkURL(req.URL.String())
		},
	}
}

// discover reads the issuer's discovery document.
func (v *Verifier) discover(done chan struct{}) {
	client := v.HTTPClient
	if client == nil {
		client = newClient()
	}
	ctx, cancel := context.WithTimeout(oidc.ClientContext(context.Background(), client), fetchLimit)
	defer cancel()
	var document struct {
		URL string `json:"jwks_uri"`
	}
	provider, err := oidc.NewProvider(ctx, v.Issuer)
	if err == nil {
		err = provider.Claims(&document)
	}
	if err == nil {
		if err = checkURL(document.URL); err != nil {
			err = fmt.Errorf("jwks_uri of %s: %w", v.Issuer, err)
		}
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.askErr = err; err != nil {
		v.logger().Warn("the issuer of tokens cannot be asked", "issuer", v.Issuer, "error", err)
	} else {
		v.keys = &keySet{url: document.URL, client: client, logger: v.logger().With("issuer", v.Issuer)}
	}
	v.asking = nil
	close(done)
}

// Verify returns what a token says, if it is right. The error says what is wrong, in words that its owner may read.
func (v *Verifier) Verify(ctx context.Context, raw string) (*Token, error) {
	keys, err := v.issuer(ctx)
	if err != nil {
		return nil, err
	}
	_, generation, err := keys.current(ctx)
	if err != nil {
		return nil, err
	}
	v.mu.Lock()
	known := v.verified[raw]
	v.mu.Unlock()
	if known != nil && known.generation == generation {
		if err := v.inTime(known.token.Expires, time.Time{}); err != nil {
			return nil, err
		}
		return known.token, nil
	}
	token, generation, err := v.verify(ctx, keys, raw)
	if err != nil {
		return nil, err
	}
	v.keep(raw, &verified{token, generation})
	return token, nil
}

// verify does what Verify does, of a token that was not seen before.
func (v *Verifier) verify(ctx context.Context, keys *keySet, raw string) (*Token, uint64, error) {
	a := &attempt{keys: keys}
	config := &oidc.Config{SkipClientIDCheck: true, SkipExpiryCheck: true, SupportedSigningAlgs: v.Algorithms}
	if len(v.Algorithms) == 0 {
		for _, alg := range algorithms {
			config.SupportedSigningAlgs = append(config.SupportedSigningAlgs, string(alg))
		}
	}
	id, err := oidc.NewVerifier(v.Issuer, a, config).Verify(ctx, raw)
	if a.err != nil {
		return nil, 0, a.err
	}
	if err != nil {
		return nil, 0, errors.New(strings.TrimPrefix(err.Error(), "oidc: "))
	}
	t := &Token{Issuer: id.Issuer, Subject: id.Subject, Audience: id.Audience, Expires: id.Expiry, IssuedAt: id.IssuedAt, raw: raw}
	var begins struct {
		Nbf *json.Number `json:"nbf"`
	}
	if err := errors.Join(id.Claims(&t.claims), id.Claims(&begins)); err != nil {
		return nil, 0, fmt.Errorf("its claims cannot be read: %w", err)
	}
	var notBefore time.Time
	if begins.Nbf != nil {
		seconds, err := begins.Nbf.Float64()
		if err != nil {
			return nil, 0, fmt.Errorf("its nbf claim is no time: %w", err)
		}
		notBefore = time.Unix(int64(seconds), 0)
	}
	switch {
	case t.Subject == "":
		return nil, 0, errors.New("it names no subject (sub)")
	case !slices.ContainsFunc(t.Audience, func(a string) bool { return slices.Contains(v.Audience, a) }):
		return nil, 0, fmt.Errorf("it is for %q and not for %q (aud)", t.Audience, v.Audience)
	}
	return t, a.generation, v.inTime(t.Expires, notBefore)
}

// inTime refuses what has expired or has not begun.
func (v *Verifier) inTime(expires, notBefore time.Time) error {
	leeway := v.Leeway
	switch {
	case leeway == 0:
		leeway = defaultLeeway
	case leeway < 0:
		leeway = 0
	}
	now := time.Now()
	switch {
	case expires.Unix() <= 0:
		return errors.New("it says not when it expires (exp)")
	case !now.Before(expires.Add(leeway)):
		return fmt.Errorf("it expired at %s", expires.UTC().Format(time.RFC3339))
	case now.Add(leeway).Before(notBefore):
		return fmt.Errorf("it is not good before %s", notBefore.UTC().Format(time.RFC3339))
	}
	return nil
}

// keep remembers a token: signatures cost time, and a user's calls come with the same token.
func (v *Verifier) keep(raw string, t *verified) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.verified == nil {
		v.verified = make(map[string]*verified)
	}
	if len(v.verified) >= maxTokens {
		now := time.Now()
		maps.DeleteFunc(v.verified, func(_ string, t *verified) bool { return now.After(t.token.Expires) })
		for old := range v.verified { // any: each may come again
			if len(v.verified) <= maxTokens/2 {
				break
			}
			delete(v.verified, old)
		}
	}
	v.verified[raw] = t
}

// attempt is the verification of one token, for go-oidc. It keeps the error, of which go-oidc tells the text alone.
type attempt struct {
	keys       *keySet
	generation uint64
	err        error
}

var _ oidc.KeySet = (*attempt)(nil)

// VerifySignature implements oidc.KeySet.
func (a *attempt) VerifySignature(ctx context.Context, raw string) (payload []byte, err error) {
	defer func() { a.err = err }()
	token, err := jose.ParseSigned(raw, algorithms)
	if err != nil {
		return nil, err
	}
	// Tokens are made for other ends, too, such as to log a user out, and say so here (RFC 8725, section 3.11).
	if typ, said := token.Signatures[0].Header.ExtraHeaders["typ"]; said {
		switch name, _ := typ.(string); strings.TrimPrefix(strings.ToLower(name), "application/") {
		case "jwt", "at+jwt":
		default:
			return nil, fmt.Errorf("it is of the type %q, and not JWT or at+jwt", typ)
		}
	}
	payload, a.generation, err = a.keys.verify(ctx, token)
	return payload, err
}
