package discovery

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"
)

// State says what an instance does at the moment.
type State string

// The states of an instance, in the order in which it passes through them.
const (
	Starting State = "starting" // set-up is not finished; no calls yet
	Ready    State = "ready"    // takes calls
	Draining State = "draining" // finishes what it has; no new calls
)

// step is how far along its way the state is.
func (s State) step() int { return slices.Index([]State{Starting, Ready, Draining}, s) }

// Contract is one protobuf service that an instance implements.
type Contract struct {
	Name string `json:"name"` // full name, such as shop.cart.v1.CartService
	Hash string `json:"hash"` // hash of its descriptors; equal hashes are equal contracts
}

// Instance is one running copy of a service, as a registry knows it.
//
// An instance that Hanse announced has an ID. One that comes from a static list or from DNS has none: nothing is known of it but
// its endpoints, and it counts as [Ready].
type Instance struct {
	Service   string            `json:"service"`             // name of the service
	ID        string            `json:"instance,omitempty"`  // 32 hex digits, new for each start; empty when nobody announced it
	Version   string            `json:"version,omitempty"`   // of its code, for people; empty: not known
	State     State             `json:"state"`               // calls go to those that are [Ready]
	Endpoints []string          `json:"endpoints,omitempty"` // URLs, best first: unix:///run/x.sock, tcp://10.0.0.7:8443
	Host      string            `json:"host,omitempty"`      // identifies the machine and its socket folder: unix endpoints serve callers of the same Host only
	Authority string            `json:"authority,omitempty"` // what callers name as :authority; empty: see [Instance.CallAuthority]
	Zone      string            `json:"zone,omitempty"`      // where it runs, such as a rack or a data centre; empty: not known
	Weight    int               `json:"weight,omitempty"`    // share of the calls relative to its peers; 0 is 1
	PID       int               `json:"pid,omitempty"`       // of its process, on its host; 0: not known
	Admin     string            `json:"admin,omitempty"`     // host:port of the admin listener, when there is one
	Started   time.Time         `json:"started,omitzero"`    // when its process began; zero: not known
	Contracts []Contract        `json:"contracts,omitempty"` // what it implements; none: not known
	Metadata  map[string]string `json:"metadata,omitempty"`  // what else its owner says of it

	unknown map[string]json.RawMessage // fields of a newer version's record, kept for whoever reads it next
}

// Announced reports whether the instance was announced by Hanse, as opposed to being found in a static list or in DNS.
func (i Instance) Announced() bool { return i.ID != "" }

// Implements reports whether the instance serves the named contract. An instance of which no contracts are known is taken at its word.
func (i Instance) Implements(contract string) bool {
	if !i.Announced() || len(i.Contracts) == 0 {
		return true
	}
	return slices.ContainsFunc(i.Contracts, func(c Contract) bool { return c.Name == contract })
}

// Key identifies the instance among those of its service from one snapshot to the next: its ID, or, when it has none, its first
// endpoint.
func (i Instance) Key() string {
	if i.ID == "" && len(i.Endpoints) > 0 {
		return i.Endpoints[0]
	}
	return i.ID
}

// CallAuthority returns what a caller names as :authority, and verifies as the name in a certificate, when it calls the instance at
// the endpoint: Authority if it is set, else the service's name for an instance that Hanse announced, else the endpoint's host.
func (i Instance) CallAuthority(endpoint string) string {
	if i.Authority != "" {
		return i.Authority
	}
	if i.Announced() {
		return i.Service
	}
	if u, err := url.Parse(endpoint); err == nil && u.Host != "" {
		return u.Host
	}
	return "localhost" // a unix socket has no host
}

// Clone returns a copy that shares no slice or map with i.
func (i Instance) Clone() Instance {
	i.Endpoints = slices.Clone(i.Endpoints)
	i.Contracts = slices.Clone(i.Contracts)
	i.Metadata = maps.Clone(i.Metadata)
	i.unknown = maps.Clone(i.unknown)
	return i
}

// Validate reports what keeps the instance from being announced: a malformed service name or ID, or a state that is none.
func (i Instance) Validate() error {
	if err := CheckName(i.Service); err != nil {
		return err
	}
	if err := checkID(i.ID); err != nil {
		return fmt.Errorf("discovery: instance of %s: %w", i.Service, err)
	}
	switch i.State {
	case Starting, Ready, Draining:
		return nil
	}
	return fmt.Errorf("discovery: instance %s of %s: state %q is not one of starting, ready, draining", i.ID, i.Service, i.State)
}

// checkID reports whether an ID can be announced. It becomes a file name and a key of other engines.
func checkID(id string) error {
	if id == "" {
		return fmt.Errorf("no instance ID")
	}
	if len(id) > 128 {
		return fmt.Errorf("instance ID %.20q… has %d bytes, at most 128 are allowed", id, len(id))
	}
	for n, c := range []byte(id) {
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
		if !letter && (n == 0 || !strings.ContainsRune("._-", rune(c))) {
			return fmt.Errorf("instance ID %q: want letters, digits, '.', '_' and '-', beginning with a letter or digit", id)
		}
	}
	return nil
}

// compareInstances orders by service, then by key, so that equal sets make equal snapshots.
func compareInstances(a, b Instance) int {
	return cmp.Or(strings.Compare(a.Service, b.Service), strings.Compare(a.Key(), b.Key()))
}
