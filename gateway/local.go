package gateway

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// Local lets requests through that were made on this machine, by a person or a program that may: they come over a loopback connection
// or a unix socket, address a loopback name, and do not come from a page of another site. A page of another site cannot get
// through by giving its own name the address 127.0.0.1 (DNS rebinding), for the request then has that name. What a proxy on this machine
// passes on is let through if the proxy says that it came from this machine. All others get 403. A proxy that says nothing and changes
// the Host to a name of this machine cannot be told from a program here; do not put one before what is local.
//
// The names are localhost, every name below .localhost, and loopback addresses.
func Local(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if why := foreign(r); why != "" {
			http.Error(w, "this is for requests from this machine only: "+why, http.StatusForbidden)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// Addressed lets requests through to h that address a name of this machine, as [LocalName] has them, or one that named reports: in small
// letters, without a port. Others get 403. It goes before what is served on a loopback address to whoever asks: a page that gives its own
// name that address (DNS rebinding) is no page of another site to a browser, but its requests have its name. It does not look at
// requests over TLS or other networks than TCP, which such pages cannot make, nor at those without a Host, which browsers do not.
func Addressed(h http.Handler, named func(name string) bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, tcp := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
		if tcp && r.TLS == nil && r.Host != "" && !LocalName(r.Host) && !named(hostName(r.Host)) {
			http.Error(w, fmt.Sprintf("what is served here is for this machine, and the Host %.100q is none of its names: use localhost, or let the name in (App.Hosts, --hosts)", r.Host), http.StatusForbidden)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// foreign returns why a request is not one of this machine, or "".
func foreign(r *http.Request) string {
	if !fromHere(r.RemoteAddr) {
		return "the connection comes from elsewhere"
	}
	for _, name := range []string{"Forwarded", "X-Real-Ip", "Via"} {
		if len(r.Header[name]) > 0 {
			return "a proxy has passed it on (" + name + ")"
		}
	}
	for _, list := range r.Header["X-Forwarded-For"] {
		for addr := range strings.SplitSeq(list, ",") {
			if ip, err := netip.ParseAddr(strings.TrimSpace(addr)); err != nil || !ip.Unmap().IsLoopback() {
				return "a proxy has passed it on from elsewhere"
			}
		}
	}
	for _, host := range r.Header["X-Forwarded-Host"] {
		if !LocalName(host) {
			return "the Host that a proxy had it with is none of this machine"
		}
	}
	if !LocalName(r.Host) {
		return "its Host is none of this machine; use localhost"
	}
	for _, origin := range r.Header["Origin"] {
		u, err := url.Parse(origin)
		if err != nil || !LocalName(u.Host) || !strings.EqualFold(u.Host, r.Host) {
			return "a page of another site made it"
		}
	}
	if site := r.Header.Get("Sec-Fetch-Site"); site == "cross-site" && r.Header.Get("Sec-Fetch-Mode") != "navigate" {
		return "a page of another site made it"
	}
	return ""
}

// fromHere reports whether a connection's other end is on this machine. Unix sockets have no address, or a path.
func fromHere(remote string) bool {
	addr, err := netip.ParseAddrPort(remote)
	if err != nil {
		return remote == "" || remote == "@" || strings.HasPrefix(remote, "/")
	}
	return addr.Addr().Unmap().IsLoopback()
}

// LocalName reports whether a host, with or without a port, is a name of this machine that no DNS server can give away, as [Local] has them.
func LocalName(host string) bool {
	host = hostName(host)
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}

// hostName returns the name in a Host, in small letters.
func hostName(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	return strings.ToLower(strings.TrimSuffix(strings.Trim(host, "[]"), "."))
}
