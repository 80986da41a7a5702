package consuldiscovery

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// maxBody bounds an answer: 10,000 instances of one service take about 20 MiB.
const maxBody = 64 << 20

// statusError is an answer of the agent that is not success.
type statusError struct {
	code int
	text string // what the agent says
	hint string
}

func (e *statusError) Error() string {
	s := fmt.Sprintf("Consul answers %d %s", e.code, http.StatusText(e.code))
	if e.text != "" {
		s += ": " + e.text
	}
	if e.hint != "" {
		s += " (" + e.hint + ")"
	}
	return s
}

// unknownToAgent reports whether the agent does not have the service or check that a request was about. Before 1.11 it said so with
// status 500.
func unknownToAgent(err error) bool {
	var status *statusError
	return errors.As(err, &status) && (status.code == http.StatusNotFound ||
		status.code == http.StatusInternalServerError && (strings.Contains(status.text, "does not have associated TTL") || strings.Contains(status.text, "Unknown")))
}

// do makes one request and returns the body and the header of a successful answer. in, unless nil, is sent as JSON.
func (r *Registry) do(ctx context.Context, method, path string, params url.Values, in any) ([]byte, http.Header, error) {
	var body io.Reader
	if in != nil {
		data, err := json.Marshal(in)
		if err != nil {
			return nil, nil, err
		}
		body = bytes.NewReader(data)
	}
	target := r.address() + path
	if len(params) > 0 {
		target += "?" + params.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, method, target, body)
	if err != nil {
		return nil, nil, err
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if r.Token != "" {
		req.Header.Set("X-Consul-Token", r.Token)
	}
	resp, err := r.client().Do(req)
	if err != nil {
		var inner *url.Error
		if errors.As(err, &inner) {
			err = inner.Err // its URL would be said twice
		}
		return nil, nil, fmt.Errorf("%s %s: %w (is there a Consul agent? The address is that of Registry.Address, or of consul://HOST:PORT)", method, r.address()+path, err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	if err != nil {
		return nil, nil, fmt.Errorf("%s %s: reading the answer: %w", method, r.address()+path, err)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, nil, fmt.Errorf("%s %s: %w", method, r.address()+path, r.refused(resp.StatusCode, data))
	}
	if len(data) > maxBody {
		return nil, nil, fmt.Errorf("%s %s: the answer has more than %d MiB", method, r.address()+path, maxBody>>20)
	}
	return data, resp.Header, nil
}

// refused makes an error of an answer that says what to do about it.
func (r *Registry) refused(code int, body []byte) error {
	text := strings.TrimSpace(string(body))
	if len(text) > 300 {
		text = strings.ToValidUTF8(text[:300], "") + "…"
	}
	e := &statusError{code: code, text: text}
	switch {
	case code == http.StatusForbidden && r.Token == "":
		e.hint = "Consul wants an ACL token: set Registry.Token"
	case code == http.StatusForbidden || code == http.StatusUnauthorized:
		e.hint = "the ACL token must be valid and have service:write for what is announced, service:read and node:read for what is called"
	case code == http.StatusBadRequest && strings.Contains(text, "HTTP request to an HTTPS server"):
		e.hint = "write https:// in Registry.Address"
	case strings.Contains(text, "No path to datacenter"):
		e.hint = "Registry.Datacenter names one that the agent does not know"
	}
	return e
}

// statusOf returns the status of an answer that is not success, and 0 for another error.
func statusOf(err error) int {
	var status *statusError
	if errors.As(err, &status) {
		return status.code
	}
	return 0
}
