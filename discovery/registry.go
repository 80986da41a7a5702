package discovery

import "context"

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
	// Register announces an instance until the lease is closed or its owner dies. The instance's ID must be unique.
	Register(ctx context.Context, inst Instance) (Lease, error)
	// Scope tells who reads the registry, and so which addresses make sense in it.
	Scope() Scope
}

// Lease keeps one instance announced.
type Lease interface {
	// Update replaces what is announced, for instance with another [State]. Service and ID cannot change.
	Update(ctx context.Context, inst Instance) error
	// Close withdraws the instance. Closing twice is no error.
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
