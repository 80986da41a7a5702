package oidc_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/hanse-go/hanse/identity/oidc"
)

// issuer is an OpenID Connect issuer: a real server on loopback with a discovery document and a set of keys.
type issuer struct {
	URL     string
	fetches atomic.Int64 // of keys
	down    atomic.Bool

	mu       sync.Mutex
	document map[string]any // instead of the right one
	keys     []any
}

func newIssuer(t *testing.T) *issuer {
	i := &issuer{}
	srv := httptest.NewServer(i)
	t.Cleanup(srv.Close)
	i.URL = srv.URL
	return i
}

func (i *issuer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	defer i.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	switch {
	case i.down.Load():
		http.Error(w, "no", http.StatusBadGateway)
	case r.URL.Path == "/.well-known/openid-configuration":
		document := map[string]any{"issuer": i.URL, "jwks_uri": i.URL + "/keys"}
		maps.Copy(document, i.document)
		json.NewEncoder(w).Encode(document)
	case r.URL.Path == "/keys":
		i.fetches.Add(1)
		json.NewEncoder(w).Encode(map[string]any{"keys": i.keys})
	default:
		http.NotFound(w, r)
	}
}

// publish replaces the keys.
func (i *issuer) publish(keys ...*key) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.keys = nil
	for _, k := range keys {
		i.keys = append(i.keys, jose.JSONWebKey{Key: k.signer.Public(), KeyID: k.id, Algorithm: string(k.alg), Use: "sig"})
	}
}

// key is one that tokens are signed with.
type key struct {
	id     string
	alg    jose.SignatureAlgorithm
	signer crypto.Signer
}

func newKey(t *testing.T, id string, alg jose.SignatureAlgorithm) *key {
	t.Helper()
	k := &key{id: id, alg: alg}
	var err error
	switch alg[:2] {
	case "RS", "PS":
		k.signer, err = rsa.GenerateKey(rand.Reader, 2048)
	case "ES":
		curve := map[jose.SignatureAlgorithm]elliptic.Curve{jose.ES256: elliptic.P256(), jose.ES384: elliptic.P384(), jose.ES512: elliptic.P521()}[alg]
		k.signer, err = ecdsa.GenerateKey(curve, rand.Reader)
	case "Ed":
		_, k.signer, err = ed25519.GenerateKey(rand.Reader)
	}
	if err != nil {
		t.Fatal(err)
	}
	return k
}

type claims map[string]any

// claims of a right token, with some changed; nil leaves one out.
func (i *issuer) claims(change claims) claims {
	all := claims{"iss": i.URL, "sub": "ann", "aud": "shop", "exp": time.Now().Add(time.Hour).Unix(), "iat": time.Now().Unix(), "email": "ann@example.com"}
	for k, v := range change {
		all[k] = v
		if v == nil {
			delete(all, k)
		}
	}
	return all
}

// token signs claims.
func (k *key) token(t *testing.T, c claims, header ...any) string {
	t.Helper()
	options := &jose.SignerOptions{}
	for n := 0; n < len(header); n += 2 {
		options.WithHeader(jose.HeaderKey(header[n].(string)), header[n+1])
	}
	signing := jose.SigningKey{Algorithm: k.alg, Key: jose.JSONWebKey{Key: k.signer, KeyID: k.id}}
	signer, err := jose.NewSigner(signing, options)
	if err != nil {
		t.Fatal(err)
	}
	payload, _ := json.Marshal(c)
	signed, err := signer.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// compact puts a token together by hand.
func compact(header string, payload []byte, signature []byte) string {
	enc := base64.RawURLEncoding.EncodeToString
	return strings.Join([]string{enc([]byte(header)), enc(payload), enc(signature)}, ".")
}

func (i *issuer) verifier(t *testing.T) *oidc.Verifier {
	return &oidc.Verifier{Issuer: i.URL, Audience: []string{"shop", "shop-admin"}, Logger: slog.New(slog.NewTextHandler(t.Output(), nil))}
}

func wantError(t *testing.T, err error, want string) {
	t.Helper()
	if err == nil || !strings.Contains(fmt.Sprint(err), want) {
		t.Errorf("error %v, want %q", err, want)
	}
}
