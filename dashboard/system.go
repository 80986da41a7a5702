package dashboard

import (
	"context"
	"time"
)

// System is what runs: `hanse dev`'s processes, or what a registry knows. Its methods may be called concurrently.
type System interface {
	// State returns what runs and what should, as it is now.
	State(ctx context.Context) (*State, error)

	// Changes returns a channel of notices that State would return something else, closed when ctx ends.
	Changes(ctx context.Context) <-chan struct{}

	// Do carries out an action on a service and waits until it is done. An error for people is an [*Error].
	Do(ctx context.Context, a Action) error
}

// Kinds of a [State].
const (
	KindDev      = "dev"      // processes of hanse dev
	KindRegistry = "registry" // a running system, seen from outside
)

// State is a system at a moment. It is the JSON of /api/system.
type State struct {
	Name       string    `json:"name"`
	Dir        string    `json:"dir,omitempty"`       // where hanse dev runs it
	Kind       string    `json:"kind"`                // dev or registry
	Gateway    string    `json:"gateway,omitempty"`   // host:port where all services can be called without a certificate
	Telemetry  string    `json:"telemetry,omitempty"` // URL to which programs have to be told to send theirs, where nobody does it for them
	Production bool      `json:"production"`          // the page says so, loudly
	ReadOnly   bool      `json:"read_only"`           // nothing can be done to it
	Ready      bool      `json:"ready"`               // the first start is over
	Services   []Service `json:"services"`            // by name
	Problems   []string  `json:"problems"`            // for people: "./cart does not build: …"
}

// Service is a service of a [State].
type Service struct {
	Name      string       `json:"name"`
	Program   string       `json:"program,omitempty"` // its folder or command
	URL       string       `json:"url,omitempty"`     // of its pages
	Want      int          `json:"want"`              // instances that should run; 0 where nobody says
	OnDemand  bool         `json:"on_demand,omitempty"`
	Actions   []ActionName `json:"actions,omitempty"` // what can be done to it now
	Instances []Instance   `json:"instances"`
}

// Instance is a running copy of a service, or one that should run.
type Instance struct {
	ID        string            `json:"id"`    // of the registry; of one that is not announced, NAME#REPLICA
	State     string            `json:"state"` // starting, ready, draining, failed
	Version   string            `json:"version,omitempty"`
	PID       int               `json:"pid,omitempty"`
	Host      string            `json:"host,omitempty"`
	Zone      string            `json:"zone,omitempty"`
	Endpoints []string          `json:"endpoints,omitempty"`
	Admin     string            `json:"admin,omitempty"` // host:port of its admin listener
	Contracts []string          `json:"contracts,omitempty"`
	Metadata  map[string]string `json:"metadata,omitempty"`
	Command   string            `json:"command,omitempty"` // of a program that is no Hanse program
	Replica   int               `json:"replica,omitempty"` // from 1
	Started   time.Time         `json:"started,omitzero"`
	Restarts  int               `json:"restarts,omitempty"`
	Reason    string            `json:"reason,omitempty"`  // why it failed
	Last      []string          `json:"last,omitempty"`    // its last lines then
	Failing   []Check           `json:"failing,omitempty"` // checks that it does not meet; a Server asks for them, a System need not
}

// ActionName is what can be done to a service.
type ActionName string

// The actions.
const (
	Start   ActionName = "start"
	Stop    ActionName = "stop"
	Restart ActionName = "restart"
	Scale   ActionName = "scale"
)

// Action is an order.
type Action struct {
	Action   ActionName `json:"action"`
	Service  string     `json:"service"`
	Replicas int        `json:"replicas,omitempty"` // of scale
}
