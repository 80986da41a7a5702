package oidc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
)

const (
	keysFresh   = 10 * time.Minute // that long keys are used before the issuer is asked again, while they are still used
	keysOld     = time.Hour        // from then on a call waits for the issuer's answer
	keysEnd     = 24 * time.Hour   // that long keys are used of an issuer that cannot be reached
	fetchPause  = 5 * time.Second  // between two questions, whatever tokens come
	fetchLimit  = 10 * time.Second // for an answer
	maxDocument = 1 << 20          // bytes of one
)

// keySet is the public keys of an issuer. It asks for them again from time to time, so that a key that was taken back counts for nothing
// soon, and when a token names a key that it does not know, as after a rotation.
type keySet struct {
	url    string
	client *http.Client
	logger *slog.Logger

	mu         sync.Mutex
	keys       []jose.JSONWebKey
	generation uint64        // counts changes of keys
	fetched    time.Time     // when keys came; zero: never
	asked      time.Time     // the last time
	err        error         // of the last time
	asking     chan struct{} // closed when the answer has come; nil: nobody asks
}

// unavailable is the error of a token that nobody can judge, for the issuer does not answer.
type unavailable struct{ err error }

func (u *unavailable) Error() string { return u.err.Error() }
func (u *unavailable) Unwrap() error { return u.err }

// current returns the keys and their generation, after asking for them where they are too old. Where there are none it says why.
func (s *keySet) current(ctx context.Context) ([]jose.JSONWebKey, uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch age := time.Since(s.fetched); {
	case s.fetched.IsZero() || age > keysOld && s.err == nil: // else the issuer has trouble, and waiting for it would be everybody's
		if err := s.await(ctx); err != nil {
			return nil, 0, err
		}
	case age > keysFresh:
		s.ask()
	}
	if s.fetched.IsZero() || time.Since(s.fetched) > keysEnd {
		return nil, 0, &unavailable{fmt.Errorf("the keys of the issuer cannot be had: %w", s.err)}
	}
	return s.keys, s.generation, nil
}

// ask has the issuer asked, unless it is being asked or was just asked. It returns a channel that is closed when the answer has come, and
// nil when there will be none. s.mu is held.
func (s *keySet) ask() <-chan struct{} {
	if s.asking == nil && (s.asked.IsZero() || time.Since(s.asked) >= fetchPause) {
		s.asked, s.asking = time.Now(), make(chan struct{})
		go s.fetch(s.asking)
	}
	return s.asking
}

// await asks and waits for the answer. s.mu is held, and is not while it waits. Its error is that ctx has ended.
func (s *keySet) await(ctx context.Context) error {
	answer := s.ask()
	if answer == nil {
		return nil
	}
	s.mu.Unlock()
	defer s.mu.Lock()
	select {
	case <-answer:
		return nil
	case <-ctx.Done():
		return &unavailable{fmt.Errorf("waiting for the keys of the issuer: %w", context.Cause(ctx))}
	}
}

// fetch asks the issuer. No caller's context ends it, for other callers wait for the same answer.
func (s *keySet) fetch(done chan struct{}) {
	ctx, cancel := context.WithTimeout(context.Background(), fetchLimit)
	defer cancel()
	keys, err := fetchKeys(ctx, s.client, s.url)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err = err; err != nil {
		s.logger.Warn("the keys of the issuer of tokens cannot be had", "error", err, "since", s.fetched)
	} else {
		if !reflect.DeepEqual(keys, s.keys) {
			s.generation++
		}
		s.keys, s.fetched = keys, time.Now()
	}
	s.asking = nil
	close(done)
}

func fetchKeys(ctx context.Context, client *http.Client, url string) ([]jose.JSONWebKey, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxDocument))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", url, err)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answers %s", url, resp.Status)
	}
	var set struct{ Keys []json.RawMessage }
	if err := json.Unmarshal(body, &set); err != nil {
		return nil, fmt.Errorf("%s gives no set of keys: %w", url, err)
	}
	var keys []jose.JSONWebKey
	for _, text := range set.Keys {
		var key jose.JSONWebKey
		// What we do not know is there for others (RFC 7517, section 5). Whoever has a symmetric key can sign as well.
		if json.Unmarshal(text, &key) == nil && key.Valid() && key.IsPublic() && (key.Use == "" || key.Use == "sig") {
			keys = append(keys, key)
		}
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("%s gives no key that signatures can be verified with", url)
	}
	return keys, nil
}

// verify returns what a token holds, if one of the keys has signed it, and the generation of the keys.
func (s *keySet) verify(ctx context.Context, token *jose.JSONWebSignature) ([]byte, uint64, error) {
	header := token.Signatures[0].Header
	keys, generation, err := s.current(ctx)
	if err != nil {
		return nil, 0, err
	}
	known := func() bool {
		return header.KeyID == "" || slices.ContainsFunc(keys, func(k jose.JSONWebKey) bool { return k.KeyID == header.KeyID })
	}
	if !known() { // it may be newer than our keys
		s.mu.Lock()
		if err := s.await(ctx); err != nil {
			s.mu.Unlock()
			return nil, 0, err
		}
		keys, generation, err = s.keys, s.generation, s.err
		s.mu.Unlock()
		if !known() {
			if err != nil {
				return nil, 0, &unavailable{fmt.Errorf("it is signed by the key %q, and the newest keys of the issuer cannot be had: %w", header.KeyID, err)}
			}
			return nil, 0, fmt.Errorf("it is signed by the key %q, which the issuer does not have", header.KeyID)
		}
	}
	for _, key := range keys {
		if header.KeyID != "" && key.KeyID != header.KeyID || key.Algorithm != "" && key.Algorithm != header.Algorithm {
			continue
		}
		if payload, err := token.Verify(key.Key); err == nil {
			return payload, generation, nil
		}
	}
	return nil, 0, errors.New("its signature is wrong")
}
