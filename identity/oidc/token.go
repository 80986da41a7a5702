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

// Claims returns a function that says what a token claims, for [github.com/hanse-go/hanse/gateway/edge.Gateway.Claims]: sub, and the claims
// of these names that the token has. Texts are given as they are, all else as JSON.
func Claims(names ...string) func(ctx context.Context) map[string]string {
	return func(ctx context.Context) map[string]string {
		user, ok := FromContext(ctx)
		if !ok {
			return nil
		}
		said := map[string]string{"sub": user.Subject}
		var all map[string]json.RawMessage
		if user.Claims(&all) != nil {
			return said
		}
		for _, name := range names {
			value, ok := all[name]
			if !ok {
				continue
			}
			var text string
			if json.Unmarshal(value, &text) != nil {
				text = string(value)
			}
			said[name] = text
		}
		return said
	}
}
