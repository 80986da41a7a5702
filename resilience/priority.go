package resilience

import (
	"context"

	"github.com/hanse-go/hanse/internal/priority"
)

// Priority says how much a call matters when a server cannot serve all. It is passed on along the chain: the calls that a handler makes
// with its context have the priority of the call that it serves, on every path. The zero value is Normal.
type Priority int8

const (
	Sheddable Priority = iota - 1 // what nobody misses, such as prefetching and batches: shed first
	Normal                        // everything else
	Critical                      // what people wait and pay for: shed last. It helps as long as little is critical
)

// PriorityKey is the metadata key in which a call carries its priority, "critical", "normal" or "sheddable". What is not one of these
// counts as normal, and so does a call without it.
const PriorityKey = "hanse-priority"

// String returns the value that metadata has.
func (p Priority) String() string {
	switch {
	case p > Normal:
		return "critical"
	case p < Normal:
		return "sheddable"
	}
	return "normal"
}

// MarshalText returns the value that metadata has.
func (p Priority) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// ParsePriority returns the priority that a value of metadata names. ok is false when it names none; then the priority is Normal.
func ParsePriority(s string) (p Priority, ok bool) {
	switch s {
	case "critical":
		return Critical, true
	case "sheddable":
		return Sheddable, true
	}
	return Normal, s == "normal"
}

// WithPriority returns a context whose calls have the priority p, whatever the one that is served has.
func WithPriority(ctx context.Context, p Priority) context.Context {
	return context.WithValue(ctx, priority.Key{}, p)
}

// PriorityOf returns the priority that calls made with ctx have: that of [WithPriority], or in a handler that of the call it serves.
func PriorityOf(ctx context.Context) Priority {
	p, _ := ctx.Value(priority.Key{}).(Priority)
	return p
}
