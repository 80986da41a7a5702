package driver

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// StatusError is an answer of an engine that is not success.
type StatusError struct {
	Engine string // that answers
	Code   int
	Text   string // what it says
	Hint   string // what to do about it; may be empty
}

// Error says what the engine answers, with up to 300 bytes of its text, and what to do about it.
func (e *StatusError) Error() string {
	s := fmt.Sprintf("%s answers %d %s", e.Engine, e.Code, http.StatusText(e.Code))
	text := strings.TrimSpace(e.Text)
	if len(text) > 300 {
		text = strings.ToValidUTF8(text[:300], "") + "…"
	}
	if text != "" {
		s += ": " + text
	}
	if e.Hint != "" {
		s += " (" + e.Hint + ")"
	}
	return s
}

// StatusOf returns the status of a [*StatusError], and 0 for another error.
func StatusOf(err error) int {
	var status *StatusError
	if errors.As(err, &status) {
		return status.Code
	}
	return 0
}

// maxBody bounds an answer: 10,000 instances take about 30 MiB.
const maxBody = 64 << 20

// Ask makes a request and returns the answer, whatever its status. An error does not name the request.
func Ask(client *http.Client, req *http.Request) (*http.Response, error) {
	resp, err := client.Do(req)
	var named *url.Error
	if errors.As(err, &named) {
		err = named.Err
	}
	return resp, err
}

// Read reads and closes the body of an answer, of at most 64 MiB. An answer that is not success is a [*StatusError].
func Read(resp *http.Response, engine string) ([]byte, error) {
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("reading the answer: %w", err)
	case resp.StatusCode/100 != 2:
		return nil, &StatusError{Engine: engine, Code: resp.StatusCode, Text: string(body)}
	case len(body) > maxBody:
		return nil, fmt.Errorf("the answer has more than %d MiB", maxBody>>20)
	}
	return body, nil
}

// Client is the HTTP client of a registry: the one that its user gives it, else one of its own without a proxy, made when it is needed. The zero
// value is ready to use.
type Client struct {
	once sync.Once
	own  *http.Client
}

// Or returns the given client, or its own.
func (c *Client) Or(given *http.Client) *http.Client {
	if given != nil {
		return given
	}
	c.once.Do(func() {
		c.own = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 4, IdleConnTimeout: 30 * time.Second, ForceAttemptHTTP2: true}}
	})
	return c.own
}

// Release gives up connections of its own that nobody uses. Others make theirs again.
func (c *Client) Release() {
	c.Or(nil).CloseIdleConnections()
}
