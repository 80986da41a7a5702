package oidc_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/hanse-go/hanse/identity/oidc"
)

func TestVerify(t *testing.T) {
	for _, alg := range []jose.SignatureAlgorithm{jose.RS256, jose.PS384, jose.ES256, jose.ES512, jose.EdDSA} {
		t.Run(string(alg), func(t *testing.T) {
			i, k := newIssuer(t), newKey(t, "1", alg)
			i.publish(newKey(t, "0", alg), k)
			v := i.verifier(t)
			exp := time.Now().Add(time.Minute).Truncate(time.Second)
			raw := k.token(t, i.claims(claims{"aud": []string{"other", "shop-admin"}, "exp": exp.Unix(), "nbf": time.Now().Unix()}))
			for range 3 {
				got, err := v.Verify(t.Context(), raw)
				if err != nil {
					t.Fatal(err)
				}
				var more struct{ Email string }
				if err := got.Claims(&more); err != nil || more.Email != "ann@example.com" {
					t.Errorf("claims %v, %v", more, err)
				}
				if got.Issuer != i.URL || got.Subject != "ann" || !slices.Equal(got.Audience, []string{"other", "shop-admin"}) || !got.Expires.Equal(exp) || got.IssuedAt.IsZero() {
					t.Errorf("token %+v", *got)
				}
				if text := fmt.Sprintf("%v %+v %#v %s", got, got, got, got); text != "ann ann ann ann" {
					t.Errorf("the token is printed as %s", text)
				}
			}
			if n := i.fetches.Load(); n != 1 {
				t.Errorf("the keys were asked for %d times", n)
			}
		})
	}
}

// TestRefused holds what is refused, and that the caller is told why.
func TestRefused(t *testing.T) {
	i, k, other := newIssuer(t), newKey(t, "1", jose.RS256), newKey(t, "1", jose.RS256)
	curve := newKey(t, "2", jose.ES256)
	public, err := x509.MarshalPKIXPublicKey(k.signer.Public())
	if err != nil {
		t.Fatal(err)
	}
	i.publish(k, curve)
	i.keys = append(i.keys, map[string]any{"kty": "oct", "kid": "shared", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldA"},
		map[string]any{"kty": "unheard of", "kid": "new"},
		jose.JSONWebKey{Key: other.signer.Public(), KeyID: "enc", Use: "enc"})
	v := i.verifier(t)
	payload := func(c claims) []byte {
		text, _ := json.Marshal(i.claims(c))
		return text
	}
	// forge signs with a MAC whose key everybody has.
	forge := func(header string, secret []byte) string {
		unsigned := strings.TrimSuffix(compact(header, payload(nil), nil), ".")
		mac := hmac.New(sha256.New, secret)
		mac.Write([]byte(unsigned))
		return compact(header, payload(nil), mac.Sum(nil))
	}
	good := k.token(t, i.claims(nil))
	parts := strings.Split(good, ".")
	ago := func(d time.Duration) int64 { return time.Now().Add(-d).Unix() }
	embedded, _ := json.Marshal(jose.JSONWebKey{Key: other.signer.Public(), KeyID: "9"})
	for name, tt := range map[string]struct{ raw, want string }{
		"empty":                       {"", "malformed"},
		"no token":                    {"hello", "malformed"},
		"two parts":                   {parts[0] + "." + parts[1], "malformed"},
		"none":                        {compact(`{"alg":"none"}`, payload(nil), nil), `unexpected signature algorithm "none"`},
		"None":                        {compact(`{"alg":"NoNe"}`, payload(nil), []byte("x")), "unexpected signature algorithm"},
		"no algorithm":                {compact(`{}`, payload(nil), []byte("x")), "unexpected signature algorithm"},
		"HMAC with the public key":    {forge(`{"alg":"HS256","kid":"1"}`, public), `unexpected signature algorithm "HS256"`},
		"HMAC with it as PEM":         {forge(`{"alg":"HS256","kid":"1"}`, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public})), `unexpected signature algorithm "HS256"`},
		"HMAC with a published key":   {forge(`{"alg":"HS256","kid":"shared"}`, []byte("secret-secret-secret-secret-secret")), `unexpected signature algorithm "HS256"`},
		"another key, same name":      {other.token(t, i.claims(nil)), "its signature is wrong"},
		"a key for encryption":        {(&key{"enc", jose.RS256, other.signer}).token(t, i.claims(nil)), `signed by the key "enc", which the issuer does not have`},
		"an unknown key":              {(&key{"9", jose.RS256, other.signer}).token(t, i.claims(nil)), `signed by the key "9"`},
		"its own key":                 {(&key{"9", jose.RS256, other.signer}).token(t, i.claims(nil), "jwk", json.RawMessage(embedded)), `signed by the key "9"`},
		"another algorithm of a key":  {(&key{"1", jose.PS256, k.signer}).token(t, i.claims(nil)), "its signature is wrong"},
		"another kind of key":         {(&key{"2", jose.RS256, k.signer}).token(t, i.claims(nil)), "its signature is wrong"},
		"no key named, none fits":     {(&key{"", jose.RS256, other.signer}).token(t, i.claims(nil)), "its signature is wrong"},
		"changed":                     {compactWith(good, payload(claims{"sub": "bob"})), "its signature is wrong"},
		"critical header":             {k.token(t, i.claims(nil), "crit", []string{"exp"}, "exp", 1), ""},
		"expired":                     {k.token(t, i.claims(claims{"exp": ago(31 * time.Second)})), "it expired at 20"},
		"no expiry":                   {k.token(t, i.claims(claims{"exp": nil})), "not when it expires"},
		"expiry 0":                    {k.token(t, i.claims(claims{"exp": 0})), "not when it expires"},
		"expiry is text":              {k.token(t, i.claims(claims{"exp": "never"})), "claims"},
		"not begun":                   {k.token(t, i.claims(claims{"nbf": ago(-40 * time.Second)})), "it is not good before 20"},
		"nbf is text":                 {k.token(t, i.claims(claims{"nbf": "soon"})), ""},
		"another issuer":              {k.token(t, i.claims(claims{"iss": "https://login.example.com"})), "a different provider"},
		"the issuer with a slash":     {k.token(t, i.claims(claims{"iss": i.URL + "/"})), "a different provider"},
		"no issuer":                   {k.token(t, i.claims(claims{"iss": nil})), "a different provider"},
		"another audience":            {k.token(t, i.claims(claims{"aud": "bank"})), `it is for ["bank"] and not for ["shop" "shop-admin"]`},
		"no audience":                 {k.token(t, i.claims(claims{"aud": nil})), "it is for []"},
		"an audience that begins so":  {k.token(t, i.claims(claims{"aud": []string{"shop2", "sho"}})), "and not for"},
		"no subject":                  {k.token(t, i.claims(claims{"sub": nil})), "no subject"},
		"to log out":                  {k.token(t, i.claims(nil), "typ", "logout+jwt"), `of the type "logout+jwt"`},
		"a type that is none":         {k.token(t, i.claims(nil), "typ", 7), "of the type"},
		"no claims":                   {signText(t, k, "hello"), "claims"},
		"two signatures":              {signTwice(t, k, curve, string(payload(nil))), "signature"},
		"claims of another's sources": {k.token(t, i.claims(claims{"_claim_names": map[string]string{"sub": "a"}})), "source"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := v.Verify(t.Context(), tt.raw)
			if err == nil || got != nil {
				t.Fatalf("let in: %v, %v", got, err)
			}
			wantError(t, err, tt.want)
		})
	}
	for name, raw := range map[string]string{
		"good":               good,
		"a second expired":   k.token(t, i.claims(claims{"exp": ago(time.Second)})),
		"a second too early": k.token(t, i.claims(claims{"nbf": ago(-2 * time.Second)})),
		"at+jwt":             k.token(t, i.claims(nil), "typ", "at+JWT"),
		"application/at+jwt": k.token(t, i.claims(nil), "typ", "application/at+jwt"),
		"JWT":                k.token(t, i.claims(nil), "typ", "JWT"),
		"no key named":       (&key{"", jose.RS256, k.signer}).token(t, i.claims(nil)),
		"the other key":      curve.token(t, i.claims(nil)),
	} {
		if _, err := v.Verify(t.Context(), raw); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}

	exact := i.verifier(t)
	exact.Leeway = -1
	_, err = exact.Verify(t.Context(), k.token(t, i.claims(claims{"exp": ago(time.Second)})))
	wantError(t, err, "it expired at")
	narrow := i.verifier(t)
	narrow.Algorithms = []string{"ES256"}
	_, err = narrow.Verify(t.Context(), good)
	wantError(t, err, `unexpected signature algorithm "RS256"`)
	if _, err := narrow.Verify(t.Context(), curve.token(t, i.claims(nil))); err != nil {
		t.Error(err)
	}
}

func compactWith(token string, payload []byte) string {
	parts := strings.Split(token, ".")
	return parts[0] + "." + strings.Split(compact("", payload, nil), ".")[1] + "." + parts[2]
}

func signText(t *testing.T, k *key, text string) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: k.alg, Key: jose.JSONWebKey{Key: k.signer, KeyID: k.id}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := signer.Sign([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	raw, _ := signed.CompactSerialize()
	return raw
}

func signTwice(t *testing.T, a, b *key, text string) string {
	t.Helper()
	signer, err := jose.NewMultiSigner([]jose.SigningKey{{Algorithm: a.alg, Key: a.signer}, {Algorithm: b.alg, Key: b.signer}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := signer.Sign([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return signed.FullSerialize()
}

// TestExpiry holds that a token that was verified before expires all the same.
func TestExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i, k := &issuer{URL: "https://login.example.com"}, newKey(t, "1", jose.ES256)
		i.publish(k)
		v := i.within(t)
		raw := k.token(t, i.claims(claims{"exp": time.Now().Add(time.Minute).Unix()}))
		for _, step := range []struct {
			wait time.Duration
			want string
		}{{0, ""}, {time.Minute, ""}, {29 * time.Second, ""}, {time.Second, "it expired at"}, {time.Hour, "it expired at"}} {
			time.Sleep(step.wait)
			_, err := v.Verify(t.Context(), raw)
			if step.want == "" && err != nil {
				t.Error(err)
			} else if step.want != "" {
				wantError(t, err, step.want)
			}
		}
	})
}

// within returns a verifier that asks the issuer without a network, so that time can be virtual.
func (i *issuer) within(t *testing.T) *oidc.Verifier {
	v := &oidc.Verifier{Issuer: i.URL, Audience: []string{"shop"}}
	v.HTTPClient = &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		w := httptest.NewRecorder()
		i.ServeHTTP(w, r)
		return w.Result(), nil
	})}
	return v
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestRotation holds how new keys come and old ones go, and how often the issuer is asked.
func TestRotation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := &issuer{URL: "https://login.example.com"}
		first, second, third := newKey(t, "1", jose.ES256), newKey(t, "2", jose.ES256), newKey(t, "3", jose.ES256)
		i.publish(first)
		v := i.within(t)
		long := claims{"exp": time.Now().Add(1000 * time.Hour).Unix()}
		try := func(k *key, want string, fetches int64) {
			t.Helper()
			_, err := v.Verify(t.Context(), k.token(t, i.claims(long)))
			if want == "" && err != nil {
				t.Error(err)
			} else if want != "" {
				wantError(t, err, want)
			}
			synctest.Wait()
			if n := i.fetches.Load(); n != fetches {
				t.Errorf("asked for keys %d times, want %d", n, fetches)
			}
		}
		old := first.token(t, i.claims(long))
		if _, err := v.Verify(t.Context(), old); err != nil {
			t.Fatal(err)
		}
		try(first, "", 1)
		try(second, `the key "2"`, 1) // asked a moment ago
		time.Sleep(5 * time.Second)
		try(second, `the key "2"`, 2)
		try(third, `the key "3"`, 2) // whatever comes: not again before 5 s have passed

		i.publish(first, second)
		time.Sleep(5 * time.Second)
		try(second, "", 3) // at once
		try(first, "", 3)

		i.publish(second) // the first is taken back
		time.Sleep(10*time.Minute + time.Second)
		try(second, "", 4) // asks, and does not wait
		try(first, `the key "1"`, 4)
		if _, err := v.Verify(t.Context(), old); err == nil {
			t.Error("a token that was verified before is good although its key was taken back")
		}

		i.down.Store(true)
		time.Sleep(11 * time.Minute)
		try(second, "", 4)
		time.Sleep(22 * time.Hour)
		try(second, "", 4)
		try(third, "cannot be had", 4)
		time.Sleep(2 * time.Hour)
		try(second, "the keys of the issuer cannot be had: https://login.example.com/keys answers 502", 4)
		i.down.Store(false)
		time.Sleep(5 * time.Second)
		try(second, "cannot be had", 5) // it asks for the next ones
		try(second, "", 5)

		time.Sleep(3 * time.Hour)
		i.publish(third)
		try(second, `the key "2"`, 6) // after long, it waits for the answer
		try(third, "", 6)
	})
}

// TestOneQuestion holds that the issuer is asked once, however many calls wait, and that a call waits no longer than it may.
func TestOneQuestion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i, k := &issuer{URL: "https://login.example.com"}, newKey(t, "1", jose.ES256)
		i.publish(k)
		v := i.within(t)
		answer := v.HTTPClient.Transport
		v.HTTPClient.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
			time.Sleep(4 * time.Second)
			return answer.RoundTrip(r)
		})
		raw := k.token(t, i.claims(nil))
		hurried, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := v.Verify(hurried, raw)
		wantError(t, err, "waiting for the issuer: context deadline exceeded")
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() {
				if _, err := v.Verify(t.Context(), raw); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if n := i.fetches.Load(); n != 1 {
			t.Errorf("asked for keys %d times", n)
		}
	})
}

// TestManyTokens holds that what is remembered of them is bounded.
func TestManyTokens(t *testing.T) {
	i, k := newIssuer(t), newKey(t, "1", jose.EdDSA)
	i.publish(k)
	v := i.verifier(t)
	for n := range 2500 {
		if _, err := v.Verify(t.Context(), k.token(t, i.claims(claims{"sub": fmt.Sprint(n)}))); err != nil {
			t.Fatal(err)
		}
	}
	if n := oidc.Remembered(v); n > 2048 || n < 1000 {
		t.Errorf("%d are remembered", n)
	}
}

// TestReady holds that mistakes and an issuer that does not answer are told at the start.
func TestReady(t *testing.T) {
	i, k := newIssuer(t), newKey(t, "1", jose.ES256)
	i.publish(k)
	if err := i.verifier(t).Ready(t.Context()); err != nil {
		t.Error(err)
	}
	for name, tt := range map[string]struct {
		prepare func(v *oidc.Verifier, i *issuer)
		want    string
	}{
		"no issuer":          {func(v *oidc.Verifier, _ *issuer) { v.Issuer = "" }, "Verifier.Issuer is empty"},
		"no URL":             {func(v *oidc.Verifier, _ *issuer) { v.Issuer = "login.example.com" }, "no https URL"},
		"http":               {func(v *oidc.Verifier, _ *issuer) { v.Issuer = "http://login.example.com" }, "no https URL"},
		"no audience":        {func(v *oidc.Verifier, _ *issuer) { v.Audience = nil }, "Verifier.Audience is empty"},
		"empty audience":     {func(v *oidc.Verifier, _ *issuer) { v.Audience = []string{"shop", ""} }, "Verifier.Audience is empty"},
		"HS256":              {func(v *oidc.Verifier, _ *issuer) { v.Algorithms = []string{"RS256", "HS256"} }, `"HS256" is none of`},
		"none":               {func(v *oidc.Verifier, _ *issuer) { v.Algorithms = []string{"none"} }, `"none" is none of`},
		"down":               {func(_ *oidc.Verifier, i *issuer) { i.down.Store(true) }, "the issuer cannot be asked: 502"},
		"another's document": {func(_ *oidc.Verifier, i *issuer) { i.document = map[string]any{"issuer": "https://other.example.com"} }, "did not match"},
		"keys over http":     {func(_ *oidc.Verifier, i *issuer) { i.document = map[string]any{"jwks_uri": "http://192.0.2.1/keys"} }, "jwks_uri"},
		"keys nowhere":       {func(_ *oidc.Verifier, i *issuer) { i.document = map[string]any{"jwks_uri": i.URL + "/none"} }, "/none answers 404"},
		"no keys":            {func(_ *oidc.Verifier, i *issuer) { i.keys = nil }, "gives no key"},
		"keys are none": {func(_ *oidc.Verifier, i *issuer) {
			i.document = map[string]any{"jwks_uri": i.URL + "/.well-known/openid-configuration"}
		}, "gives no key"},
		"a secret key only":  {func(_ *oidc.Verifier, i *issuer) { i.keys = []any{map[string]any{"kty": "oct", "k": "c2VjcmV0"}} }, "gives no key"},
		"a private key only": {func(_ *oidc.Verifier, i *issuer) { i.keys = []any{jose.JSONWebKey{Key: k.signer}} }, "gives no key"},
	} {
		t.Run(name, func(t *testing.T) {
			i := newIssuer(t)
			i.publish(k)
			v := i.verifier(t)
			tt.prepare(v, i)
			wantError(t, v.Ready(t.Context()), tt.want)
			if _, err := v.Verify(t.Context(), k.token(t, i.claims(nil))); err == nil {
				t.Error("a token is let in")
			}
		})
	}
}

// TestRedirects holds that the keys come from where nobody on the way can change them.
func TestRedirects(t *testing.T) {
	away := httptest.NewServer(http.RedirectHandler("http://192.0.2.1/", http.StatusFound))
	defer away.Close()
	v := &oidc.Verifier{Issuer: away.URL, Audience: []string{"shop"}}
	wantError(t, v.Ready(t.Context()), "http://192.0.2.1/")
	round := httptest.NewServer(http.RedirectHandler("/", http.StatusFound))
	defer round.Close()
	v = &oidc.Verifier{Issuer: round.URL, Audience: []string{"shop"}}
	wantError(t, v.Ready(t.Context()), "redirects and redirects")
}

var errBroken = errors.New("broken")

type broken struct{ io.Reader }

func (broken) Read([]byte) (int, error) { return 0, errBroken }

func TestBrokenAnswer(t *testing.T) {
	i, k := newIssuer(t), newKey(t, "1", jose.ES256)
	i.publish(k)
	v := i.verifier(t)
	v.HTTPClient = &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(r)
		if err == nil && r.URL.Path == "/keys" {
			resp.Body.Close()
			resp.Body = io.NopCloser(broken{})
		}
		return resp, err
	})}
	wantError(t, v.Ready(t.Context()), "broken")
}
