package k8sdiscovery

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/hanse-go/hanse/discovery/driver"
)

// refusal is an answer of the API server that is not success, and may say when to try again.
type refusal struct {
	*driver.StatusError
	after time.Duration
}

func (e *refusal) Unwrap() error { return e.StatusError }

// get makes a request and returns the answer, if it is success; the caller closes its body.
func (r *Registry) get(ctx context.Context, a access, params url.Values) (*http.Response, error) {
	target := a.server + "/apis/discovery.k8s.io/v1/namespaces/" + a.namespace + "/endpointslices"
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target+"?"+params.Encode(), nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json")
	if a.tokenFile != "" {
		token, err := os.ReadFile(a.tokenFile)
		if err != nil {
			return nil, fmt.Errorf("token of the service account: %w", err)
		}
		req.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	}
	client, err := r.client(a)
	if err != nil {
		return nil, err
	}
	resp, err := driver.Ask(client, req)
	if err != nil {
		return nil, fmt.Errorf("GET %s: %w%s", target, err, dialHint(err))
	}
	if resp.StatusCode == http.StatusOK {
		return resp, nil
	}
	defer resp.Body.Close()
	return nil, fmt.Errorf("GET %s: %w", target, refused(resp, a))
}

// dialHint says what to do about a connection that was not made.
func dialHint(err error) string {
	var unknown x509.UnknownAuthorityError
	if errors.As(err, &unknown) {
		return " (Registry.CAFile must have the cluster's certificate authority)"
	}
	return ""
}

// refused makes an error of an answer that says what to do about it.
func refused(resp *http.Response, a access) error {
	body, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	s := status{Message: string(body)}
	_ = json.Unmarshal(body, &s) // else the text is what there is
	e := s.err(resp.StatusCode)
	if seconds, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && seconds > 0 {
		e.after = time.Duration(min(seconds, 60)) * time.Second
	}
	switch {
	case e.Code == http.StatusUnauthorized && a.tokenFile == "":
		e.Hint = "set Registry.TokenFile"
	case e.Code == http.StatusUnauthorized:
		e.Hint = "the token in " + a.tokenFile + " is not valid, or no longer"
	case e.Code == http.StatusForbidden:
		e.Hint = "the service account needs a Role with the verbs list and watch for endpointslices of discovery.k8s.io in the namespace " + a.namespace
		if a.tokenFile == "" { // most API servers have a user for that
			e.Hint = "no token was sent: set Registry.TokenFile; " + e.Hint
		}
	case e.Code == http.StatusNotFound:
		e.Hint = "discovery.k8s.io/v1 is part of Kubernetes 1.21 and newer"
	}
	return e
}

// client returns what makes the requests. Where CAFile has changed, it is a new one: certificate authorities get replaced.
func (r *Registry) client(a access) (*http.Client, error) {
	if r.Client != nil {
		return r.Client, nil
	}
	var pem []byte
	if a.caFile != "" {
		var err error
		if pem, err = os.ReadFile(a.caFile); err != nil {
			return nil, fmt.Errorf("certificate authorities of the API server: %w", err)
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.own != nil && r.trusted == string(pem) {
		return r.own, nil
	}
	var config tls.Config
	if a.caFile != "" {
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("certificate authorities of the API server: %s has no certificate", a.caFile)
		}
	}
	if r.own != nil {
		r.own.CloseIdleConnections()
	}
	r.own, r.trusted = &http.Client{Transport: &http.Transport{
		TLSClientConfig:     &config,
		TLSHandshakeTimeout: 10 * time.Second,
		IdleConnTimeout:     30 * time.Second,
		ForceAttemptHTTP2:   true,
		// All watches share a connection, and a dead one must not look like a quiet one.
		HTTP2: &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 10 * time.Second},
	}}, string(pem)
	return r.own, nil
}

// release gives up connections that nobody uses. Others make theirs again.
func (r *Registry) release() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.own != nil {
		r.own.CloseIdleConnections()
	}
}

// maxEvent bounds one object: what Kubernetes stores has at most 1.5 MiB.
const maxEvent = 8 << 20

// eventReader reads the events of a watch, which come as one JSON object after another.
type eventReader struct {
	from    io.Reader
	decoder *json.Decoder
	left    int // bytes that the event may still have
}

func newEventReader(from io.Reader) *eventReader {
	e := &eventReader{from: from}
	e.decoder = json.NewDecoder(e)
	return e
}

func (e *eventReader) Read(p []byte) (int, error) {
	if e.left <= 0 {
		return 0, fmt.Errorf("an event has more than %d MiB", maxEvent>>20)
	}
	n, err := e.from.Read(p[:min(len(p), e.left)])
	e.left -= n
	return n, err
}

// next returns the next event; io.EOF says that the watch has ended.
func (e *eventReader) next() (event, error) {
	e.left = maxEvent
	var raw struct {
		Type   string
		Object json.RawMessage
	}
	if err := e.decoder.Decode(&raw); err != nil {
		return event{}, err
	}
	ev := event{kind: raw.Type}
	switch raw.Type {
	case "ADDED", "MODIFIED", "DELETED", "BOOKMARK":
		return ev, json.Unmarshal(raw.Object, &ev.slice)
	case "ERROR":
		var s status
		if err := json.NewDecoder(bytes.NewReader(raw.Object)).Decode(&s); err != nil {
			return ev, err
		}
		return ev, s.err(0)
	}
	return ev, fmt.Errorf("unknown event %q", raw.Type)
}

// event is a change of a slice.
type event struct {
	kind  string
	slice slice
}

// status is how Kubernetes says that something went wrong.
type status struct {
	Message string
	Reason  string
	Code    int
}

func (s status) err(code int) *refusal {
	if code == 0 {
		code = s.Code
	}
	if s.Reason == "Expired" || s.Reason == "Gone" {
		code = http.StatusGone
	}
	return &refusal{StatusError: &driver.StatusError{Engine: "the API server", Code: code, Text: s.Message}}
}
