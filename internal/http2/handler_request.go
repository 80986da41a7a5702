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

// newRequest makes what the handler gets. An error says that the request is malformed.
func (c *webCall) newRequest() (*http.Request, error) {
	h := &c.header
	r := blankRequest.WithContext(c.ctx)
	r.Method = h.Method
	r.Proto, r.ProtoMajor = "HTTP/2.0", 2
	r.Host = h.Authority
	r.RemoteAddr = c.conn.remote
	r.TLS = c.conn.tls

	if h.Protocol != "" {
		return nil, errors.New("the request asks for a protocol, which SETTINGS did not offer")
	}
	if strings.Contains(h.Authority, "@") { // RFC 9113 section 8.3.1
		return nil, errors.New("the request's authority has userinfo")
	}
	if h.Method == http.MethodConnect {
		r.URL, r.RequestURI = &url.URL{Host: h.Authority}, h.Authority
	} else {
		u, err := url.ParseRequestURI(h.Path)
		if err != nil {
			return nil, fmt.Errorf("the request's path: %w", err)
		}
		r.URL, r.RequestURI = u, h.Path
	}

	r.Header = c.requestHeader()
	if r.Host == "" {
		r.Host = r.Header.Get("Host")
	}
	r.Header.Del("Host")
	for _, v := range r.Header["Expect"] {
		if hasToken(v, "100-continue") {
			r.Header.Del("Expect")
			c.body.mu.Lock()
			c.body.wantsContinue = true
			c.body.mu.Unlock()
			break
		}
	}
	r.Trailer = declaredTrailers(r.Header["Trailer"])
	r.Header.Del("Trailer")

	r.Body, r.ContentLength = &c.body, c.body.declared
	if c.body.none {
		r.Body, r.ContentLength = http.NoBody, 0
	}
	return r, nil
}

// requestHeader returns the request's fields under their canonical names, with the crumbs of its cookies joined.
func (c *webCall) requestHeader() http.Header {
	n := len(c.lists[0]) + len(c.lists[1])
	header := make(http.Header, n)
	values := make([]string, 0, n) // for the fields with one value
	c.fields(func(f hpack.Field) {
		name := http.CanonicalHeaderKey(f.Name)
		old, ok := header[name]
		switch {
		case !ok:
			values = append(values, f.Value)
			header[name] = values[len(values)-1 : len(values) : len(values)]
		case name == "Cookie": // RFC 9113 section 8.2.3
			old[0] += "; " + f.Value
		default:
			header[name] = append(old, f.Value)
		}
	})
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
