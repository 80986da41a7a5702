package tokens

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"
	"github.com/hanse-go/hanse/gateway/edge"
)

// times say when an issuer is asked.
type times struct {
	fresh time.Duration // that long keys are used before it is asked again, while they are used
	old   time.Duration // from then on a call waits for the answer
	end   time.Duration // that long keys are used of an issuer that does not answer
	pause time.Duration // between two questions, whatever tokens come
	limit time.Duration // for an answer
}

var usual = times{fresh: 10 * time.Minute, old: time.Hour, end: 24 * time.Hour, pause: 5 * time.Second, limit: 10 * time.Second}

// awayError is the error of a token that nobody can judge, for the issuer does not answer.
type awayError struct{ err error }

func (e *awayError) Error() string { return e.err.Error() }
func (e *awayError) Unwrap() error { return e.err }

// current returns the keys, after asking for them where they are too old, or where the one that is wanted is not among them, as after a rotation.
func (v *Verifier) current(ctx context.Context, want string) ([]jose.JSONWebKey, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	switch age := time.Since(v.came); {
	case v.came.IsZero(), !v.has(want), age > v.times.old && v.err == nil: // else the issuer has trouble, and waiting for it would be everybody's
		if answer := v.ask(); answer != nil {
			v.mu.Unlock()
			var ended error
			select {
			case <-answer:
			case <-ctx.Done():
				ended = &awayError{context.Cause(ctx)}
			}
			v.mu.Lock()
			if ended != nil {
				return nil, ended
			}
		}
	case age > v.times.fresh:
		v.ask()
	}
	switch {
	case v.came.IsZero() || time.Since(v.came) > v.times.end, !v.has(want) && v.err != nil:
		return nil, &awayError{fmt.Errorf("the keys of the issuer cannot be had: %w", v.err)}
	case !v.has(want):
		return nil, fmt.Errorf("it is signed by the key %q, which the issuer does not have", want)
	}
	return v.keys, nil
}

// has reports whether there is a key of that ID, or any where a token names none. v.mu is held.
func (v *Verifier) has(id string) bool {
	return id == "" || slices.ContainsFunc(v.keys, func(k jose.JSONWebKey) bool { return k.KeyID == id })
}

// ask has the issuer asked, unless it is being asked or was a moment ago. It returns a channel that is closed when the answer has come, and
// nil when there will be none. v.mu is held.
func (v *Verifier) ask() <-chan struct{} {
	if v.answer == nil && v.ctx.Err() == nil && (v.asked.IsZero() || time.Since(v.asked) >= v.times.pause) {
		v.asked = time.Now()
		answer := make(chan struct{})
		v.answer = answer
		v.work.Go(func() { // no caller's context ends it, for other callers wait for the same answer
			keys, err := v.fetch()
			v.mu.Lock()
			defer v.mu.Unlock()
			v.take(keys, err)
			v.answer = nil
			close(answer)
		})
	}
	return v.answer
}

// take makes an answer the last one, and logs what is new. v.mu is held.
func (v *Verifier) take(keys []jose.JSONWebKey, err error) {
	before := v.err
	v.err = err
	switch {
	case v.ctx.Err() != nil:
	case err == nil && v.came.IsZero():
		v.logger.Info("the issuer of users' tokens has told its keys", "keys", len(keys))
	case err == nil && before != nil:
		v.logger.Info("the issuer of users' tokens answers again", "keys", len(keys))
	case err != nil && (before == nil || before.Error() != err.Error()):
		then := "users are refused until it does"
		if !v.came.IsZero() {
			then = "the keys that it told at " + v.came.UTC().Format(time.RFC3339) + " count for " + v.times.end.String()
		}
		v.logger.Error("the issuer of users' tokens does not answer as it should: "+then, "error", err)
	}
	if err == nil {
		v.keys, v.came = keys, time.Now()
	}
}

// fetch asks the issuer for its keys.
func (v *Verifier) fetch() ([]jose.JSONWebKey, error) {
	ctx, cancel := context.WithTimeout(oidc.ClientContext(v.ctx, v.client), v.times.limit)
	defer cancel()
	provider, err := oidc.NewProvider(ctx, v.about.Issuer)
	if err != nil {
		return nil, err
	}
	var document struct {
		URL string `json:"jwks_uri"`
	}
	if err := provider.Claims(&document); err != nil {
		return nil, err
	}
	if err := edge.CheckIssuer(document.URL); err != nil {
		return nil, fmt.Errorf("its jwks_uri: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, document.URL, nil)
	if err != nil {
		return nil, err
	}
	resp, err := v.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answers %s", document.URL, resp.Status)
	}
	keys, err := readKeys(resp.Body)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", document.URL, err)
	}
	return keys, nil
}

// readKeys reads the keys of a set that signatures can be verified with.
func readKeys(r io.Reader) (keys []jose.JSONWebKey, err error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.NewDecoder(io.LimitReader(r, 1<<20)).Decode(&set); err != nil {
		return nil, fmt.Errorf("this is no set of keys: %w", err)
	}
	for _, text := range set.Keys {
		var key jose.JSONWebKey
		// What we do not know is there for others (RFC 7517, section 5). Who has a symmetric key can sign as well.
		if json.Unmarshal(text, &key) == nil && key.Valid() && key.IsPublic() && (key.Use == "" || key.Use == "sig") {
			keys = append(keys, key)
		}
	}
	if keys == nil {
		return nil, errors.New("there is no key that signatures can be verified with")
	}
	return keys, nil
}

// newClient returns a client that keeps no connections, for minutes pass between two questions, and is led nowhere that keys cannot be had from.
func newClient() *http.Client {
	return &http.Client{
		Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true},
		CheckRedirect: func(req *http.Request, via []*http.Request) error {
			if len(via) > 5 {
				return errors.New("it redirects and redirects")
			}
			return edge.CheckIssuer(req.URL.String())
		},
	}
}
