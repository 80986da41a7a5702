package consuldiscovery

import (
	"encoding/json"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/hanse-go/hanse/discovery"
)

// entry is an element of /v1/health/service, as far as it is used here.
type entry struct {
	Node struct {
		Address string
	}
	Service struct {
		ID       string
		Service  string
		Tags     []string
		Address  string
		Port     int
		Meta     map[string]string
		Weights  struct{ Passing int }
		Locality *struct{ Zone string }
	}
	Checks []struct {
		CheckID string
		Status  string
	}
}

// parseEntries returns the live instances in an answer, and what is wrong with entries that were left out, by their ID.
func parseEntries(body []byte, service string) ([]discovery.Instance, map[string]error, error) {
	var entries []entry
	if err := json.Unmarshal(body, &entries); err != nil {
		return nil, nil, fmt.Errorf("malformed answer: %w", err)
	}
	var list []discovery.Instance
	var bad map[string]error
	for _, e := range entries {
		inst, ok, err := e.instance(service)
		if err != nil {
			if bad == nil {
				bad = make(map[string]error)
			}
			bad[e.Service.ID] = err
		}
		if ok && err == nil {
			list = append(list, inst)
		}
	}
	slices.SortFunc(list, byKey)
	return slices.CompactFunc(list, func(a, b discovery.Instance) bool { return a.Key() == b.Key() }), bad, nil
}

// instance returns what the entry says, and whether it lives.
func (e *entry) instance(service string) (discovery.Instance, bool, error) {
	alive, maintained := e.alive()
	if !alive {
		return discovery.Instance{}, false, nil
	}
	inst, ours, err := readMeta(e.Service.Meta)
	if err != nil {
		return discovery.Instance{}, false, err
	}
	switch {
	case !ours:
		if inst, err = e.foreign(service); err != nil {
			return discovery.Instance{}, false, err
		}
	case inst.Service != service || inst.ID != e.Service.ID:
		return discovery.Instance{}, false, fmt.Errorf("its meta is the record of %s of %s", inst.ID, inst.Service)
	}
	if maintained {
		inst.State = discovery.Draining
	}
	return inst, true, nil
}

// alive reports whether no check is critical, as Consul's own DNS has it. Maintenance, which Consul shows as a critical check, is not
// death.
func (e *entry) alive() (alive, maintained bool) {
	for _, c := range e.Checks {
		if c.CheckID == "_node_maintenance" || strings.HasPrefix(c.CheckID, "_service_maintenance:") {
			maintained = true
		} else if c.Status == "critical" {
			return false, false
		}
	}
	return true, maintained
}

// foreign returns the instance of a service that was not announced by Hanse: endpoints and what can be read without knowing its meta.
func (e *entry) foreign(service string) (discovery.Instance, error) {
	host := e.Service.Address
	if host == "" {
		host = e.Node.Address
	}
	host = strings.Trim(host, "[]")
	if host == "" || strings.ContainsAny(host, "/?#@ ") || e.Service.Port < 1 || e.Service.Port > 65535 {
		return discovery.Instance{}, fmt.Errorf("it has no address and port to call: %q, %d", host, e.Service.Port)
	}
	inst := discovery.Instance{
		Service:   service,
		State:     discovery.Ready,
		Endpoints: []string{(&url.URL{Scheme: "tcp", Host: net.JoinHostPort(host, strconv.Itoa(e.Service.Port))}).String()},
		Version:   e.Service.Meta["version"],
		Metadata:  e.Service.Meta,
	}
	if len(inst.Metadata) == 0 {
		inst.Metadata = nil
	}
	if w := e.Service.Weights.Passing; w > 1 {
		inst.Weight = w
	}
	if l := e.Service.Locality; l != nil {
		inst.Zone = l.Zone
	}
	return inst, nil
}

func byKey(a, b discovery.Instance) int { return strings.Compare(a.Key(), b.Key()) }
