package eurekadiscovery

import (
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/hanse-go/hanse/discovery"
)

// recordKey is the metadata that has the record of an instance.
const recordKey = "hanse-record"

// appInstance is an instance as Eureka writes it, as far as it is read here.
type appInstance struct {
	InstanceID string         `json:"instanceId"`
	HostName   string         `json:"hostName"`
	App        string         `json:"app"`
	IPAddr     string         `json:"ipAddr"`
	Status     string         `json:"status"`
	Port       *enabledPort   `json:"port"`
	SecurePort *enabledPort   `json:"securePort"`
	Metadata   map[string]any `json:"metadata"`
}

// enabledPort is a port as XML is written in JSON: {"$": 80, "@enabled": "true"}. Which of the two are strings depends on the server.
type enabledPort struct {
	Number  any `json:"$"`
	Enabled any `json:"@enabled"`
}

// number returns the port, 0 when there is none.
func (p *enabledPort) number() int {
	if p == nil || fmt.Sprint(p.Enabled) != "true" {
		return 0
	}
	switch n := p.Number.(type) {
	case float64:
		if n == float64(int(n)) {
			return validPort(int(n))
		}
	case string:
		return portOf(n)
	}
	return 0
}

func portOf(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		return 0
	}
	return validPort(n)
}

func validPort(n int) int {
	if n < 1 || n > 65535 {
		return 0
	}
	return n
}

// many is a list of which servers that write XML as JSON leave out the brackets when it has one element.
type many[T any] []T

func (m *many[T]) UnmarshalJSON(data []byte) error {
	*m = nil
	if len(data) > 0 && data[0] == '[' {
		return json.Unmarshal(data, (*[]T)(m))
	}
	if string(data) == "null" {
		return nil
	}
	var one T
	if err := json.Unmarshal(data, &one); err != nil {
		return err
	}
	*m = many[T]{one}
	return nil
}

type application struct {
	Name     string            `json:"name"`
	Instance many[appInstance] `json:"instance"`
}

// parseApps returns the instances in an answer for one application or, if service is empty, for all, in order; and what is wrong with
// those that were left out.
func parseApps(body []byte, service string) ([]discovery.Instance, map[string]error, error) {
	var answer struct {
		Application  *application
		Applications *struct {
			Application many[application]
		}
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, nil, fmt.Errorf("malformed answer: %w", err)
	}
	var apps []application
	switch {
	case service != "" && answer.Application != nil:
		apps = []application{*answer.Application}
	case service == "" && answer.Applications != nil:
		apps = answer.Applications.Application
	default:
		return nil, nil, fmt.Errorf("malformed answer: it has no application")
	}
	var list []discovery.Instance
	bad := make(map[string]error)
	for _, app := range apps {
		name := strings.ToLower(app.Name)
		if service != "" {
			name = service
		} else if discovery.CheckName(name) != nil {
			continue // nobody can ask for it
		}
		for _, i := range app.Instance {
			inst, ok, err := i.instance(name)
			if err != nil {
				bad[i.InstanceID] = err
			} else if ok {
				list = append(list, inst)
			}
		}
	}
	slices.SortFunc(list, byKey)
	return slices.CompactFunc(list, func(a, b discovery.Instance) bool { return byKey(a, b) == 0 }), bad, nil
}

func byKey(a, b discovery.Instance) int {
	if c := strings.Compare(a.Service, b.Service); c != 0 {
		return c
	}
	return strings.Compare(a.Key(), b.Key())
}

// instance returns what Eureka says of an instance, and whether it is alive.
func (i *appInstance) instance(service string) (discovery.Instance, bool, error) {
	state, ok := states[i.Status]
	if !ok {
		return discovery.Instance{}, false, nil // DOWN, UNKNOWN
	}
	record, ours := i.Metadata[recordKey].(string)
	if !ours {
		inst, err := i.foreign(service, state)
		return inst, err == nil, err
	}
	inst, err := discovery.ParseRecord([]byte(record))
	if err != nil {
		return discovery.Instance{}, false, err
	}
	if inst.Service != service || inst.ID != i.InstanceID {
		return discovery.Instance{}, false, fmt.Errorf("its metadata is the record of %s of %s", inst.ID, inst.Service)
	}
	if inst.State == discovery.Ready {
		inst.State = state // somebody may have taken it out of service
	}
	return inst, true, nil
}

// states are what Eureka's statuses mean; it has others, in which nothing is called.
var states = map[string]discovery.State{"STARTING": discovery.Starting, "UP": discovery.Ready, "OUT_OF_SERVICE": discovery.Draining}

// status is what Eureka is told of an instance.
func status(state discovery.State) string {
	for status, s := range states {
		if s == state {
			return status
		}
	}
	return "UNKNOWN"
}

// foreign returns an instance that was not announced by Hanse: where it is called, and its metadata. Programs on Spring tell the port of
// gRPC there, for the other is that of HTTP.
func (i *appInstance) foreign(service string, state discovery.State) (discovery.Instance, error) {
	inst := discovery.Instance{Service: service, State: state}
	for name, v := range i.Metadata {
		text, ok := v.(string)
		if !ok || name == "@class" { // which a server adds that writes XML as JSON
			continue
		}
		if inst.Metadata == nil {
			inst.Metadata = make(map[string]string)
		}
		inst.Metadata[name] = text
	}
	inst.Version, inst.Zone = inst.Metadata["version"], inst.Metadata["zone"]
	host := strings.Trim(i.IPAddr, "[]")
	if _, err := netip.ParseAddr(host); err != nil {
		host = i.HostName
	}
	port := portOf(inst.Metadata["gRPC_port"])
	for _, other := range []int{portOf(inst.Metadata["gRPC.port"]), i.Port.number(), i.SecurePort.number()} {
		if port == 0 {
			port = other
		}
	}
	if host == "" || strings.ContainsAny(host, "/?#@ ") || port == 0 {
		return discovery.Instance{}, fmt.Errorf("it has no address and port to call: %q, %d", host, port)
	}
	inst.Endpoints = []string{(&url.URL{Scheme: "tcp", Host: net.JoinHostPort(host, strconv.Itoa(port))}).String()}
	return inst, nil
}

// registration is what is sent to announce an instance. Eureka refuses one without a host's name, an IP address and a data centre.
type registration struct {
	Instance struct {
		InstanceID         string            `json:"instanceId"`
		HostName           string            `json:"hostName"`
		App                string            `json:"app"`
		IPAddr             string            `json:"ipAddr"`
		VIPAddress         string            `json:"vipAddress"`
		SecureVIPAddress   string            `json:"secureVipAddress"`
		Status             string            `json:"status"`
		Port               port              `json:"port"`
		SecurePort         port              `json:"securePort"`
		DataCenterInfo     dataCenter        `json:"dataCenterInfo"`
		LeaseInfo          leaseInfo         `json:"leaseInfo"`
		Metadata           map[string]string `json:"metadata"`
		LastDirtyTimestamp string            `json:"lastDirtyTimestamp"` // ms
	} `json:"instance"`
}

type port struct {
	Number  int    `json:"$"`
	Enabled string `json:"@enabled"`
}

type dataCenter struct {
	Class string `json:"@class"`
	Name  string `json:"name"`
}

type leaseInfo struct {
	Renewal  int `json:"renewalIntervalInSecs"`
	Duration int `json:"durationInSecs"`
}

// appName is what Eureka calls a service.
func appName(service string) string { return strings.ToUpper(service) }

// newRegistration returns what announces the instance, with seconds of the lease and when it was changed last.
func newRegistration(inst discovery.Instance, seconds int, changed int64) (*registration, error) {
	record, err := inst.Record()
	if err != nil {
		return nil, err
	}
	r := new(registration)
	i := &r.Instance
	i.InstanceID, i.App, i.VIPAddress, i.SecureVIPAddress, i.Status = inst.ID, appName(inst.Service), inst.Service, inst.Service, status(inst.State)
	i.HostName, i.IPAddr = "unknown", "0.0.0.0" // until it listens
	i.Port, i.SecurePort = port{0, "false"}, port{0, "false"}
	if host, number := firstTCP(inst.Endpoints); number != 0 {
		i.HostName, i.Port = host, port{number, "true"}
		if _, err := netip.ParseAddr(host); err == nil {
			i.IPAddr = host
		}
	}
	i.DataCenterInfo = dataCenter{"com.netflix.appinfo.InstanceInfo$DefaultDataCenterInfo", "MyOwn"}
	i.LeaseInfo = leaseInfo{max(seconds/renewals, 1), seconds}
	i.Metadata = map[string]string{recordKey: string(record)}
	if inst.Zone != "" {
		i.Metadata["zone"] = inst.Zone
	}
	i.LastDirtyTimestamp = strconv.FormatInt(changed, 10)
	return r, nil
}

// firstTCP returns the address where clients that know nothing of Hanse call.
func firstTCP(endpoints []string) (string, int) {
	for _, e := range endpoints {
		u, err := url.Parse(e)
		if err != nil || u.Scheme != "tcp" {
			continue
		}
		if host, text, err := net.SplitHostPort(u.Host); err == nil && portOf(text) != 0 {
			return host, portOf(text)
		}
	}
	return "", 0
}
