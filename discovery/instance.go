package discovery

import (
	"slices"
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
	Service   string            `json:"service"`
	ID        string            `json:"instance,omitempty"`
	Version   string            `json:"version,omitempty"`
	State     State             `json:"state"`
	Endpoints []string          `json:"endpoints,omitempty"` // URLs, best first: unix:///run/x.sock, tcp://10.0.0.7:8443
	Host      string            `json:"host,omitempty"`      // identifies the machine and its socket folder: unix endpoints serve callers of the same Host only
	Zone      string            `json:"zone,omitempty"`
	Weight    int               `json:"weight,omitempty"` // share of the calls relative to its peers; 0 is 1
	PID       int               `json:"pid,omitempty"`
	Admin     string            `json:"admin,omitempty"` // host:port of the admin listener, when there is one
	Started   time.Time         `json:"started,omitzero"`
	Contracts []Contract        `json:"contracts,omitempty"`
	Metadata  map[string]string `json:"metadata,omitempty"`
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
