package k8sdiscovery_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/discovery/k8sdiscovery"
)

// listOf makes a list of what a function puts into an API server.
func listOf(t testing.TB, put func(s *apiServer)) []byte {
	s := newAPIServer()
	put(s)
	var items []*sliceObject
	for _, o := range s.slices {
		items = append(items, o)
	}
	body, err := json.Marshal(object{"metadata": object{"resourceVersion": "7"}, "items": items})
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// short describes instances: their states and where they are.
func short(list []discovery.Instance) string {
	var all []string
	for _, i := range list {
		all = append(all, fmt.Sprintf("%s %s", i.State, strings.ReplaceAll(strings.Join(i.Endpoints, ","), "tcp://", "")))
	}
	return strings.Join(all, "; ")
}

func TestStates(t *testing.T) {
	for _, c := range []struct {
		conditions string
		want       string
	}{
		{`{}`, "ready 10.0.0.1:8443"}, // unknown is to be taken for ready
		{`{"ready":null}`, "ready 10.0.0.1:8443"},
		{`{"ready":true,"serving":true,"terminating":false}`, "ready 10.0.0.1:8443"},
		{`{"ready":false,"serving":false,"terminating":false}`, "starting 10.0.0.1:8443"},
		{`{"ready":false}`, "starting 10.0.0.1:8443"},
		{`{"ready":false,"serving":true,"terminating":true}`, "draining 10.0.0.1:8443"},
		{`{"ready":false,"serving":false,"terminating":true}`, ""},
		{`{"ready":false,"terminating":true}`, ""},
		{`{"ready":true,"serving":true,"terminating":true}`, "draining 10.0.0.1:8443"}, // publishNotReadyAddresses
	} {
		var conditions object
		if err := json.Unmarshal([]byte(c.conditions), &conditions); err != nil {
			t.Fatal(err)
		}
		list, _, err := k8sdiscovery.ParseList(listOf(t, func(s *apiServer) {
			s.put("cart", "cart-1", "IPv4", grpcPort(), endpointObject{Addresses: []string{"10.0.0.1"}, Conditions: conditions})
		}), "cart", "")
		if got := short(list); err != nil || got != c.want {
			t.Errorf("%s: %q, %v; want %q", c.conditions, got, err, c.want)
		}
	}
}

func TestPorts(t *testing.T) {
	admin := object{"name": "admin", "protocol": "TCP", "port": 9000}
	grpc := object{"name": "grpc", "protocol": "TCP", "port": 8443}
	for _, c := range []struct {
		name  string
		want  string // the field Port
		ports []object
		port  int // 0: none
	}{
		{"the only one, without a name", "", []object{{"port": 80}}, 80},
		{"an empty name", "", []object{{"name": "", "port": 80, "protocol": "TCP"}}, 80},
		{"grpc", "", []object{admin, grpc}, 8443},
		{"grpc-…", "", []object{admin, {"name": "grpc-cart", "port": 80}}, 80},
		{"by protocol", "", []object{admin, {"name": "x", "port": 80, "appProtocol": "kubernetes.io/h2c"}}, 80},
		{"two of them", "", []object{{"name": "grpc-a", "port": 80}, {"name": "grpc-b", "port": 81}}, 0},
		{"which one?", "", []object{admin, {"name": "http", "port": 80}}, 0},
		{"UDP does not count", "", []object{{"name": "dns", "protocol": "UDP", "port": 53}, admin}, 9000},
		{"UDP called grpc", "", []object{{"name": "grpc", "protocol": "UDP", "port": 53}}, 0},
		{"by name", "admin", []object{admin, grpc}, 9000},
		{"by number", "9000", []object{grpc, admin}, 9000},
		{"not there", "other", []object{grpc}, 0},
		{"all ports", "", []object{{"name": "grpc"}}, 0},
		{"no port", "", nil, 0},
		{"no number of a port", "", []object{{"name": "grpc", "port": 70000}}, 0},
	} {
		list, portless, err := k8sdiscovery.ParseList(listOf(t, func(s *apiServer) { s.put("cart", "cart-1", "IPv4", c.ports, ready("a", "10.0.0.1")) }), "cart", c.want)
		want := ""
		if c.port != 0 {
			want = fmt.Sprintf("ready 10.0.0.1:%d", c.port)
		}
		if got := short(list); err != nil || got != want || portless != (c.port == 0) {
			t.Errorf("%s: %q, %v, %v; want %q", c.name, got, portless, err, want)
		}
	}
}

func TestSeveralSlices(t *testing.T) {
	for _, c := range []struct {
		name string
		put  func(s *apiServer)
		want string
	}{
		{"two slices", func(s *apiServer) {
			s.put("cart", "cart-1", "IPv4", grpcPort(), ready("a", "10.0.0.1"), ready("b", "10.0.0.2"))
			s.put("cart", "cart-2", "IPv4", grpcPort(), ready("c", "10.0.0.3"))
		}, "ready 10.0.0.1:8443; ready 10.0.0.2:8443; ready 10.0.0.3:8443"},
		{"other ports in another slice", func(s *apiServer) {
			s.put("cart", "cart-1", "IPv4", grpcPort(), ready("a", "10.0.0.1"))
			s.put("cart", "cart-2", "IPv4", []object{{"name": "grpc", "port": 9443}}, ready("c", "10.0.0.3"))
		}, "ready 10.0.0.1:8443; ready 10.0.0.3:9443"},
		{"two families of one pod", func(s *apiServer) {
			s.put("cart", "cart-6", "IPv6", grpcPort(), ready("a", "fd00::1"), ready("b", "fd00::2"))
			s.put("cart", "cart-4", "IPv4", grpcPort(), ready("a", "10.0.0.1"))
		}, "ready 10.0.0.1:8443,[fd00::1]:8443; ready [fd00::2]:8443"},
		{"a pod that moves between slices, seen twice", func(s *apiServer) {
			s.put("cart", "cart-1", "IPv4", grpcPort(), ready("a", "10.0.0.1"))
			s.put("cart", "cart-2", "IPv4", grpcPort(), pod("a", false, true, true, "10.0.0.1"))
		}, "draining 10.0.0.1:8443"},
		{"an address without a pod, twice", func(s *apiServer) {
			e := endpointObject{Addresses: []string{"10.0.0.1"}, Conditions: object{"ready": true}}
			s.put("cart", "cart-1", "IPv4", grpcPort(), e)
			s.put("cart", "cart-2", "IPv4", grpcPort(), e)
		}, "ready 10.0.0.1:8443"},
		{"names", func(s *apiServer) {
			s.put("cart", "cart-1", "FQDN", grpcPort(), endpointObject{Addresses: []string{"db.example.com"}, Conditions: object{"ready": true}})
		}, "ready db.example.com:8443"},
		{"an unknown family", func(s *apiServer) {
			s.put("cart", "cart-1", "IPv4", grpcPort(), ready("a", "10.0.0.1"))
			s.slices["cart-1"].AddressType = "IPv8"
		}, ""},
	} {
		list, _, err := k8sdiscovery.ParseList(listOf(t, c.put), "cart", "")
		if got := short(list); err != nil || got != c.want {
			t.Errorf("%s: %q, %v; want %q", c.name, got, err, c.want)
		}
	}
}

func TestMetadata(t *testing.T) {
	e := ready("a", "10.0.0.1")
	e.NodeName, e.Zone, e.Hints = "n1", "z1", object{"forZones": []object{{"name": "z1"}, {"name": "z2"}}}
	list, _, err := k8sdiscovery.ParseList(listOf(t, func(s *apiServer) { s.put("cart", "cart-1", "IPv4", grpcPort(), e) }), "cart", "")
	if err != nil || len(list) != 1 {
		t.Fatal(list, err)
	}
	i := list[0]
	if want := fmt.Sprint(map[string]string{"node": "n1", "pod": "a", "hint-zones": "z1,z2"}); fmt.Sprint(i.Metadata) != want || i.Zone != "z1" {
		t.Errorf("%v in zone %s, want %s in z1", i.Metadata, i.Zone, want)
	}
	if i.Announced() || !i.Implements("any.Contract") || i.CallAuthority(i.Endpoints[0]) != "cart" {
		t.Errorf("%+v: want one without ID and contracts, called by the name of the service", i)
	}
}

func FuzzList(f *testing.F) {
	f.Add(listOf(f, func(s *apiServer) {
		e := ready("a", "10.0.0.1")
		e.NodeName, e.Zone, e.Hints = "n1", "z1", object{"forZones": []object{{"name": "z1"}}}
		s.put("cart", "cart-1", "IPv4", grpcPort(), e, pod("b", false, true, true, "10.0.0.2"))
		s.put("cart", "cart-2", "IPv6", grpcPort(), ready("a", "fd00::1"))
	}), "")
	f.Add([]byte(`{"metadata":{"resourceVersion":"1"},"items":[{"addressType":"FQDN","endpoints":[{"addresses":["a","b c"]}],"ports":[{"port":1}]},{}]}`), "1")
	f.Fuzz(func(t *testing.T, body []byte, port string) {
		list, _, err := k8sdiscovery.ParseList(body, "cart", port)
		if err != nil {
			return
		}
		seen := make(map[string]bool)
		for _, i := range list {
			if i.Service != "cart" || len(i.Endpoints) == 0 || i.State == "" || seen[i.Key()] {
				t.Errorf("%+v", i)
			}
			seen[i.Key()] = true
			for _, e := range i.Endpoints {
				if !strings.HasPrefix(e, "tcp://") || strings.ContainsAny(e[6:], "/?# ") {
					t.Errorf("endpoint %q", e)
				}
			}
		}
		if !slices.IsSortedFunc(list, func(a, b discovery.Instance) int { return strings.Compare(a.Key(), b.Key()) }) {
			t.Error("not in order")
		}
	})
}

func FuzzEvents(f *testing.F) {
	f.Add(`{"type":"ADDED","object":{"metadata":{"name":"a","resourceVersion":"7"}}}` + "\n" + `{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"8"}}}`)
	f.Add(`{"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired"}}`)
	f.Add(`{"type":"MODIFIED","object":null}{"type":"x"}`)
	f.Fuzz(func(t *testing.T, stream string) {
		if n, err := k8sdiscovery.ParseEvents(strings.NewReader(stream)); err == nil && n > len(stream) {
			t.Errorf("%d events", n)
		}
	})
}

// One endless event must not take all memory.
func TestEndlessEvent(t *testing.T) {
	r := &endless{}
	if _, err := k8sdiscovery.ParseEvents(r); err == nil || !strings.Contains(err.Error(), "an event has more than 8 MiB") {
		t.Errorf("error %v after %d bytes", err, r.n)
	}
	if r.n > 9<<20 {
		t.Errorf("%d bytes read", r.n)
	}
}

type endless struct{ n int }

func (r *endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	if r.n == 0 {
		copy(p, `{"type":"`)
	}
	r.n += len(p)
	return len(p), nil
}
