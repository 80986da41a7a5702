package discovery

import (
	"context"
	"errors"
	"fmt"
)

// ErrTaken is returned by Register when a live instance with the same ID is announced.
var ErrTaken = errors.New("discovery: instance ID is taken")

// ErrClosed is returned by the Update of a lease that was closed.
var ErrClosed = errors.New("discovery: lease is closed")

// Registry tells which instances of a service there are. Implementations are safe for concurrent use.
type Registry interface {
	// Watch calls notify with all instances of the service: at once with what is known now (perhaps none), then after each
	// change, until ctx ends. Calls of notify are sequential; the slice is the callee's. The empty name watches all services.
	//
	// Watch returns nil when ctx has ended and when all that it started has ended too, and an error only for what cannot get
	// better, such as a malformed name. A registry that cannot be reached is no such error: the last known instances stay.
	Watch(ctx context.Context, service string, notify func([]Instance)) error
}

// Registrar is a [Registry] in which instances can be announced.
type Registrar interface {
	Registry
	// Register announces an instance until the lease is closed or its owner dies; ctx bounds the announcing alone. It returns
	// [ErrTaken] when a live instance has the same ID, and what [Instance.Validate] returns.
	Register(ctx context.Context, inst Instance) (Lease, error)
	// Scope tells who reads the registry, and so which addresses make sense in it.
	Scope() Scope
}

// Lease keeps one instance announced.
type Lease interface {
	// Update replaces what is announced, for instance with another [State]. Service and ID cannot change. It returns [ErrClosed]
	// after Close.
	Update(ctx context.Context, inst Instance) error
	// Close withdraws the instance, and ends an Update that is under way. Closing twice is no error.
	Close() error
}

// Scope tells how far away the readers of a registry are.
type Scope int

// The scopes, from near to far.
const (
	ScopeProcess Scope = iota // this process only
	ScopeHost                 // processes of this machine
	ScopeNetwork              // other machines: a loopback address means nothing there
)

// String returns process, host or network.
func (s Scope) String() string {
	switch s {
	case ScopeProcess:
		return "process"
	case ScopeHost:
		return "host"
	case ScopeNetwork:
		return "network"
	}
	return fmt.Sprintf("Scope(%d)", int(s))
}

// checkUpdate reports whether an instance may be announced in place of old.
func checkUpdate(old, inst Instance) error {
	if old.Service != inst.Service || old.ID != inst.ID {
		return fmt.Errorf("discovery: update of instance %s of %s names %s of %s: service and ID of a lease cannot change", old.ID, old.Service, inst.ID, inst.Service)
	}
	return inst.Validate()
}
