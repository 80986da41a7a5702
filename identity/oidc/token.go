package oidc

import (
	"context"
	"encoding/json"
	"time"
)

// Token is what a verified token says. It must not be changed: calls with the same token share it.
type Token struct {
	Issuer   string    // the iss claim
	Subject  string    // the sub claim: the user, by a name that is unique with this issuer and never empty
	Audience []string  // the aud claim
	Expires  time.Time // the exp claim
	IssuedAt time.Time // the iat claim; zero: not said

	claims json.RawMessage
	raw    string
}

// Claims reads the token's claims as [json.Unmarshal] does. dst is a pointer, such as to a struct with a field for each claim of interest:
//
//	var claims struct {
//		Email  string   `json:"email"`
//		Groups []string `json:"groups"`
//	}
//	err := user.Claims(&claims)
func (t *Token) Claims(dst any) error {
	claims := t.claims
	if claims == nil { // made by a test
		claims = json.RawMessage("{}")
	}
	return json.Unmarshal(claims, dst)
}

// String returns the subject. The token itself is a secret, and is in no log.
func (t *Token) String() string { return t.Subject }

// GoString is String.
func (t *Token) GoString() string { return t.Subject }

type tokenKey struct{}

// FromContext returns the token of the call, or of the HTTP request, whose context this is. It returns false where no [Verifier] has let
// one in.
func FromContext(ctx context.Context) (*Token, bool) {
	t, ok := ctx.Value(tokenKey{}).(*Token)
	return t, ok
}

// NewContext returns a context with a token: for tests of handlers, and for interceptors that know the user from elsewhere. [Forward]
// passes on only what a [Verifier] has verified.
func NewContext(ctx context.Context, t *Token) context.Context {
	return context.WithValue(ctx, tokenKey{}, t)
}
