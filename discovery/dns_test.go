package discovery_test

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/discovery/discoverytest"
	"golang.org/x/net/dns/dnsmessage"
)

func TestDNS(t *testing.T) {
	discoverytest.RunReadOnly(t, func(t *testing.T, services map[string][]string) discovery.Registry {
		s := newDNSServer(t)
		for name, addrs := range services {
			var ips []string
			for _, addr := range addrs {
				ips = append(ips, strings.TrimSuffix(addr, ":8443"))
			}
			s.set(name+".shop.test.", 60, ips...)
		}
		return &discovery.DNS{Name: "{service}.shop.test.:8443", Server: s.addr}
	}, discoverytest.Limits{NoAll: true})
}

// endpoints returns a condition: exactly these endpoints are there.
func endpoints(want ...string) func([]discovery.Instance) bool {
	return func(l []discovery.Instance) bool {
		var got []string
		for _, inst := range l {
			got = append(got, inst.Endpoints...)
		}
		return slices.Equal(got, want)
	}
}

func TestDNSTimeToLive(t *testing.T) {
	s := newDNSServer(t)
	srv := func(ttl uint32, target string) dnsRecord {
		return dnsRecord{ttl: ttl, srv: &dnsmessage.SRVResource{Port: 1, Target: dnsmessage.MustNewName(target)}}
	}
	for _, c := range []struct {
		name, lookup string
		records      []dnsRecord
		truncates    bool
		want         time.Duration
	}{
		{name: "as it is", records: []dnsRecord{{ttl: 42, ip: "10.0.0.1"}}, want: 42 * time.Second},
		{name: "by TCP", records: []dnsRecord{{ttl: 42, ip: "10.0.0.1"}}, truncates: true, want: 42 * time.Second},
		{name: "the least of all", records: []dnsRecord{{ttl: 42, ip: "10.0.0.1"}, {ttl: 7, ip: "10.0.0.2"}, {ttl: 99, ip: "fd00::1"}}, want: 7 * time.Second},
		{name: "that of AAAA", records: []dnsRecord{{ttl: 42, ip: "10.0.0.1"}, {ttl: 8, ip: "fd00::1"}}, want: 8 * time.Second},
		{name: "none", records: []dnsRecord{{ttl: 0, ip: "10.0.0.1"}}, want: time.Second},
		{name: "long", records: []dnsRecord{{ttl: 86400, ip: "10.0.0.1"}}, want: 5 * time.Minute},
		{name: "negative", records: []dnsRecord{{ttl: 1 << 31, ip: "10.0.0.1"}}, want: time.Second},
		{name: "that of SRV", lookup: "_grpc._tcp.cart.test.", records: []dnsRecord{srv(9, "target.test.")}, want: 9 * time.Second},
		{name: "that of an SRV's target", lookup: "_grpc._tcp.cart.test.", records: []dnsRecord{srv(99, "target.test.")}, want: 77 * time.Second},
		{name: "no such name", lookup: "nothing.test.:1", want: 2 * time.Second},
		{name: "an address, not looked up", lookup: "127.0.0.1:1", want: 30 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			lookup := c.lookup
			if lookup == "" {
				lookup = "cart.test.:1"
			}
			name, _, _ := strings.Cut(lookup, ":")
			if c.records != nil {
				s.setRecords(name, c.records...)
			}
			s.set("target.test.", 77, "10.0.0.1")
			s.mu.Lock()
			s.truncates = c.truncates
			s.mu.Unlock()
			_, ttl, err := discovery.Lookup(t.Context(), &discovery.DNS{Name: lookup, Server: s.addr}, "cart")
			if err != nil || ttl != c.want {
				t.Errorf("got %v, %v; want %v", ttl, err, c.want)
			}
		})
	}
}

func TestDNSInstances(t *testing.T) {
	s := newDNSServer(t)
	s.setRecords("both.test.", dnsRecord{ttl: 60, ip: "fd00::1"}, dnsRecord{ttl: 60, ip: "10.0.0.2"}, dnsRecord{ttl: 60, ip: "10.0.0.1"}, dnsRecord{ttl: 60, ip: "10.0.0.1"})
	srv := func(priority, weight, port uint16, target string) dnsRecord {
		return dnsRecord{ttl: 60, srv: &dnsmessage.SRVResource{Priority: priority, Weight: weight, Port: port, Target: dnsmessage.MustNewName(target)}}
	}
	s.set("one.test.", 60, "10.0.1.1", "10.0.1.2")
	s.set("two.test.", 60, "10.0.2.1")
	s.setRecords("_grpc._tcp.cart.test.", srv(5, 3, 8001, "one.test."), srv(5, 1, 8002, "two.test."), srv(5, 1, 8003, "gone.test."), srv(9, 1, 8004, "both.test."))
	for _, c := range []struct {
		name string
		want string // endpoint/authority/weight
	}{
		{"both.test.:8443", "tcp://10.0.0.1:8443 both.test:8443 0, tcp://10.0.0.2:8443 both.test:8443 0, tcp://[fd00::1]:8443 both.test:8443 0"},
		{"_grpc._tcp.{service}.test.", "tcp://10.0.1.1:8001 one.test:8001 3, tcp://10.0.1.2:8001 one.test:8001 3, tcp://10.0.2.1:8002 two.test:8002 1"},
		{"127.0.0.1:80", "tcp://127.0.0.1:80 127.0.0.1:80 0"},
		{"[::1]:80", "tcp://[::1]:80 [::1]:80 0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			list := discoverytest.Watch(t, &discovery.DNS{Name: c.name, Server: s.addr}, "cart").First()
			var got []string
			for _, i := range list {
				if i.State != discovery.Ready || i.Announced() || i.Service != "cart" {
					t.Errorf("instance %+v", i)
				}
				got = append(got, fmt.Sprint(i.Endpoints[0], " ", i.CallAuthority(i.Endpoints[0]), " ", i.Weight))
			}
			if got := strings.Join(got, ", "); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestDNSFollowsChanges(t *testing.T) {
	t.Parallel()
	s := newDNSServer(t)
	w := discoverytest.Watch(t, &discovery.DNS{Name: "{service}.test.:80", Server: s.addr}, "cart")
	if first := w.First(); len(first) != 0 {
		t.Fatalf("a name that is not there: %v", first)
	}
	s.set("cart.test.", 0, "10.0.0.1") // noticed after the pause for absent names
	w.Until("the name is there", endpoints("tcp://10.0.0.1:80"))
	s.set("cart.test.", 0, "10.0.0.1", "10.0.0.2")
	w.Until("there is another address", endpoints("tcp://10.0.0.1:80", "tcp://10.0.0.2:80"))
	s.set("cart.test.", 0)
	w.Until("there is no address", endpoints())
}

// While DNS fails, what is known stays; and it is followed again when DNS is back.
func TestDNSFailsStatic(t *testing.T) {
	t.Parallel()
	var log syncBuffer
	s := newDNSServer(t)
	s.set("cart.test.", 0, "10.0.0.1")
	w := discoverytest.Watch(t, &discovery.DNS{Name: "{service}.test.:80", Server: s.addr, Logger: slog.New(slog.NewTextHandler(&log, nil))}, "cart")
	w.Until("the name is there", endpoints("tcp://10.0.0.1:80"))
	s.setFails(true)
	discoverytest.Eventually(t, "a warning", func() bool { return strings.Contains(log.String(), "level=WARN") })
	s.set("cart.test.", 0, "10.0.0.2")
	s.setFails(false)
	if next := w.First(); !endpoints("tcp://10.0.0.2:80")(next) {
		t.Errorf("the next snapshot after a failure is %v, want the new address", next)
	}
	discoverytest.Eventually(t, "the end of the failure in the log", func() bool { return strings.Contains(log.String(), "succeeds again") })
	if n := strings.Count(log.String(), "level=WARN"); n != 1 {
		t.Errorf("%d warnings, want 1:\n%s", n, log.String())
	}
}

func TestDNSFailsAtFirst(t *testing.T) {
	t.Parallel()
	s := newDNSServer(t)
	s.setFails(true)
	s.set("cart.test.", 60, "10.0.0.1")
	w := discoverytest.Watch(t, &discovery.DNS{Name: "{service}.test.:80", Server: s.addr, Logger: slog.New(slog.DiscardHandler)}, "cart")
	if first := w.First(); len(first) != 0 {
		t.Fatalf("instances without an answer: %v", first)
	}
	s.setFails(false)
	w.Until("the name is there", endpoints("tcp://10.0.0.1:80"))
}
