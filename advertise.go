package hanse

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"github.com/hanse-go/hanse/discovery"
)

// advertised returns the HOST:PORT that others are told to call, for a listener bound to an address: what the advertise setting
// says of it, else the bound one; for a listener on all interfaces the one that routes outward. A loopback address is refused where
// other machines read it.
func advertised(bound net.Addr, advertise string, scope discovery.Scope, outward func(network string) (netip.Addr, bool)) (string, error) {
	boundHost, boundPort, err := net.SplitHostPort(bound.String())
	if err != nil {
		return "", fmt.Errorf("listener on %s has no address that others could call: set --advertise HOST:PORT (HANSE_ADVERTISE, App.Advertise)", bound)
	}
	host, port, err := splitAdvertise(advertise)
	if err != nil {
		return "", err
	}
	if port == "" {
		port = boundPort
	}
	if host == "" {
		host = boundHost
		if ip, err := netip.ParseAddr(host); err == nil && ip.IsUnspecified() {
			if ip, err = reachable(ip, scope, outward); err != nil {
				return "", err
			}
			host = ip.String()
		}
	}
	addr := net.JoinHostPort(host, port)
	if scope == discovery.ScopeNetwork && isLoopbackAddr(addr) {
		return "", fmt.Errorf("the registry is read by other machines, and %s is not reachable for them: listen on an address that is, such as --addr :8443 (HANSE_ADDR, App.Addr), or tell what they should call with --advertise HOST:PORT (HANSE_ADVERTISE, App.Advertise)", addr)
	}
	return addr, nil
}

// splitAdvertise splits HOST, HOST:PORT or :PORT. IPv6 hosts may stand alone without brackets.
func splitAdvertise(advertise string) (host, port string, err error) {
	if advertise == "" {
		return "", "", nil
	}
	withPort := advertise
	if ip, err := netip.ParseAddr(advertise); err == nil && ip.Is6() {
		withPort = "[" + advertise + "]:"
	} else if strings.HasSuffix(advertise, "]") || !strings.Contains(advertise, ":") {
		withPort += ":"
	}
	if host, port, err = net.SplitHostPort(withPort); err != nil {
		return "", "", fmt.Errorf("advertise address %q is no HOST, HOST:PORT or :PORT", advertise)
	}
	if n, err := strconv.Atoi(port); port != "" && (err != nil || n < 1 || n > 65535) {
		return "", "", fmt.Errorf("advertise address %q: the port must be a number from 1 to 65535", advertise)
	}
	if ip, err := netip.ParseAddr(host); err == nil && ip.IsUnspecified() {
		return "", "", fmt.Errorf("advertise address %q says 'all interfaces', which nobody can call: name one host", advertise)
	}
	return host, port, nil
}

// reachable returns the address at which others reach a listener on all interfaces.
func reachable(unspecified netip.Addr, scope discovery.Scope, outward func(network string) (netip.Addr, bool)) (netip.Addr, error) {
	networks := []string{"udp4"}
	if unspecified.Is6() { // such a listener takes both
		networks = []string{"udp4", "udp6"}
	}
	for _, network := range networks {
		if ip, ok := outward(network); ok {
			return ip, nil
		}
	}
	if scope == discovery.ScopeNetwork {
		return netip.Addr{}, fmt.Errorf("bound to all interfaces, but none of them routes outward: tell what others should call with --advertise HOST:PORT (HANSE_ADVERTISE, App.Advertise)")
	}
	if unspecified.Is6() {
		return netip.IPv6Loopback(), nil
	}
	return netip.AddrFrom4([4]byte{127, 0, 0, 1}), nil
}

// outwardIP returns the address of the interface that routes outward. It asks the routing table by connecting a UDP socket, which
// sends nothing, to an address that is reserved for documentation.
func outwardIP(network string) (netip.Addr, bool) {
	target := "192.0.2.1:9"
	if network == "udp6" {
		target = "[2001:db8::1]:9"
	}
	conn, err := net.Dial(network, target)
	if err != nil {
		return netip.Addr{}, false
	}
	defer conn.Close()
	at, err := netip.ParseAddrPort(conn.LocalAddr().String())
	ip := at.Addr().Unmap()
	return ip, err == nil && !ip.IsUnspecified() && !ip.IsLoopback()
}
