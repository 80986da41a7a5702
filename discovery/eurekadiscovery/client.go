package eurekadiscovery

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
	"time"
)

const (
	// maxBody bounds an answer: 10,000 instances take about 30 MiB.
	maxBody = 64 << 20
	// requestTime bounds what one server may take.
	requestTime = 5 * time.Second
)

// statusError is an answer that is not success.
type statusError struct {
	code int
	text string
	hint string
}

func (e *statusError) Error() string {
	s := fmt.Sprintf("Eureka answers %d %s", e.code, http.StatusText(e.code))
	if e.text != "" {
		s += ": " + e.text
	}
	if e.hint != "" {
		s += " (" + e.hint + ")"
	}
	return s
}

// statusOf returns the status of an answer that is not success, and 0 for another error.
func statusOf(err error) int {
	var status *statusError
	if errors.As(err, &status) {
		return status.code
	}
	return 0
}

// do makes a request of the first server that answers, and returns the body. in, unless nil, is sent as JSON.
func (r *Registry) do(ctx context.Context, method, path string, params url.Values, in any) ([]byte, error) {
	var body []byte
	if in != nil {
		var err error
		if body, err = json.Marshal(in); err != nil {
			return nil, err
		}
	}
	servers := r.servers()
	r.mu.Lock()
	first := r.current
	r.mu.Unlock()
	var errs []error
	for n := range servers {
		at := (first + n) % len(servers)
		data, err := r.ask(ctx, method, servers[at], path, params, body)
		if code := statusOf(err); err == nil || code != 0 && code < 500 {
			r.mu.Lock()
			r.current = at
			r.mu.Unlock()
			return data, err
		}
		errs = append(errs, err)
		if ctx.Err() != nil {
			break
		}
	}
	return nil, errors.Join(errs...)
}

// ask makes a request of one server.
func (r *Registry) ask(ctx context.Context, method, server, path string, params url.Values, body []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	u, err := url.Parse(server + path)
	if err != nil {
		return nil, err
	}
	user := u.User
	u.User = nil // from here on, the URL is for people too
	shown := method + " " + u.String()
	u.RawQuery = params.Encode()
	req, err := http.NewRequestWithContext(ctx, method, u.String(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json") // else Eureka answers in XML
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if password, ok := user.Password(); ok {
		req.SetBasicAuth(user.Username(), password)
	}
	resp, err := r.client().Do(req)
	if err != nil {
		var inner *url.Error
		if errors.As(err, &inner) {
			err = inner.Err // its URL would be said twice
		}
		return nil, fmt.Errorf("%s: %w (is there a Eureka server? The address is that of Registry.Servers, or of eureka:URL)", shown, err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	if err != nil {
		return nil, fmt.Errorf("%s: reading the answer: %w", shown, err)
	}
	if resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusNoContent {
		return nil, fmt.Errorf("%s: %w", shown, refused(resp.StatusCode, data))
	}
	if len(data) > maxBody {
		return nil, fmt.Errorf("%s: the answer has more than %d MiB", shown, maxBody>>20)
	}
	return data, nil
}

func refused(code int, body []byte) error {
	text := strings.TrimSpace(string(body))
	if len(text) > 300 {
		text = strings.ToValidUTF8(text[:300], "") + "…"
	}
	e := &statusError{code: code, text: text}
	switch code {
	case http.StatusUnauthorized:
		e.hint = "write http://USER:PASSWORD@HOST… in Registry.Servers"
	case http.StatusForbidden:
		e.hint = "with Spring Security, /eureka/** must be exempt from CSRF protection"
	case http.StatusNotFound, http.StatusMethodNotAllowed:
		e.hint = "is that the base URL of a Eureka server? With Spring Cloud it ends in /eureka, with Netflix's own in /eureka/v2"
	}
	return e
}
