package tokens

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/hanse-go/hanse/gateway/edge"
	"go.uber.org/goleak"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// issuer is a real one, with discovery and keys, that can be told to misbehave.
type issuer struct {
	url string

	mu    sync.Mutex
	keys  []any
	says  map[string]any // in the document, besides what is right
	away  bool
	asked int           // for keys
	held  chan struct{} // until it is closed, keys are not answered; nil: at once
}

func newIssuer(t *testing.T) *issuer {
	i := &issuer{}
	srv := httptest.NewServer(i)
	t.Cleanup(srv.Close)
	i.url = srv.URL
	return i
}

func (i *issuer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	away, held := i.away, i.held
	keys := map[string]any{"keys": i.keys}
	document := map[string]any{"issuer": i.url, "jwks_uri": i.url + "/keys", "id_token_signing_alg_values_supported": []string{"RS256"}}
	maps.Copy(document, i.says)
	if r.URL.Path == "/keys" {
		i.asked++
	}
	i.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	switch {
	case away:
		http.Error(w, "not now", http.StatusServiceUnavailable)
	case r.URL.Path == "/.well-known/openid-configuration":
		json.NewEncoder(w).Encode(document)
	case r.URL.Path == "/keys":
		if held != nil {
			<-held
		}
		json.NewEncoder(w).Encode(keys)
	case r.URL.Path == "/elsewhere":
		http.Redirect(w, r, "http://issuer.example/keys", http.StatusFound)
	}
}

// change changes how the issuer behaves.
func (i *issuer) change(f func()) {
	i.mu.Lock()
	defer i.mu.Unlock()
	f()
}

// publish replaces the keys.
func (i *issuer) publish(keys ...*key) {
	i.change(func() {
		i.keys = nil
		for _, k := range keys {
			i.keys = append(i.keys, jose.JSONWebKey{Key: k.private.Public(), KeyID: k.id, Algorithm: string(k.algorithm), Use: "sig"})
		}
	})
}

func (i *issuer) times() (n int) {
	i.change(func() { n = i.asked })
	return n
}

// key is one that tokens are signed with.
type key struct {
	id        string
	algorithm jose.SignatureAlgorithm
	private   crypto.Signer
}

func newKey(t *testing.T, id string) *key {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return &key{id, jose.ES256, private}
}

// sign makes a token of claims, with header fields besides.
func (k *key) sign(t *testing.T, claims map[string]any, header ...string) string {
	t.Helper()
	options := &jose.SignerOptions{}
	for n := 0; n < len(header); n += 2 {
		options.WithHeader(jose.HeaderKey(header[n]), header[n+1])
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: k.algorithm, Key: jose.JSONWebKey{Key: k.private, KeyID: k.id}}, options)
	if err != nil {
		t.Fatal(err)
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	token, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// claims are those of a good token with some changed; nil leaves one out.
func (i *issuer) claims(change map[string]any) map[string]any {
	all := map[string]any{"iss": i.url, "sub": "ada", "aud": []string{"other", "shop"}, "exp": time.Now().Add(time.Hour).Unix(), "email": "ada@example.com", "groups": []string{"a", "b"}}
	for name, value := range change {
		if all[name] = value; value == nil {
			delete(all, name)
		}
	}
	return all
}

// log is that of a verifier.
type log struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// quick asks the issuer as often as is wished.
var quick = times{fresh: time.Hour, old: time.Hour, end: time.Hour, limit: 10 * time.Second}

func verifier(t *testing.T, about edge.Tokens, when times) (*Verifier, *log) {
	t.Helper()
	l := new(log)
	v := newVerifier(about, slog.New(slog.NewTextHandler(l, nil)), when)
	t.Cleanup(v.Close)
	return v, l
}

// refused wants a token refused with a code and a reason.
func refused(t *testing.T, v *Verifier, token string, code codes.Code, why string) {
	t.Helper()
	claims, err := v.Verify(t.Context(), token)
	if status.Code(err) != code || !strings.Contains(status.Convert(err).Message(), why) || claims != nil {
		t.Errorf("%v, %v, want %v: %s", claims, err, code, why)
	}
}

// good wants a token taken.
func good(t *testing.T, v *Verifier, token string) {
	t.Helper()
	if claims, err := v.Verify(t.Context(), token); err != nil || claims["sub"] != "ada" {
		t.Errorf("%v, %v", claims, err)
	}
}

func TestVerify(t *testing.T) {
	i, k := newIssuer(t), newKey(t, "1")
	i.publish(k)
	about := edge.Tokens{Issuer: i.url, Audience: []string{"admin", "shop"}, Claims: []string{"email", "groups", "none"}}
	v, _ := verifier(t, about, usual)
	claims, err := v.Verify(t.Context(), k.sign(t, i.claims(nil), "typ", "at+JWT"))
	if want := map[string]string{"sub": "ada", "email": "ada@example.com", "groups": `["a","b"]`}; err != nil || !reflect.DeepEqual(claims, want) {
		t.Errorf("%v, %v, want %v", claims, err, want)
	}
	good(t, v, k.sign(t, i.claims(map[string]any{"aud": "admin", "exp": time.Now().Add(-20 * time.Second).Unix()}))) // clocks differ

	ago := func(d time.Duration) int64 { return time.Now().Add(-d).Unix() }
	for name, tt := range map[string]struct {
		change map[string]any
		why    string
	}{
		"expired":        {map[string]any{"exp": ago(time.Minute)}, "expired"},
		"without an end": {map[string]any{"exp": nil}, "expired"},
		"not begun":      {map[string]any{"nbf": ago(-time.Hour)}, "nbf"},
		"of another":     {map[string]any{"iss": "https://other.example"}, "different provider"},
		"of nobody":      {map[string]any{"iss": nil}, "different provider"},
		"for another":    {map[string]any{"aud": "other"}, `it is for ["other"] and not for ["admin" "shop"] (aud)`},
		"for nobody":     {map[string]any{"aud": nil}, "(aud)"},
		"about nobody":   {map[string]any{"sub": nil}, "no subject"},
	} {
		t.Run(name, func(t *testing.T) {
			refused(t, v, k.sign(t, i.claims(tt.change)), codes.Unauthenticated, tt.why)
		})
	}

	forger := newKey(t, "1")
	refused(t, v, forger.sign(t, i.claims(nil)), codes.Unauthenticated, "signature is wrong")
	forger.id = ""
	refused(t, v, forger.sign(t, i.claims(nil)), codes.Unauthenticated, "signature is wrong")
	forger.id = "2"
	refused(t, v, forger.sign(t, i.claims(nil)), codes.Unauthenticated, `key "2"`)
	refused(t, v, k.sign(t, i.claims(nil), "typ", "logout+jwt"), codes.Unauthenticated, "logout+jwt")
	refused(t, v, "nonsense", codes.Unauthenticated, "malformed")

	payload, err := json.Marshal(i.claims(nil))
	if err != nil {
		t.Fatal(err)
	}
	text := base64.RawURLEncoding.EncodeToString
	refused(t, v, text([]byte(`{"alg":"none"}`))+"."+text(payload)+".", codes.Unauthenticated, "malformed")
	// The public key, which everybody has, as the key of an HMAC.
	public, err := x509.MarshalPKIXPublicKey(k.private.Public())
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range [][]byte{public, []byte("secret secret secret secret secret")} {
		signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.HS256, Key: secret}, nil)
		if err != nil {
			t.Fatal(err)
		}
		signed, err := signer.Sign(payload)
		if err != nil {
			t.Fatal(err)
		}
		token, err := signed.CompactSerialize()
		if err != nil {
			t.Fatal(err)
		}
		refused(t, v, token, codes.Unauthenticated, "malformed")
	}

	i.publish(k, forger)
	v, _ = verifier(t, about, usual)
	good(t, v, forger.sign(t, i.claims(nil)))
	forger.id = "1" // by one key of the issuer in the name of another
	refused(t, v, forger.sign(t, i.claims(nil)), codes.Unauthenticated, "signature is wrong")

	about.Algorithms = []string{"RS256"}
	only, _ := verifier(t, about, usual)
	refused(t, only, k.sign(t, i.claims(nil)), codes.Unauthenticated, "malformed")
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	strong := &key{"r", jose.RS256, private}
	i.publish(k, strong)
	v, _ = verifier(t, about, usual)
	good(t, v, strong.sign(t, i.claims(nil)))
	strong.algorithm = jose.PS256 // which the issuer's key is not for
	refused(t, v, strong.sign(t, i.claims(nil)), codes.Unauthenticated, "malformed")
}

// A new key counts at once, and one that was taken back no more when the keys are asked for again.
func TestRotation(t *testing.T) {
	i, one, two := newIssuer(t), newKey(t, "1"), newKey(t, "2")
	i.publish(one)
	about := edge.Tokens{Issuer: i.url, Audience: []string{"shop"}}
	v, _ := verifier(t, about, quick)
	good(t, v, one.sign(t, i.claims(nil)))
	i.publish(two)
	good(t, v, one.sign(t, i.claims(nil))) // nobody has asked yet
	good(t, v, two.sign(t, i.claims(nil)))
	refused(t, v, one.sign(t, i.claims(nil)), codes.Unauthenticated, `key "1"`)

	// Unknown keys make nobody ask again and again.
	v, _ = verifier(t, about, usual)
	good(t, v, two.sign(t, i.claims(nil)))
	before := i.times()
	for range 20 {
		refused(t, v, one.sign(t, i.claims(nil)), codes.Unauthenticated, `key "1"`)
	}
	if asked := i.times() - before; asked != 0 {
		t.Errorf("the issuer was asked %d times within a moment", asked)
	}

	// Keys that are no longer fresh are asked for in the background, and for old ones calls wait.
	when := quick
	when.fresh = 1
	v, _ = verifier(t, about, when)
	good(t, v, two.sign(t, i.claims(nil)))
	i.publish(one)
	held := make(chan struct{})
	i.change(func() { i.held = held })
	before = i.times()
	good(t, v, two.sign(t, i.claims(nil)))
	close(held)
	v.mu.Lock()
	answer := v.answer
	v.mu.Unlock()
	if answer == nil {
		t.Error("nobody asks for new keys")
	} else if <-answer; i.times() != before+1 {
		t.Errorf("asked %d times for new keys", i.times()-before)
	}
	when.old = 1
	v, _ = verifier(t, about, when)
	good(t, v, one.sign(t, i.claims(nil)))
	i.publish(two)
	refused(t, v, one.sign(t, i.claims(nil)), codes.Unauthenticated, `key "1"`)
}

// While the issuer is away, its keys count for a while, and what they do not tell nobody knows.
func TestAway(t *testing.T) {
	i, one, two := newIssuer(t), newKey(t, "1"), newKey(t, "2")
	i.publish(one)
	i.change(func() { i.away = true })
	about := edge.Tokens{Issuer: i.url, Audience: []string{"shop"}}
	v, logs := verifier(t, about, quick)
	refused(t, v, one.sign(t, i.claims(nil)), codes.Unavailable, "its issuer does not answer")
	for range 3 {
		refused(t, v, one.sign(t, i.claims(nil)), codes.Unavailable, "see the log")
	}
	if n := strings.Count(logs.String(), "does not answer as it should: users are refused until it does"); n != 1 || !strings.Contains(logs.String(), "level=ERROR") || !strings.Contains(logs.String(), "issuer="+i.url) {
		t.Errorf("logged %d times:\n%s", n, logs)
	}
	i.change(func() { i.away = false })
	good(t, v, one.sign(t, i.claims(nil)))
	if !strings.Contains(logs.String(), "has told its keys") {
		t.Errorf("log:\n%s", logs)
	}
	i.change(func() { i.away = true })
	i.publish(two)
	refused(t, v, two.sign(t, i.claims(nil)), codes.Unavailable, "")
	good(t, v, one.sign(t, i.claims(nil)))
	if !strings.Contains(logs.String(), "count for 1h0m0s") {
		t.Errorf("log:\n%s", logs)
	}
	i.change(func() { i.away = false })
	good(t, v, two.sign(t, i.claims(nil)))
	if !strings.Contains(logs.String(), "answers again") {
		t.Errorf("log:\n%s", logs)
	}

	when := quick
	when.fresh, when.old, when.end = 1, 1, 1
	i.change(func() { i.away = true })
	v, _ = verifier(t, about, when)
	v.mu.Lock()
	v.keys, v.came = []jose.JSONWebKey{{Key: two.private.Public(), KeyID: "2"}}, time.Now().Add(-time.Minute)
	v.mu.Unlock()
	refused(t, v, two.sign(t, i.claims(nil)), codes.Unavailable, "") // its keys are too old to be trusted
}

// Whoever calls waits for a slow issuer no longer than it wants to.
func TestSlow(t *testing.T) {
	i, k := newIssuer(t), newKey(t, "1")
	i.publish(k)
	held := make(chan struct{})
	i.held = held
	v, _ := verifier(t, edge.Tokens{Issuer: i.url, Audience: []string{"shop"}}, usual)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	token := k.sign(t, i.claims(nil))
	go func() {
		_, err := v.Verify(ctx, token)
		ended <- err
	}()
	cancel()
	if err := <-ended; status.Code(err) != codes.Unavailable {
		t.Error(err)
	}
	close(held)
	good(t, v, token)
}

// What an issuer may not say.
func TestBadIssuer(t *testing.T) {
	k := newKey(t, "1")
	for name, tt := range map[string]struct {
		bad func(i *issuer)
		why string
	}{
		"is another one":            {func(i *issuer) { i.says = map[string]any{"issuer": "https://other.example"} }, "other.example"},
		"has keys in the open":      {func(i *issuer) { i.says = map[string]any{"jwks_uri": "http://issuer.example/keys"} }, "no https URL"},
		"leads to keys in the open": {func(i *issuer) { i.says = map[string]any{"jwks_uri": i.url + "/elsewhere"} }, "no https URL"},
		"has no keys":               {func(i *issuer) { i.keys = nil }, "no key that signatures"},
		"has secrets for keys": {func(i *issuer) {
			i.keys = []any{jose.JSONWebKey{Key: []byte("secret secret secret secret secret"), KeyID: "1"}, map[string]any{"kty": "new"}}
		}, "no key that signatures"},
		"has keys to encrypt with": {func(i *issuer) {
			i.keys = []any{jose.JSONWebKey{Key: k.private.Public(), KeyID: "1", Use: "enc"}}
		}, "no key that signatures"},
	} {
		t.Run(name, func(t *testing.T) {
			i := newIssuer(t)
			i.publish(k)
			tt.bad(i)
			v, logs := verifier(t, edge.Tokens{Issuer: i.url, Audience: []string{"shop"}}, usual)
			refused(t, v, k.sign(t, i.claims(nil)), codes.Unavailable, "")
			if !strings.Contains(logs.String(), "does not answer as it should") || !strings.Contains(logs.String(), tt.why) {
				t.Errorf("log:\n%s", logs)
			}
		})
	}
}

func TestClose(t *testing.T) {
	i, k := newIssuer(t), newKey(t, "1")
	i.publish(k)
	held := make(chan struct{})
	i.held = held
	v, logs := verifier(t, edge.Tokens{Issuer: i.url, Audience: []string{"shop"}}, usual)
	v.Close() // does not wait for the answer
	close(held)
	refused(t, v, k.sign(t, i.claims(nil)), codes.Unavailable, "")
	if logs.String() != "" {
		t.Errorf("log:\n%s", logs)
	}
}
