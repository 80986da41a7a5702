package http2

import (
	"errors"
	"fmt"
	"net/http"
	"net/textproto"
	"net/url"
	"strconv"
	"strings"

	"github.com/hanse-go/hanse/internal/hpack"
)

// blankRequest is where requests with a context are copied from.
var blankRequest http.Request

// webRun is what was made of the fields with which requests begin: of many, usually all.
type webRun struct {
	fields  []hpack.Field
	names   []string // of the fields, in canonical form; "": a pseudo-header
	regular int      // how many are none
	path    string   // that url is of
	url     *url.URL // nil: there is none, or it is malformed
}

// webRunOf returns what was made of a run. Only the reader calls it.
func webRunOf(run *hpack.Run) *webRun {
	if known, ok := run.Web.(*webRun); ok {
		return known
	}
	known := &webRun{fields: run.Fields, names: make([]string, len(run.Fields))}
	for i, f := range run.Fields {
		switch {
		case f.Name == ":path":
			known.path = f.Value
			known.url, _ = url.ParseRequestURI(f.Value) // who uses it finds out again
		case f.Name[0] != ':':
			known.names[i] = http.CanonicalHeaderKey(f.Name)
			known.regular++
		}
	}
	run.Web = known
	return known
}

// makeRequest makes what the handler gets. An error says that the request is malformed.
func (c *webCall) makeRequest() error {
	h := &c.header
	c.request = *blankRequest.WithContext(&c.ctx)
	r := &c.request
	r.Method = h.Method
	r.Proto, r.ProtoMajor = "HTTP/2.0", 2
	r.Host = h.Authority
	r.RemoteAddr = c.conn.remote
	r.TLS = c.conn.tls

	if h.Protocol != "" {
		return errors.New("the request asks for a protocol, which SETTINGS did not offer")
	}
	if strings.Contains(h.Authority, "@") { // RFC 9113 section 8.3.1
		return errors.New("the request's authority has userinfo")
	}
	r.URL = &c.url
	switch {
	case h.Method == http.MethodConnect:
		c.url.Host, r.RequestURI = h.Authority, h.Authority
	case c.known.url != nil && c.known.path == h.Path:
		c.url, r.RequestURI = *c.known.url, h.Path
	default:
		u, err := url.ParseRequestURI(h.Path)
		if err != nil {
			return fmt.Errorf("the request's path: %w", err)
		}
		r.URL, r.RequestURI = u, h.Path
	}

	r.Header = c.requestHeader()
	if host := r.Header["Host"]; host != nil {
		if r.Host == "" && len(host) > 0 {
			r.Host = host[0]
		}
		delete(r.Header, "Host")
	}
	for _, v := range r.Header["Expect"] {
		if hasToken(v, "100-continue") {
			delete(r.Header, "Expect")
			c.body.mu.Lock()
			c.body.wantsContinue = true
			c.body.mu.Unlock()
			break
		}
	}
	if declared := r.Header["Trailer"]; declared != nil {
		r.Trailer = declaredTrailers(declared)
		delete(r.Header, "Trailer")
	}

	r.Body, r.ContentLength = &c.body, c.body.declared
	if c.body.none {
		r.Body, r.ContentLength = http.NoBody, 0
	}
	return nil
}

// requestHeader returns the request's fields under their canonical names, with the crumbs of its cookies joined.
func (c *webCall) requestHeader() http.Header {
	n := c.known.regular + len(c.rest)
	header := make(http.Header, n)
	values := make([]string, 0, n) // for the fields with one value
	add := func(name, value string) {
		old, ok := header[name]
		switch {
		case !ok:
			values = append(values, value)
			header[name] = values[len(values)-1 : len(values) : len(values)]
		case name == "Cookie": // RFC 9113 section 8.2.3
			old[0] += "; " + value
		default:
			header[name] = append(old, value)
		}
	}
	for i := range c.known.fields {
		if name := c.known.names[i]; name != "" {
			add(name, c.known.fields[i].Value)
		}
	}
	for _, f := range c.rest {
		if f.Name[0] != ':' {
			add(http.CanonicalHeaderKey(f.Name), f.Value)
		}
	}
	return header
}

// contentLength returns the length that a request says its body has; -1: it does not say.
func contentLength(h *Header) (n int64, err error) {
	n = -1
	for _, list := range [...][]hpack.Field{h.Run.Fields, h.Rest} {
		for _, f := range list {
			if f.Name != "content-length" {
				continue
			}
			v, err := strconv.ParseUint(f.Value, 10, 63)
			if err != nil || n >= 0 && int64(v) != n {
				return -1, fmt.Errorf("the request's Content-Length %q is no number, or not the only one", f.Value)
			}
			n = int64(v)
		}
	}
	return n, nil
}

// declaredTrailers returns the trailers that the values of a Trailer field announce, without values yet.
func declaredTrailers(values []string) http.Header {
	var trailer http.Header
	for _, v := range values {
		for name := range strings.SplitSeq(v, ",") {
			name = http.CanonicalHeaderKey(textproto.TrimString(name))
			switch name {
			case "", "Transfer-Encoding", "Trailer", "Content-Length":
				continue
			}
			if trailer == nil {
				trailer = make(http.Header)
			}
			trailer[name] = nil
		}
	}
	return trailer
}

// hasToken reports whether the comma-separated list has the token, in any case.
func hasToken(list, token string) bool {
	for v := range strings.SplitSeq(list, ",") {
		if strings.EqualFold(textproto.TrimString(v), token) {
			return true
		}
	}
	return false
}
