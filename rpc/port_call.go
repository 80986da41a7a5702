package rpc

import (
	"context"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/stats"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

// Call runs a call that came by another protocol than gRPC, unary or streaming, as one that came by the port's wire: with the same
// routing, rules, policies, interceptors and limits. It returns when the handler has, and its error is the call's status.
//
// The context of the stream is what the handler's is made from. It carries the metadata, with ":authority" in it, the deadline, the peer
// and, where there is one, the [identity.ID] of the caller. The stream's RecvMsg is handed the message of the contract, and fills it. Of the
// message size the servers' own limits apply. Servers that were not started make the call wait until they are.
//
// The stream may have two methods more, which make calls cheaper. With HandlerExited(err error) the handler of a unary call runs on the
// goroutine that calls Call, and not on one of the server's. If it ends that goroutine (runtime.Goexit), Call does not return: HandlerExited
// is called with the call's status. And a context of the stream that has IncomingValues(key string) []string is asked for values of
// its metadata, which it needs to make only when somebody looks at all of it.
func (p *Port) Call(method string, stream grpc.ServerStream) error {
	p.start()
	srv, err := p.router.find(stream.Context(), method)
	if err != nil || len(srv.StatsHandlers) == 0 {
		return p.router.serveOn(srv, err, method, stream)
	}
	c := &foreignCall{ServerStream: stream}
	if srv.phase.Load() >= serving {
		if m, err := srv.lookup(method); err == nil {
			c.clientStream, c.serverStream = m.info.IsClientStream, m.info.IsServerStream
		}
	}
	c.begin(srv, method)
	err = p.router.serveOn(srv, nil, method, c)
	c.end(err)
	return err
}

// foreignCall tells the stats handlers of its server of a call that came by another protocol than gRPC. Of a header that goes out by itself
// they hear with the first message; of sizes, those that the messages would have on gRPC's wire.
type foreignCall struct {
	grpc.ServerStream
	ctx                        context.Context
	rec                        *statsRecord
	clientStream, serverStream bool

	mu              sync.Mutex
	header, trailer metadata.MD
	sent            bool
}

func (c *foreignCall) begin(srv *Server, method string) {
	c.ctx = c.ServerStream.Context()
	h := statsHandlers(srv.StatsHandlers)
	for _, h := range h {
		c.ctx = h.TagRPC(c.ctx, &stats.RPCTagInfo{FullMethodName: method})
	}
	if under := grpc.ServerTransportStreamFromContext(c.ctx); under != nil {
		c.ctx = grpc.NewContextWithServerTransportStream(c.ctx, foreignStream{under, c})
	}
	c.rec = &statsRecord{handlers: h, ctx: c.ctx, begin: time.Now()}
	in := &stats.InHeader{FullMethod: method}
	in.Header, _ = metadata.FromIncomingContext(c.ctx)
	if p, ok := peer.FromContext(c.ctx); ok {
		in.RemoteAddr, in.LocalAddr = p.Addr, p.LocalAddr
	}
	c.rec.handle(in)
	c.rec.handle(&stats.Begin{BeginTime: c.rec.begin, IsClientStream: c.clientStream, IsServerStream: c.serverStream})
}

func (c *foreignCall) end(err error) {
	c.mu.Lock()
	trailer := c.trailer.Copy()
	c.mu.Unlock()
	c.rec.handle(&stats.OutTrailer{Trailer: trailer})
	c.rec.end(err)
}

// HandlerExited is called only if the stream has it, too.
func (c *foreignCall) HandlerExited(err error) {
	c.end(err)
	c.ServerStream.(exiting).HandlerExited(err)
}

// headerSent tells of the header, once.
func (c *foreignCall) headerSent() {
	c.mu.Lock()
	sent, header := c.sent, c.header.Copy()
	c.sent = true
	c.mu.Unlock()
	if !sent {
		c.rec.handle(&stats.OutHeader{Header: header})
	}
}

// set keeps metadata that was set for good.
func (c *foreignCall) set(to *metadata.MD, md metadata.MD, err error) error {
	if err == nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		*to = metadata.Join(*to, md)
	}
	return err
}

func (c *foreignCall) Context() context.Context { return c.ctx }

func (c *foreignCall) SetHeader(md metadata.MD) error {
	return c.set(&c.header, md, c.ServerStream.SetHeader(md))
}

func (c *foreignCall) SendHeader(md metadata.MD) error {
	err := c.set(&c.header, md, c.ServerStream.SendHeader(md))
	if err == nil {
		c.headerSent()
	}
	return err
}

func (c *foreignCall) SetTrailer(md metadata.MD) {
	c.ServerStream.SetTrailer(md)
	c.set(&c.trailer, md, nil)
}

func (c *foreignCall) SendMsg(m any) error {
	err := c.ServerStream.SendMsg(m)
	if err == nil {
		c.headerSent()
		c.rec.outPayload(m, messageSize(m))
	}
	return err
}

func (c *foreignCall) RecvMsg(m any) error {
	err := c.ServerStream.RecvMsg(m)
	if err == nil {
		c.rec.inPayload(m, messageSize(m))
	}
	return err
}

// foreignStream is what grpc.SetHeader and its like find.
type foreignStream struct {
	grpc.ServerTransportStream
	call *foreignCall
}

func (s foreignStream) SetHeader(md metadata.MD) error {
	return s.call.set(&s.call.header, md, s.ServerTransportStream.SetHeader(md))
}

func (s foreignStream) SendHeader(md metadata.MD) error {
	err := s.call.set(&s.call.header, md, s.ServerTransportStream.SendHeader(md))
	if err == nil {
		s.call.headerSent()
	}
	return err
}

func (s foreignStream) SetTrailer(md metadata.MD) error {
	return s.call.set(&s.call.trailer, md, s.ServerTransportStream.SetTrailer(md))
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
