package rpc

import (
	"strings"
	"sync"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
)

// methodInfo is what a caller knows of a method from its descriptor.
type methodInfo struct {
	name     string // full, as it was called
	contract string // full name of the protobuf service
	safe     bool   // marked NO_SIDE_EFFECTS or IDEMPOTENT: may be processed twice
	reads    bool   // marked NO_SIDE_EFFECTS
	known    bool   // the program's descriptors have it
}

// methods caches the methods that are found in the program's descriptors, and only those: so it cannot grow without end.
var methods sync.Map // full method → *methodInfo

// describe finds out about a full method such as /shop.cart.v1.CartService/GetCart.
func describe(fullMethod string) *methodInfo {
	if m, ok := methods.Load(fullMethod); ok {
		return m.(*methodInfo)
	}
	contract, name := splitMethod(fullMethod)
	m := &methodInfo{name: fullMethod, contract: contract}
	d, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(contract + "." + name))
	if err != nil {
		return m
	}
	method, ok := d.(protoreflect.MethodDescriptor)
	if !ok {
		return m
	}
	if o, ok := method.Options().(*descriptorpb.MethodOptions); ok {
		m.safe = o.GetIdempotencyLevel() != descriptorpb.MethodOptions_IDEMPOTENCY_UNKNOWN
		m.reads = o.GetIdempotencyLevel() == descriptorpb.MethodOptions_NO_SIDE_EFFECTS
	}
	m.known = true
	methods.Store(fullMethod, m)
	return m
}

// splitMethod cuts /contract/name. What has no such form has an empty name.
func splitMethod(fullMethod string) (contract, name string) {
	s := strings.TrimPrefix(fullMethod, "/")
	if i := strings.LastIndexByte(s, '/'); i >= 0 {
		return s[:i], s[i+1:]
	}
	return s, ""
}
