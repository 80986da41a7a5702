package gateway

import (
	"errors"
	"net/http"

	"github.com/hanse-go/hanse/internal/httprule"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
)

// table is what requests are routed by. It is replaced, never changed.
type table struct {
	generation uint64
	contracts  []protoreflect.ServiceDescriptor
	methods    map[string]*route // by path, which is the full method
	rest       httprule.Router[*restRoute]
	mistakes   error // in annotations
}

// route is one method of one contract.
type route struct {
	path   string // the full method: "/package.Service/Method"
	method protoreflect.MethodDescriptor
	pure   bool // idempotency_level is NO_SIDE_EFFECTS
}

// routes returns the table for the contracts that there are now.
func (h *Handler) routes() *table {
	generation := uint64(0)
	if g, ok := h.Backend.(interface{ Generation() uint64 }); ok {
		generation = g.Generation()
	}
	if t := h.table.Load(); t != nil && t.generation == generation {
		return t
	}
	h.making.Lock()
	defer h.making.Unlock()
	if t := h.table.Load(); t != nil && t.generation == generation {
		return t
	}
	t := newTable(h.Backend.Contracts())
	if t.mistakes != nil {
		h.logger().Warn("some HTTP routes are not served", "error", t.mistakes)
	}
	t.generation = generation // what changed since is in there, or makes another one
	h.table.Store(t)
	return t
}

func newTable(contracts []protoreflect.ServiceDescriptor) *table {
	t := &table{methods: make(map[string]*route)}
	var mistakes []error
	seen := make(map[protoreflect.FullName]bool)
	for _, contract := range contracts {
		if seen[contract.FullName()] {
			continue
		}
		seen[contract.FullName()] = true
		t.contracts = append(t.contracts, contract)
		for i := range contract.Methods().Len() {
			rt := newRoute(contract.Methods().Get(i))
			t.methods[rt.path] = rt
			mistakes = append(mistakes, t.addREST(rt))
		}
	}
	t.mistakes = errors.Join(mistakes...)
	return t
}

func newRoute(m protoreflect.MethodDescriptor) *route {
	rt := &route{path: "/" + string(m.Parent().FullName()) + "/" + string(m.Name()), method: m}
	if opts, ok := m.Options().(*descriptorpb.MethodOptions); ok {
		rt.pure = opts.GetIdempotencyLevel() == descriptorpb.MethodOptions_NO_SIDE_EFFECTS
	}
	return rt
}

// unary reports whether the method takes one message and returns one.
func (rt *route) unary() bool {
	return !rt.method.IsStreamingClient() && !rt.method.IsStreamingServer()
}

// httpMethods returns the methods of HTTP by which calls are made.
func (rt *route) httpMethods() []string {
	if rt.pure && rt.unary() {
		return []string{http.MethodGet, http.MethodPost}
	}
	return []string{http.MethodPost}
}

// accepts returns the content types of POST.
func (rt *route) accepts() []string {
	if rt.unary() {
		return []string{"application/json", "application/proto", webType, webTextType}
	}
	return []string{connectStreamPrefix + "json", connectStreamPrefix + "proto", webType, webTextType}
}
