package eurekadiscovery

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/hanse-go/hanse/discovery/driver"
)

// requestTime bounds what one server may take.
const requestTime = 5 * time.Second

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
	first := int(r.current.Load())
	var errs []error
	for n := range servers {
		at := (first + n) % len(servers)
		data, err := r.ask(ctx, method, servers[at], path, params, body)
		if code := driver.StatusOf(err); err == nil || code != 0 && code < 500 {
			r.current.Store(int32(at))
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
	resp, err := driver.Ask(r.http.Or(r.Client), req)
	if err != nil {
		return nil, fmt.Errorf("%s: %w (is there a Eureka server? The address is that of Registry.Servers, or of eureka:URL)", shown, err)
	}
	data, err := driver.Read(resp, "Eureka")
	if err != nil {
		var status *driver.StatusError
		if errors.As(err, &status) {
			status.Hint = hint(status.Code)
		}
		return nil, fmt.Errorf("%s: %w", shown, err)
	}
	return data, nil
}

// hint says what to do about an answer that is not success.
func hint(code int) string {
	switch code {
	case http.StatusUnauthorized:
		return "write http://USER:PASSWORD@HOST… in Registry.Servers"
	case http.StatusForbidden:
		return "with Spring Security, /eureka/** must be exempt from CSRF protection"
	case http.StatusNotFound, http.StatusMethodNotAllowed:
		return "is that the base URL of a Eureka server? With Spring Cloud it ends in /eureka, with Netflix's own in /eureka/v2"
	}
	return ""
}
