package rpc

import (
	"google.golang.org/grpc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

// Call runs a call that came by another protocol than gRPC, unary or streaming, as one that came by the port's wire: with the same
// routing, rules, policies, interceptors and limits. It returns when the handler has, and its error is the call's status.
//
// The context of the stream is what the handler's is made from. It carries the metadata, with ":authority" in it, the deadline, the peer
// and, where there is one, the [identity.ID] of the caller. The stream's RecvMsg is handed the message of the contract, and fills it. Of the
// message size the servers' own limits apply. Servers that were not started make the call wait until they are.
func (p *Port) Call(method string, stream grpc.ServerStream) error {
	p.start()
	return p.router.serve(method, stream)
}

// Contracts returns the descriptors of the contracts that the port's servers have, each once, those of Shared last. A contract whose
// descriptor is not linked into the program is left out: only gRPC reaches it.
func (p *Port) Contracts() []protoreflect.ServiceDescriptor {
	p.start()
	var found []protoreflect.ServiceDescriptor
	seen := make(map[string]bool)
	for _, s := range p.router.all() {
		for _, name := range s.contractNames() {
			if seen[name] {
				continue
			}
			seen[name] = true
			d, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(name))
			if err != nil {
				continue
			}
			if sd, ok := d.(protoreflect.ServiceDescriptor); ok {
				found = append(found, sd)
			}
		}
	}
	return found
}

// Generation is another number whenever [Port.Contracts] may return something else than before.
func (p *Port) Generation() uint64 {
	p.start()
	sum := uint64(0)
	for _, s := range p.router.servers {
		sum += s.registered.Load()
	}
	if s := p.router.shared; s != nil {
		sum += s.registered.Load()
	}
	return sum
}

// MaxRecvMsgSize returns the size in bytes of the largest request message that one of the port's servers takes.
func (p *Port) MaxRecvMsgSize() int {
	p.start()
	return p.limits.MaxRecvMsgSize
}
