// Package control is what hanse dev and the commands in other terminals say to each other: HTTP and JSON over a unix socket that
// only the user can open. A hanse dashboard answers in the same way, as far as it can.
//
//	GET  /v1/status                       Status
//	GET  /v1/logs?service=S&n=N&follow=1  a stream of logs.Line
//	POST /v1/do   Request                 a stream of Event, the last one with Done
//
// Fields are only ever added; unknown ones are ignored.
package control

import (
	"time"
)

// Version is the path prefix of this version of the protocol.
const Version = "/v1"

// Status is what hanse dev knows of its system beyond the registry.
type Status struct {
	System    string    `json:"system"`
	Dir       string    `json:"dir"`
	Registry  string    `json:"registry"`
	PID       int       `json:"pid"`
	Started   time.Time `json:"started"`
	Ready     bool      `json:"ready"`     // the first start is over
	Services  []Service `json:"services"`  // all that it can run, by name
	Processes []Process `json:"processes"` // those that run, or should
	Problems  []string  `json:"problems,omitempty"`
	Dashboard string    `json:"dashboard,omitempty"` // its link, with the token
}

// Service is a service of the system, or a program that only calls.
type Service struct {
	Name     string `json:"name"`
	Program  string `json:"program"`
	OnDemand bool   `json:"on_demand,omitempty"` // started by hanse start only
	Want     int    `json:"want"`                // copies that should run
	URL      string `json:"url,omitempty"`       // of its pages
}

// State of a process. Those of a discovery.State have its names.
type State string

// The states of a process.
const (
	Starting State = "starting"
	Ready    State = "ready"
	Draining State = "draining"
	Failed   State = "failed" // it ended by itself, and is started again after a while
)

// Process is a process that hanse dev started or will start again.
type Process struct {
	Name     string    `json:"name"`
	Services []string  `json:"services"`
	Replica  int       `json:"replica"` // from 1
	State    State     `json:"state"`
	PID      int       `json:"pid,omitempty"`
	Started  time.Time `json:"started,omitzero"`
	Version  string    `json:"version,omitempty"`
	Reason   string    `json:"reason,omitempty"` // why it failed: "exit status 2: no database"
	Last     []string  `json:"last,omitempty"`   // its last lines then
	Restarts int       `json:"restarts,omitempty"`
}

// Action is what can be done to a service.
type Action string

// The actions.
const (
	Start   Action = "start"
	Stop    Action = "stop"
	Restart Action = "restart"
	Scale   Action = "scale"
)

// Request asks for an action.
type Request struct {
	Action   Action   `json:"action"`
	Services []string `json:"services"` // or processes
	Replicas int      `json:"replicas"` // of Scale
}

// Event tells how a request proceeds.
type Event struct {
	Text  string `json:"text,omitempty"` // "cart: process 4711 is ready"
	Done  bool   `json:"done,omitempty"`
	Error *Error `json:"error,omitempty"` // of the last event
}

// Error is why a request failed.
type Error struct {
	What string `json:"what"`
	Do   string `json:"do,omitempty"`
}

// Error returns both parts.
func (e *Error) Error() string {
	if e.Do == "" {
		return e.What
	}
	return e.What + "; " + e.Do
}
