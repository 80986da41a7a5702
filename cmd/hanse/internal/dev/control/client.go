package control

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
)

// Client speaks to a running hanse dev, or to a hanse dashboard. Its methods may be called concurrently.
type Client struct {
	// Peer is the command that answers, for errors; "" is hanse dev.
	Peer string

	http http.Client
}

// NewClient returns a client of the command whose control socket is at path.
func NewClient(path string) *Client {
	return &Client{http: http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", path)
		},
		DisableKeepAlives: true,
	}}}
}

// Status returns what the command knows of its system.
func (c *Client) Status(ctx context.Context) (*Status, error) {
	resp, err := c.call(ctx, http.MethodGet, "/status", nil)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	var s Status
	if err := json.NewDecoder(resp.Body).Decode(&s); err != nil {
		return nil, fmt.Errorf("reading the answer of %s: %w", c.peer(), err)
	}
	return &s, nil
}

// Do carries out a request and waits until it is done. It passes what hanse dev says on the way to progress. A request that cannot
// be carried out is an [*Error].
func (c *Client) Do(ctx context.Context, r Request, progress func(string)) error {
	resp, err := c.call(ctx, http.MethodPost, "/do", r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	for dec := json.NewDecoder(resp.Body); ; {
		var e Event
		if err := dec.Decode(&e); err != nil {
			return c.lost(ctx, err)
		}
		if e.Text != "" {
			progress(e.Text)
		}
		switch {
		case e.Error != nil:
			return e.Error
		case e.Done:
			return nil
		}
	}
}

// API asks what the dashboard's page asks at /api/PATH, and reads the JSON of the answer into v. What the API refuses is an [*Error].
func (c *Client) API(ctx context.Context, path string, q url.Values, v any) error {
	resp, err := c.call(ctx, http.MethodGet, "/api/"+path+"?"+q.Encode(), nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(v); err != nil {
		return c.lost(ctx, err)
	}
	return nil
}

func (c *Client) call(ctx context.Context, method, path string, body any) (*http.Response, error) {
	var text io.Reader = http.NoBody
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		text = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://dev"+Version+path, text)
	if err != nil {
		return nil, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, c.lost(ctx, err)
	}
	if resp.StatusCode == http.StatusOK {
		return resp, nil
	}
	defer resp.Body.Close()
	said, _ := io.ReadAll(io.LimitReader(resp.Body, 4096))
	var e struct {
		Error
		API string `json:"error"` // the same of the API
	}
	if json.Unmarshal(said, &e) == nil && e.What+e.API != "" {
		return nil, &Error{What: cmp.Or(e.What, e.API), Do: e.Do}
	}
	return nil, fmt.Errorf("%s answers %s: %s", c.peer(), resp.Status, strings.TrimSpace(string(said)))
}

func (c *Client) peer() string { return cmp.Or(c.Peer, "hanse dev") }

func (c *Client) lost(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return fmt.Errorf("%s does not answer (did it end?): %w", c.peer(), err)
}
