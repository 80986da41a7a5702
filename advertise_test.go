package hanse

import (
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/hanse-go/hanse/discovery"
)

func TestAdvertised(t *testing.T) {
	const process, host, network = discovery.ScopeProcess, discovery.ScopeHost, discovery.ScopeNetwork
	both := map[string]string{"udp4": "10.0.0.7", "udp6": "2001:db8::7"}
	onlyV6 := map[string]string{"udp6": "2001:db8::7"}
	for _, tt := range []struct {
		bound, advertise string
		scope            discovery.Scope
		routes           map[string]string // outward addresses
		want, err        string
	}{
		{"127.0.0.1:8443", "", process, both, "127.0.0.1:8443", ""},
		{"127.0.0.1:8443", "", host, both, "127.0.0.1:8443", ""},
		{"[::1]:8443", "", host, both, "[::1]:8443", ""},
		{"127.0.0.1:8443", "", network, both, "", "--advertise HOST:PORT"},
		{"[::1]:8443", "", network, both, "", "--addr :8443"},
		{"127.0.0.2:8443", "", network, both, "", "not reachable"},
		{"127.0.0.1:8443", "cart.example.com", network, both, "cart.example.com:8443", ""},
		{"127.0.0.1:8443", "cart.example.com:443", network, both, "cart.example.com:443", ""},
		{"127.0.0.1:8443", "localhost:443", network, both, "", "not reachable"},
		{"10.1.2.3:8443", "", network, both, "10.1.2.3:8443", ""},
		{"10.1.2.3:8443", ":443", network, both, "10.1.2.3:443", ""},
		{"[2001:db8::9]:8443", "", network, both, "[2001:db8::9]:8443", ""},
		{"10.1.2.3:8443", "2001:db8::9", network, both, "[2001:db8::9]:8443", ""},
		{"10.1.2.3:8443", "[2001:db8::9]", network, both, "[2001:db8::9]:8443", ""},
		{"10.1.2.3:8443", "[2001:db8::9]:1", network, both, "[2001:db8::9]:1", ""},
		{"0.0.0.0:8443", "", network, both, "10.0.0.7:8443", ""},
		{"0.0.0.0:8443", ":443", network, both, "10.0.0.7:443", ""},
		{"[::]:8443", "", network, both, "10.0.0.7:8443", ""},
		{"[::]:8443", "", network, onlyV6, "[2001:db8::7]:8443", ""},
		{"0.0.0.0:8443", "", network, onlyV6, "", "none of them routes outward"},
		{"0.0.0.0:8443", "", host, nil, "127.0.0.1:8443", ""},
		{"[::]:8443", "", host, nil, "[::1]:8443", ""},
		{"[::]:8443", "", host, both, "10.0.0.7:8443", ""},
		{"10.1.2.3:8443", "0.0.0.0:443", network, both, "", "all interfaces"},
		{"10.1.2.3:8443", "[::]", network, both, "", "all interfaces"},
		{"10.1.2.3:8443", "host:http", network, both, "", "number from 1 to 65535"},
		{"10.1.2.3:8443", "host:0", network, both, "", "number from 1 to 65535"},
		{"10.1.2.3:8443", "a:b:c", network, both, "", "no HOST"},
		{"cart:1", "", host, both, "cart:1", ""}, // a network in memory
		{"somewhere", "", host, both, "", "no address that others could call"},
	} {
		outward := func(network string) (netip.Addr, bool) {
			ip, err := netip.ParseAddr(tt.routes[network])
			return ip, err == nil
		}
		got, err := advertised(textAddr(tt.bound), tt.advertise, tt.scope, outward)
		switch {
		case got != tt.want:
			t.Errorf("bound %s, advertise %q, %v: got %q (%v), want %q", tt.bound, tt.advertise, tt.scope, got, err, tt.want)
		case (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err):
			t.Errorf("bound %s, advertise %q, %v: error %v, want %q", tt.bound, tt.advertise, tt.scope, err, tt.err)
		}
	}
}

// TestOutwardIP asks the real routing table, which may know no way out.
func TestOutwardIP(t *testing.T) {
	for _, network := range []string{"udp4", "udp6"} {
		ip, ok := outwardIP(network)
		if !ok {
			t.Logf("%s: this machine has no way out", network)
			continue
		}
		lis, err := net.Listen("tcp", net.JoinHostPort(ip.String(), "0"))
		if err != nil {
			t.Errorf("%s: %v is no address of this machine: %v", network, ip, err)
			continue
		}
		lis.Close()
		if ip.IsLoopback() || ip.IsUnspecified() {
			t.Errorf("%s: %v is no address for others", network, ip)
		}
	}
}

type textAddr string

func (a textAddr) Network() string { return "tcp" }
func (a textAddr) String() string  { return string(a) }
