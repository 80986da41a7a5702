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

	"github.com/hanse-go/hanse/discovery/driver"
)

// unknownToAgent reports whether the agent does not have the service or check that a request was about. Before 1.11 it said so with
// status 500.
func unknownToAgent(err error) bool {
	var status *driver.StatusError
	return errors.As(err, &status) && (status.Code == http.StatusNotFound ||
		status.Code == http.StatusInternalServerError && (strings.Contains(status.Text, "does not have associated TTL") || strings.Contains(status.Text, "Unknown")))
}

// do makes one request and returns the body of a successful answer, and the header of any. in, unless nil, is sent as JSON.
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
	resp, err := driver.Ask(r.http.Or(r.Client), req)
	if err != nil {
		return nil, nil, fmt.Errorf("%s %s: %w (is there a Consul agent? The address is that of Registry.Address, or of consul://HOST:PORT)", method, r.address()+path, err)
	}
	data, err := driver.Read(resp, "Consul")
	if err != nil {
		var status *driver.StatusError
		if errors.As(err, &status) {
			status.Hint = r.hint(status)
		}
		return nil, resp.Header, fmt.Errorf("%s %s: %w", method, r.address()+path, err)
	}
	return data, resp.Header, nil
}

// hint says what to do about an answer that is not success.
func (r *Registry) hint(e *driver.StatusError) string {
	switch {
	case e.Code == http.StatusForbidden && r.Token == "":
		return "Consul wants an ACL token: set Registry.Token"
	case e.Code == http.StatusForbidden || e.Code == http.StatusUnauthorized:
		return "the ACL token must be valid and have service:write for what is announced, service:read and node:read for what is called, and " +
			"key_prefix:read and key_prefix:write of hanse/ for split rules"
	case e.Code == http.StatusBadRequest && strings.Contains(e.Text, "HTTP request to an HTTPS server"):
		return "write https:// in Registry.Address"
	case strings.Contains(e.Text, "No path to datacenter"):
		return "Registry.Datacenter names one that the agent does not know"
	}
	return ""
}
