package consuldiscovery

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/hanse-go/hanse/discovery/driver"
)

// key is one of the key-value store, as Consul answers it.
type key struct {
	Key         string
	Value       []byte
	ModifyIndex uint64
}

// keyPath is where a key is asked for.
func keyPath(key string) string { return (&url.URL{Path: "/v1/kv/" + key}).EscapedPath() }

// keysOf is the answer to a question about keys. That there are none is no failure; that the token may not see some is one, for they would look
// like keys that are gone.
func keysOf(body []byte, header http.Header, err error) ([]byte, error) {
	none := driver.StatusOf(err) == http.StatusNotFound && header.Get("X-Consul-Index") != "" // without it, nobody asked Consul
	switch {
	case err != nil && !none:
		return nil, err
	case header.Get("X-Consul-Results-Filtered-By-ACLs") == "true":
		return nil, errors.New("the ACL token may not read all split rules: it must have key_prefix:read of hanse/")
	case none:
		return []byte("[]"), nil
	}
	return body, nil
}

// readKey returns a key as Consul's leader knows it now, or none.
func (r *Registry) readKey(ctx context.Context, name string) (key, error) {
	params := r.keyParams()
	params.Set("consistent", "")
	body, err := keysOf(r.do(ctx, http.MethodGet, keyPath(name), params, nil))
	if err != nil {
		return key{}, err
	}
	var list []key
	if err := json.Unmarshal(body, &list); err != nil {
		return key{}, fmt.Errorf("malformed answer: %w", err)
	}
	if len(list) == 0 {
		return key{}, nil
	}
	return list[0], nil
}

// writeKey writes a key, or deletes it if there is no value, and reports whether it did: it does not if somebody else has written it since it
// had that index, which is 0 if it was not there.
func (r *Registry) writeKey(ctx context.Context, name string, index uint64, value json.RawMessage) (done bool, _ error) {
	method, in := http.MethodDelete, any(nil)
	if value != nil {
		method, in = http.MethodPut, value
	}
	params := r.keyParams()
	params.Set("cas", strconv.FormatUint(index, 10))
	body, _, err := r.do(ctx, method, keyPath(name), params, in)
	if err != nil {
		return false, err
	}
	if err := json.Unmarshal(body, &done); err != nil {
		return false, fmt.Errorf("malformed answer: %w", err)
	}
	return done, nil
}

func (r *Registry) keyParams() url.Values {
	params := make(url.Values)
	if r.Datacenter != "" {
		params.Set("dc", r.Datacenter)
	}
	return params
}
