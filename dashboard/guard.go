package dashboard

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"html/template"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// tokenParam is the parameter of the link that lets people in.
const tokenParam = "token"

// actionHeader has to be with each request that changes something. No form and no script of another site can send it.
const actionHeader = "Hanse-Dashboard"

// policy is the content security policy of all answers: everything comes from here, nothing is inline, nobody frames it.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; font-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// guard keeps out who is not meant: other names, other sites, and those without the token.
func (s *Server) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		switch {
		case !s.named(r.Host):
			refuse(w, r, http.StatusMisdirectedRequest, "this dashboard is not called "+hostName(r.Host), "open the link that hanse printed")
		case r.URL.Query().Has(tokenParam) && (r.Method == http.MethodGet || r.Method == http.MethodHead) && !strings.HasPrefix(r.URL.Path, "/api/"):
			s.enter(w, r)
		case !s.known(r):
			refuse(w, r, http.StatusUnauthorized, "the dashboard does not know you", "open the link that hanse printed when it started; it has a token")
		case r.Method != http.MethodGet && r.Method != http.MethodHead && !sameSite(r):
			refuse(w, r, http.StatusForbidden, "this request does not come from the dashboard's page", "send the header "+actionHeader+": 1")
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// named reports whether the server goes by the name. A site that lets a name of its own lead to this machine (DNS rebinding) is of
// the same origin as what it loads from here; only the name tells.
func (s *Server) named(host string) bool {
	host = hostName(host)
	if host == "localhost" || strings.HasSuffix(host, ".localhost") || slices.Contains(s.Hosts, host) {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}

// hostName is the name in a Host, in small letters.
func hostName(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	return strings.ToLower(strings.TrimSuffix(strings.Trim(host, "[]"), "."))
}

// cookieName differs between servers: cookies are for all ports of a host.
func (s *Server) cookieName() string {
	sum := sha256.Sum256([]byte("name of the cookie for " + s.token))
	return "hanse-dashboard-" + hex.EncodeToString(sum[:4])
}

func (s *Server) right(token string) bool {
	a, b := sha256.Sum256([]byte(token)), sha256.Sum256([]byte(s.token))
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1
}

// known reports whether the request has the token: in the cookie or, for programs, as a bearer token.
func (s *Server) known(r *http.Request) bool {
	if token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		return s.right(token)
	}
	for _, c := range r.CookiesNamed(s.cookieName()) {
		if s.right(c.Value) {
			return true
		}
	}
	return false
}

// sameSite reports whether a request that changes something comes from the page.
func sameSite(r *http.Request) bool {
	if r.Header.Get(actionHeader) == "" {
		return false
	}
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" && site != "same-origin" {
		return false
	}
	origin := r.Header.Get("Origin")
	return origin == "" || origin == "http://"+r.Host || origin == "https://"+r.Host
}

// entered leads on by itself: a redirection would still be the step of the site that the link was clicked on, to which a strict cookie is
// not shown.
var entered = template.Must(template.New("").Parse(`<!doctype html><html lang="en"><meta charset="utf-8"><title>Hanse</title>` +
	`<meta http-equiv="refresh" content="0;url={{.}}"><a href="{{.}}">To the dashboard</a>`))

// enter trades the token of the link for a cookie.
func (s *Server) enter(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	if !s.right(q.Get(tokenParam)) {
		refuse(w, r, http.StatusUnauthorized, "the token of this link is not, or no longer, right", "open the link that hanse printed last")
		return
	}
	http.SetCookie(w, &http.Cookie{
		Name: s.cookieName(), Value: s.token, Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: r.TLS != nil,
		MaxAge: 90 * 24 * 3600,
	})
	q.Del(tokenParam)
	to := *r.URL
	// Only a path of this server: //host would be another one.
	to.Scheme, to.Host, to.User, to.Path, to.RawPath = "", "", nil, "/"+strings.TrimLeft(r.URL.Path, `/\`), ""
	to.RawQuery = q.Encode()
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	_ = entered.Execute(w, to.String()) // who left does not see it
}

var refused = template.Must(template.New("").Parse(`<!doctype html><html lang="en"><meta charset="utf-8">` +
	`<meta name="viewport" content="width=device-width, initial-scale=1"><title>Hanse</title>` +
	`<main><h1>{{.What}}</h1><p>{{.Do}}.</p></main>`))

// refuse answers a program with JSON, and a person with a page.
func refuse(w http.ResponseWriter, r *http.Request, code int, what, do string) {
	e := &Error{Status: code, What: what, Do: do}
	if strings.HasPrefix(r.URL.Path, "/api/") || !strings.Contains(r.Header.Get("Accept"), "text/html") {
		writeError(w, e)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	_ = refused.Execute(w, e) // who left does not see it
}
