package k8sdiscovery_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// apiServer is as much of the API server of Kubernetes as its documentation says of EndpointSlices: lists in pages, watches from a
// resource version with bookmarks and time limits, versions that are forgotten, and service accounts.
type apiServer struct {
	namespace string
	loopback  bool // let slices have addresses that Kubernetes refuses
	cached    int  // the version that lists of resourceVersion=0 are of; 0 is now
	goneEarly bool // say at once that a version is forgotten, not in an event
	noMarks   bool // no bookmarks
	// before, unless nil, may answer a request itself; it then returns true.
	before func(w http.ResponseWriter, r *http.Request) bool

	mu       sync.Mutex
	token    string // that requests must have; empty: none
	version  int    // of the last change
	oldest   int    // versions before it are forgotten
	history  []change
	slices   map[string]*sliceObject // by name
	changed  chan struct{}           // closed at each change
	requests map[string]int          // lists and watches
}

type change struct {
	version int
	kind    string
	object  *sliceObject
}

type object = map[string]any

// sliceObject is an EndpointSlice as it is written. Those that are stored are not changed any more.
type sliceObject struct {
	APIVersion  string           `json:"apiVersion"`
	Kind        string           `json:"kind"`
	Metadata    sliceMetadata    `json:"metadata"`
	AddressType string           `json:"addressType"`
	Endpoints   []endpointObject `json:"endpoints"`
	Ports       []object         `json:"ports"`
}

type sliceMetadata struct {
	Name            string            `json:"name"`
	Namespace       string            `json:"namespace"`
	ResourceVersion string            `json:"resourceVersion"`
	Labels          map[string]string `json:"labels"`
}

type endpointObject struct {
	Addresses  []string `json:"addresses"`
	Conditions object   `json:"conditions"`
	TargetRef  object   `json:"targetRef,omitempty"`
	NodeName   string   `json:"nodeName,omitempty"`
	Zone       string   `json:"zone,omitempty"`
	Hints      object   `json:"hints,omitempty"`
}

func newAPIServer() *apiServer {
	return &apiServer{namespace: "shop", version: 100, slices: make(map[string]*sliceObject), changed: make(chan struct{}), requests: make(map[string]int)}
}

// pod returns an endpoint with the conditions ready, serving and terminating.
func pod(name string, ready, serving, terminating bool, addrs ...string) endpointObject {
	return endpointObject{
		Addresses:  addrs,
		Conditions: object{"ready": ready, "serving": serving, "terminating": terminating},
		TargetRef:  object{"kind": "Pod", "namespace": "shop", "name": name, "uid": "uid-of-" + name},
	}
}

func ready(name string, addrs ...string) endpointObject {
	return pod(name, true, true, false, addrs...)
}

// grpcPort is the port of most slices in the tests.
func grpcPort() []object { return []object{{"name": "grpc", "protocol": "TCP", "port": 8443}} }

// put stores a slice of a service.
func (s *apiServer) put(service, name, addressType string, ports []object, endpoints ...endpointObject) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range endpoints {
		for _, addr := range e.Addresses {
			if ip, err := netip.ParseAddr(addr); addressType != "FQDN" && (err != nil || ip.Is4() != (addressType == "IPv4") || ip.IsLoopback() && !s.loopback) {
				panic(fmt.Sprintf("Kubernetes refuses the address %s in a slice of %s", addr, addressType))
			}
		}
	}
	kind := "ADDED"
	if s.slices[name] != nil {
		kind = "MODIFIED"
	}
	s.version++
	o := &sliceObject{
		APIVersion: "discovery.k8s.io/v1", Kind: "EndpointSlice", AddressType: addressType, Endpoints: endpoints, Ports: ports,
		Metadata: sliceMetadata{Name: name, Namespace: s.namespace, ResourceVersion: strconv.Itoa(s.version), Labels: map[string]string{
			"kubernetes.io/service-name": service, "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
		}},
	}
	s.slices[name] = o
	s.noteLocked(kind, o)
}

func (s *apiServer) delete(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.version++
	o := *s.slices[name]
	o.Metadata.ResourceVersion = strconv.Itoa(s.version)
	delete(s.slices, name)
	s.noteLocked("DELETED", &o)
}

func (s *apiServer) noteLocked(kind string, o *sliceObject) {
	s.history = append(s.history, change{s.version, kind, o})
	close(s.changed)
	s.changed = make(chan struct{})
}

// elsewhere makes a change to what nobody here watches.
func (s *apiServer) elsewhere() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.version++
}

// forget is what compaction does: no watch can begin before now.
func (s *apiServer) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.oldest = s.version
	s.history = nil
}

func (s *apiServer) count(verb string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.requests[verb]
}

func (s *apiServer) set(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

func (s *apiServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	verb := "list"
	if q.Get("watch") != "" {
		verb = "watch"
	}
	s.mu.Lock()
	s.requests[verb]++
	before, token := s.before, s.token
	s.mu.Unlock()
	if before != nil && before(w, r) {
		return
	}
	switch {
	case token != "" && r.Header.Get("Authorization") != "Bearer "+token:
		refuse(w, http.StatusUnauthorized, "Unauthorized", "Unauthorized")
	case r.URL.Path != "/apis/discovery.k8s.io/v1/namespaces/"+s.namespace+"/endpointslices":
		refuse(w, http.StatusForbidden, "Forbidden", `endpointslices.discovery.k8s.io is forbidden: User "system:serviceaccount:shop:default" cannot `+verb+` resource "endpointslices" in API group "discovery.k8s.io" in the namespace`)
	case verb == "list":
		s.list(w, r)
	default:
		s.watch(w, r)
	}
}

func refuse(w http.ResponseWriter, code int, reason, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(gone(code, reason, message))
}

func gone(code int, reason, message string) object {
	return object{"kind": "Status", "apiVersion": "v1", "metadata": object{}, "status": "Failure", "message": message, "reason": reason, "code": code}
}

// selected reports whether a slice has the labels that a request asks for.
func selected(r *http.Request, o *sliceObject) bool {
	name, value, equals := strings.Cut(r.URL.Query().Get("labelSelector"), "=")
	got, has := o.Metadata.Labels[name]
	return has && (!equals || got == value)
}

func (s *apiServer) list(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	s.mu.Lock()
	defer s.mu.Unlock()
	version, from := s.version, ""
	if c := q.Get("continue"); c != "" {
		v, name, _ := strings.Cut(c, ":")
		version, _ = strconv.Atoi(v)
		if from = name; version < s.oldest {
			refuse(w, http.StatusGone, "Expired", "The provided continue parameter is too old to display a consistent list result.")
			return
		}
	}
	if q.Get("resourceVersion") == "0" && s.cached > 0 {
		version = s.cached
	}
	stored := maps.Clone(s.slices)
	for _, c := range slices.Backward(s.history) { // as it was at that version
		if c.version <= version {
			break
		}
		delete(stored, c.object.Metadata.Name)
		for _, old := range s.history {
			if old.version <= version && old.object.Metadata.Name == c.object.Metadata.Name && old.kind != "DELETED" {
				stored[c.object.Metadata.Name] = old.object
			}
		}
	}
	limit, _ := strconv.Atoi(q.Get("limit"))
	items := []*sliceObject{}
	next := ""
	for _, name := range slices.Sorted(maps.Keys(stored)) {
		if name < from || !selected(r, stored[name]) {
			continue
		}
		if limit > 0 && len(items) == limit && q.Get("resourceVersion") != "0" {
			next = fmt.Sprintf("%d:%s", version, name)
			break
		}
		items = append(items, stored[name])
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(object{
		"kind": "EndpointSliceList", "apiVersion": "discovery.k8s.io/v1", "items": items,
		"metadata": object{"resourceVersion": strconv.Itoa(version), "continue": next},
	})
}

func (s *apiServer) watch(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	from, err := strconv.Atoi(q.Get("resourceVersion"))
	seconds, err2 := strconv.Atoi(q.Get("timeoutSeconds"))
	if err != nil || err2 != nil {
		refuse(w, http.StatusBadRequest, "BadRequest", "bad parameters")
		return
	}
	tooOld := fmt.Sprintf("too old resource version: %d (%d)", from, s.oldest)
	s.mu.Lock()
	expired := from < s.oldest
	s.mu.Unlock()
	if expired && s.goneEarly {
		refuse(w, http.StatusGone, "Expired", tooOld)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusOK)
	flush := http.NewResponseController(w).Flush
	encode := json.NewEncoder(w)
	send := func(kind string, o any) {
		_ = encode.Encode(object{"type": kind, "object": o})
		_ = flush()
	}
	_ = flush()
	if expired {
		send("ERROR", gone(http.StatusGone, "Expired", tooOld))
		return
	}
	end := time.NewTimer(time.Duration(seconds) * time.Second)
	defer end.Stop()
	marks := time.NewTicker(time.Minute)
	defer marks.Stop()
	for {
		s.mu.Lock()
		changed := s.changed
		var news []change
		for _, c := range s.history {
			if c.version > from && selected(r, c.object) {
				news = append(news, c)
			}
		}
		version := s.version
		s.mu.Unlock()
		from = version
		for _, c := range news {
			send(c.kind, c.object)
		}
		select {
		case <-changed:
		case <-end.C:
			return
		case <-r.Context().Done():
			return
		case <-marks.C:
			if q.Get("allowWatchBookmarks") == "true" && !s.noMarks {
				s.mu.Lock()
				from = s.version
				s.mu.Unlock()
				send("BOOKMARK", object{"kind": "EndpointSlice", "apiVersion": "discovery.k8s.io/v1", "metadata": object{"resourceVersion": strconv.Itoa(from), "creationTimestamp": nil}, "endpoints": nil, "ports": nil, "addressType": ""})
			}
		}
	}
}
