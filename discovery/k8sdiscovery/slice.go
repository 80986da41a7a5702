package k8sdiscovery

import (
	"cmp"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/hanse-go/hanse/discovery"
)

// slice is an EndpointSlice of discovery.k8s.io/v1, as far as it is used here.
type slice struct {
	Metadata struct {
		Name            string
		ResourceVersion string
		Labels          map[string]string
	}
	AddressType string
	Endpoints   []endpoint
	Ports       []port
}

// service returns the name of the Service that the slice belongs to.
func (s *slice) service() string { return s.Metadata.Labels[serviceLabel] }

const serviceLabel = "kubernetes.io/service-name"

type endpoint struct {
	Addresses  []string
	Conditions struct{ Ready, Serving, Terminating *bool }
	TargetRef  *struct{ Kind, Name, UID string }
	NodeName   *string
	Zone       *string
	Hints      *struct{ ForZones []struct{ Name string } }
}

type port struct {
	Name        *string
	Protocol    *string
	Port        *int32
	AppProtocol *string
}

// state returns what the conditions say, and whether calls can be made at all. Where one is not known, Kubernetes says what to assume:
// that the endpoint is ready, that it serves if it is ready, and that it does not terminate.
func (e *endpoint) state() (discovery.State, bool) {
	ready := value(e.Conditions.Ready, true)
	serving := value(e.Conditions.Serving, ready)
	switch {
	case value(e.Conditions.Terminating, false):
		return discovery.Draining, serving
	case ready:
		return discovery.Ready, true
	}
	return discovery.Starting, true // or its probe fails: no calls either way
}

func value[T any](p *T, otherwise T) T {
	if p == nil {
		return otherwise
	}
	return *p
}

// choose returns the port to call, 0 when there is none or when there are several and nothing tells which.
func choose(ports []port, want string) int32 {
	var only, found []port
	for _, p := range ports {
		if value(p.Protocol, "TCP") != "TCP" || value(p.Port, 0) < 1 || *p.Port > 65535 {
			continue
		}
		only = append(only, p)
		name := value(p.Name, "")
		if want != "" && (name == want || strconv.Itoa(int(*p.Port)) == want) || want == "" && name == "grpc" {
			return *p.Port
		}
		if protocol := value(p.AppProtocol, ""); strings.HasPrefix(name, "grpc-") || protocol == "grpc" || protocol == "kubernetes.io/h2c" {
			found = append(found, p)
		}
	}
	switch {
	case want != "":
		return 0
	case len(found) == 1:
		return *found[0].Port
	case len(only) == 1:
		return *only[0].Port
	}
	return 0
}

// instances returns the instances of one service that its slices tell, in order, and whether a slice had endpoints and no port to call.
func instances(service string, all []*slice, wantPort string) (list []discovery.Instance, portless bool) {
	at := make(map[string]int) // by the pod's UID, or the address
	// A pod of a cluster with two address families stands in two slices; while slices are rearranged, it may stand in more.
	ordered := slices.SortedFunc(slices.Values(all), func(a, b *slice) int {
		return cmp.Or(strings.Compare(a.AddressType, b.AddressType), strings.Compare(a.Metadata.Name, b.Metadata.Name))
	})
	for _, s := range ordered {
		number := choose(s.Ports, wantPort)
		if number == 0 {
			portless = portless || len(s.Endpoints) > 0
			continue
		}
		for _, e := range s.Endpoints {
			state, callable := e.state()
			urls := e.urls(s.AddressType, number)
			if !callable || len(urls) == 0 {
				continue
			}
			key := urls[0]
			if e.TargetRef != nil && e.TargetRef.UID != "" {
				key = e.TargetRef.UID
			}
			n, seen := at[key]
			if !seen {
				at[key] = len(list)
				list = append(list, e.instance(service, state, urls))
				continue
			}
			for _, u := range urls {
				if !slices.Contains(list[n].Endpoints, u) {
					list[n].Endpoints = append(list[n].Endpoints, u)
				}
			}
			list[n].State = further(list[n].State, state)
		}
	}
	slices.SortFunc(list, func(a, b discovery.Instance) int { return strings.Compare(a.Key(), b.Key()) })
	return slices.CompactFunc(list, func(a, b discovery.Instance) bool { return a.Key() == b.Key() }), portless
}

// further returns the state that comes later in an instance's life: slices that disagree are of different age.
func further(a, b discovery.State) discovery.State {
	order := []discovery.State{discovery.Starting, discovery.Ready, discovery.Draining}
	return order[max(slices.Index(order, a), slices.Index(order, b))]
}

func (e *endpoint) instance(service string, state discovery.State, urls []string) discovery.Instance {
	inst := discovery.Instance{Service: service, State: state, Endpoints: urls, Authority: service, Zone: value(e.Zone, "")}
	set := func(name, value string) {
		if value == "" {
			return
		}
		if inst.Metadata == nil {
			inst.Metadata = make(map[string]string)
		}
		inst.Metadata[name] = value
	}
	set("node", value(e.NodeName, ""))
	if e.TargetRef != nil && e.TargetRef.Kind == "Pod" {
		set("pod", e.TargetRef.Name)
	}
	if e.Hints != nil {
		var zones []string
		for _, z := range e.Hints.ForZones {
			zones = append(zones, z.Name)
		}
		set("hint-zones", strings.Join(zones, ","))
	}
	return inst
}

// urls returns where to call.
func (e *endpoint) urls(addressType string, port int32) []string {
	var urls []string
	for _, addr := range e.Addresses {
		host := ""
		switch addressType {
		case "IPv4", "IPv6":
			ip, err := netip.ParseAddr(addr)
			if err != nil || ip.Zone() != "" {
				continue
			}
			host = netip.AddrPortFrom(ip, uint16(port)).String()
		case "FQDN":
			if addr == "" || strings.ContainsAny(addr, "/?#@:[] ") {
				continue
			}
			host = addr + ":" + strconv.Itoa(int(port))
		default: // of a newer Kubernetes
			continue
		}
		urls = append(urls, (&url.URL{Scheme: "tcp", Host: host}).String())
	}
	return urls
}
