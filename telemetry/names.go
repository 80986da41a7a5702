package telemetry

import (
	"sync"
	"sync/atomic"

	"go.opentelemetry.io/otel/trace"
)

// names are the spans that are told apart in the keeper's memory, by numbers.
type names struct {
	all atomic.Pointer[[]*spanName] // replaced or appended to, never changed

	mu sync.Mutex
	of map[nameKey]uint32
}

// spanName is what spans have in common.
type spanName struct {
	scope  *scope
	kind   trace.SpanKind
	name   string
	method *Method // of calls; nil of others
}

type nameKey struct {
	scope *scope
	kind  trace.SpanKind
	name  string
}

// maxSpanNames bounds the names of a program's own spans, which may hold anything: all others are remembered as one.
const maxSpanNames = 16384

const otherName = "(other)"

// add gives a name its number.
func (n *names) add(name *spanName) uint32 {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.addLocked(name)
}

func (n *names) addLocked(name *spanName) uint32 {
	var all []*spanName
	if p := n.all.Load(); p != nil {
		all = *p
	}
	all = append(all, name) // readers look at no more than what was there
	n.all.Store(&all)
	return uint32(len(all) - 1)
}

// get returns the name of a number.
func (n *names) get(id uint32) *spanName {
	if all := n.all.Load(); all != nil && int(id) < len(*all) {
		return (*all)[id]
	}
	return nil
}

// id returns the number of a span that is no call's.
func (n *names) id(s *scope, kind trace.SpanKind, name string) uint32 {
	n.mu.Lock()
	defer n.mu.Unlock()
	key := nameKey{s, kind, name}
	if id, ok := n.of[key]; ok {
		return id
	}
	if n.of == nil {
		n.of = make(map[nameKey]uint32)
	}
	if len(n.of) >= maxSpanNames {
		key = nameKey{s, trace.SpanKindInternal, otherName}
		if id, ok := n.of[key]; ok {
			return id
		}
	}
	id := n.addLocked(&spanName{scope: s, kind: key.kind, name: key.name})
	n.of[key] = id
	return id
}

// nameID is the number of the span's name.
func (s *Span) nameID() uint32 {
	if s.method != nil {
		return s.method.id
	}
	return s.scope.service.telemetry.names.id(s.scope, trace.SpanKind(s.kind), s.name)
}
