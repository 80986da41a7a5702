// Package tokens knows the users of a gateway by the JSON Web Tokens (JWT) of an OpenID Connect issuer. Services, and programs with a gateway
// of their own, use module identity/oidc.
package tokens

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"
	"github.com/hanse-go/hanse/gateway/edge"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Verifier knows the tokens of one issuer. It is made by [New], and safe for concurrent use.
//
// A token must be signed by a key of the issuer with an allowed algorithm, be of the issuer and for the audience, name a subject, and have
// begun and not expired.
type Verifier struct {
	about      edge.Tokens
	algorithms []jose.SignatureAlgorithm
	config     *oidc.Config
	logger     *slog.Logger
	client     *http.Client
	times      times

	ctx  context.Context // of questions to the issuer
	stop context.CancelFunc
	work sync.WaitGroup

	mu     sync.Mutex
	keys   []jose.JSONWebKey // those of the last good answer
	came   time.Time         // when that came; zero: never
	asked  time.Time         // the last time
	err    error             // of the last answer
	answer chan struct{}     // closed when the answer has come; nil: nobody asks
}

var _ edge.Verifier = (*Verifier)(nil)

// New returns what knows the tokens that about describes, which has no mistakes. It asks the issuer for its keys at once, and logs how
// that goes; it can be used before they come.
func New(about edge.Tokens, logger *slog.Logger) *Verifier { return newVerifier(about, logger, usual) }

func newVerifier(about edge.Tokens, logger *slog.Logger, times times) *Verifier {
	leeway := about.Leeway
	if leeway == 0 {
		leeway = 30 * time.Second
	}
	names := about.Algorithms
	if len(names) == 0 {
		names = edge.Algorithms()
	}
	v := &Verifier{
		about: about, logger: logger.With("issuer", about.Issuer), client: newClient(), times: times,
		config: &oidc.Config{
			SkipClientIDCheck:    true, // there may be several: see Verify
			SupportedSigningAlgs: names, Now: func() time.Time { return time.Now().Add(-leeway) },
		},
	}
	for _, name := range names {
		v.algorithms = append(v.algorithms, jose.SignatureAlgorithm(name))
	}
	v.ctx, v.stop = context.WithCancel(context.Background())
	v.mu.Lock()
	defer v.mu.Unlock()
	v.ask()
	return v
}

// Close implements [edge.Verifier].
func (v *Verifier) Close() {
	v.mu.Lock()
	v.stop()
	v.mu.Unlock()
	v.work.Wait()
}

// Verify implements [edge.Verifier].
func (v *Verifier) Verify(ctx context.Context, token string) (map[string]string, error) {
	s := &signature{v: v}
	id, err := oidc.NewVerifier(v.about.Issuer, s, v.config).Verify(ctx, token)
	if s.err != nil {
		err = s.err // go-oidc tells its text alone
	}
	if _, away := errors.AsType[*awayError](err); away {
		return nil, status.Error(codes.Unavailable, "the token cannot be verified now: its issuer does not answer as it should; see the log of the gateway")
	}
	var all map[string]json.RawMessage
	if err == nil {
		err = v.check(id)
	}
	if err == nil {
		err = id.Claims(&all)
	}
	if err != nil {
		return nil, status.Errorf(codes.Unauthenticated, "the token is refused: %s", strings.TrimPrefix(err.Error(), "oidc: "))
	}
	claims := map[string]string{"sub": id.Subject}
	for _, name := range v.about.Claims {
		if value, ok := all[name]; ok {
			claims[name] = textOf(value)
		}
	}
	return claims, nil
}

// check refuses what go-oidc lets pass.
func (v *Verifier) check(id *oidc.IDToken) error {
	if id.Subject == "" {
		return errors.New("it names no subject (sub)")
	}
	if !slices.ContainsFunc(id.Audience, func(a string) bool { return slices.Contains(v.about.Audience, a) }) {
		return fmt.Errorf("it is for %q and not for %q (aud)", id.Audience, v.about.Audience)
	}
	return nil
}

// textOf returns a text as it is, and other values in JSON.
func textOf(value json.RawMessage) string {
	var text string
	if json.Unmarshal(value, &text) != nil {
		return string(value)
	}
	return text
}

// signature verifies that of one token, for go-oidc, and keeps the error.
type signature struct {
	v   *Verifier
	err error
}

// VerifySignature implements [oidc.KeySet].
func (s *signature) VerifySignature(ctx context.Context, raw string) (payload []byte, err error) {
	defer func() { s.err = err }()
	token, err := jose.ParseSigned(raw, s.v.algorithms)
	if err != nil {
		return nil, err
	}
	header := token.Signatures[0].Header
	// Tokens are made for other ends, too, such as to log a user out, and say so here (RFC 8725, section 3.11).
	if kind, ok := header.ExtraHeaders["typ"]; ok {
		name, _ := kind.(string)
		if name = strings.TrimPrefix(strings.ToLower(name), "application/"); name != "jwt" && name != "at+jwt" {
			return nil, fmt.Errorf("it is of the type %q, and not JWT or at+jwt", kind)
		}
	}
	keys, err := s.v.current(ctx, header.KeyID)
	if err != nil {
		return nil, err
	}
	for _, key := range keys {
		if header.KeyID != "" && key.KeyID != header.KeyID || key.Algorithm != "" && key.Algorithm != header.Algorithm {
			continue
		}
		if payload, err := token.Verify(key.Key); err == nil {
			return payload, nil
		}
	}
	return nil, errors.New("its signature is wrong")
}
