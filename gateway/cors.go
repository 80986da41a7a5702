package gateway

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// CORS says which pages may call that come from another origin than the handler: a browser asks, and keeps to the answer. Without any
// origin it is off, and what pages of other sites send is refused as far as browsers tell.
type CORS struct {
	// Origins are those whose pages may call, such as "https://shop.example.com", or "*" alone for all.
	Origins []string
	// Credentials lets pages call with the cookies and certificates that the browser has for the handler. Not with "*".
	Credentials bool
	// Headers are those that pages may send besides what the protocols, tracing and Authorization need.
	Headers []string
	// MaxAge is how long a browser may remember the answer. Default: 2 h, the most that some do; -1: it asks each time.
	MaxAge time.Duration
}

// The headers that pages may send, and see, without being asked for.
var (
	corsSent = []string{
		"Content-Type", "Authorization", "Connect-Protocol-Version", "Connect-Timeout-Ms", "Connect-Accept-Encoding", "Connect-Content-Encoding",
		"Grpc-Timeout", "Grpc-Encoding", "Grpc-Accept-Encoding", "X-Grpc-Web", "X-User-Agent",
		requestID, "Idempotency-Key", "Traceparent", "Tracestate", "Baggage",
	}
	corsSeen = []string{
		"Content-Encoding", "Connect-Content-Encoding", "Grpc-Status", "Grpc-Message", "Grpc-Status-Details-Bin", "Grpc-Encoding", requestID, "Retry-After",
	}
)

func (c CORS) check() error {
	var errs []error
	for _, origin := range c.Origins {
		if origin == "*" {
			if len(c.Origins) > 1 {
				errs = append(errs, errors.New(`CORS.Origins has "*" and others: write "*" alone, or the others alone`))
			}
			if c.Credentials {
				errs = append(errs, errors.New(`CORS.Credentials is set with the origin "*": name the origins whose pages may act for their visitors`))
			}
			continue
		}
		if u, err := url.Parse(origin); err != nil || u.Scheme == "" || u.Host == "" || u.Scheme+"://"+u.Host != origin {
			errs = append(errs, fmt.Errorf("CORS.Origins: %q is no origin: write scheme://host or scheme://host:port, such as https://shop.example.com", origin))
		}
	}
	if len(c.Origins) == 0 && (c.Credentials || len(c.Headers) > 0) {
		errs = append(errs, errors.New("CORS has no Origins, so that it is off: name those whose pages may call"))
	}
	return errors.Join(errs...)
}

// cors is CORS, made ready.
type cors struct {
	on, all, credentials bool
	origins              map[string]bool
	headers              string // that may be sent
	exposed              string // that may be seen
	maxAge               string // "": not told
}

func (c CORS) resolved() (r cors) {
	if c.check() != nil {
		return cors{} // off: it lets nobody in
	}
	r.on, r.credentials = len(c.Origins) > 0, c.Credentials
	r.all = slices.Contains(c.Origins, "*")
	r.origins = make(map[string]bool)
	for _, origin := range c.Origins {
		r.origins[origin] = true
	}
	r.headers = strings.Join(append(slices.Clone(corsSent), c.Headers...), ", ")
	r.exposed = strings.Join(corsSeen, ", ")
	if !c.Credentials {
		r.exposed = "*"
	}
	if age := orDefault(c.MaxAge, 2*time.Hour, 0); age > 0 || c.MaxAge < 0 {
		r.maxAge = strconv.Itoa(int(age / time.Second))
	}
	return r
}

// fromAllowedPage sees to it that pages of other sites can do what CORS says and no more. It reports false when it has answered.
//
// What is no simple request a browser sends only after it has asked by OPTIONS. A simple one (a form, or text) has no content type that
// is taken; and when the browser says that it comes from another site, it is refused here, whatever it is, unless it is safe.
func (h *Handler) fromAllowedPage(w http.ResponseWriter, r *http.Request) bool {
	h.init()
	c := &h.cors
	origin := first(r.Header, "Origin")
	header := w.Header()
	if c.on {
		header.Add("Vary", "Origin")
	}
	allowed := c.all || c.origins[origin]
	if origin != "" && allowed {
		if c.all {
			header["Access-Control-Allow-Origin"] = []string{"*"}
		} else {
			header["Access-Control-Allow-Origin"] = []string{origin}
		}
		if c.credentials {
			header["Access-Control-Allow-Credentials"] = []string{"true"}
		}
		if method := r.Header.Get("Access-Control-Request-Method"); r.Method == http.MethodOptions && method != "" {
			h.preflight(w, r)
			return false
		}
		header["Access-Control-Expose-Headers"] = []string{c.exposed}
		if !c.credentials && !fromOwnPage(r, origin) {
			delete(r.Header, "Cookie") // a browser asks nobody before it sends a simple request with them
			if byCertificate(r) {
				http.Error(w, "this request comes from a page of another site, which may not use the visitor's certificate: allow it credentials (CORS) if it should", http.StatusForbidden)
				return false
			}
		}
		return true
	}
	if err := h.protection.Check(r); err != nil {
		http.Error(w, "this request comes from a page of another site, which may not call: allow its origin (CORS) if it should", http.StatusForbidden)
		return false
	}
	return true
}

// FromAllowedPage is for what is served beside the calls, such as documents: it reports whether a request does not come from a page of
// another site, or comes from one that CORS lets call. Else it has answered.
func (h *Handler) FromAllowedPage(w http.ResponseWriter, r *http.Request) bool {
	return h.fromAllowedPage(w, r)
}

// fromOwnPage reports whether the page that a request comes from is one of the host that it goes to.
func fromOwnPage(r *http.Request, origin string) bool {
	u, err := url.Parse(origin)
	return err == nil && u.Host != "" && strings.EqualFold(u.Host, r.Host)
}

// byCertificate reports whether a request shows who makes it by a certificate.
func byCertificate(r *http.Request) bool { return r.TLS != nil && len(r.TLS.PeerCertificates) > 0 }

// preflight answers a browser that asks what a page may do.
func (h *Handler) preflight(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header["Access-Control-Allow-Methods"] = []string{strings.Join(h.methods(r), ", ")}
	header["Access-Control-Allow-Headers"] = []string{h.cors.headers}
	if h.cors.maxAge != "" {
		header["Access-Control-Max-Age"] = []string{h.cors.maxAge}
	}
	header.Add("Vary", "Access-Control-Request-Method")
	header.Add("Vary", "Access-Control-Request-Headers")
	w.WriteHeader(http.StatusNoContent)
}

// methods returns the methods of HTTP that the request's path takes.
func (h *Handler) methods(r *http.Request) []string {
	t := h.routes()
	if rt := t.methods[r.URL.Path]; rt != nil {
		return rt.httpMethods()
	}
	if allowed := t.allowed(r.URL.EscapedPath()); allowed != nil || !h.isJSONRPC(r.URL.Path) {
		return allowed
	}
	return []string{http.MethodPost}
}
