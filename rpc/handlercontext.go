package rpc

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hanse-go/hanse/identity"
	"github.com/hanse-go/hanse/internal/grpckeys"
	"github.com/hanse-go/hanse/internal/priority"
	"github.com/hanse-go/hanse/resilience"
	"github.com/hanse-go/hanse/telemetry"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
)

// handlerContext is the context of a handler, and its grpc.ServerTransportStream. One object answers what grpc-go keeps in a chain of
// seven contexts; most handlers ask for none of it, so it makes what it is asked for. It is never used for a second call: handlers may
// keep it.
type handlerContext struct {
	method   string
	deadline time.Time // zero: none
	peer     *peer.Peer
	caller   any // an identity.ID, of nobody where it is not known; as a value of a context has it, for it is asked for often

	priority resilience.Priority
	span     *telemetry.Span // nil or not begun where nobody is told

	wire  *serverCall // the call from a wire that it belongs to; nil in process
	local *localSide  // of a call in process; nil from a wire

	mu       sync.Mutex
	incoming metadata.MD                     // sent and fixed, made when asked for
	std      atomic.Pointer[standardContext] // made when someone asks for Done
	err      error                           // why the context ended before std was made
	header   *sentMetadata
	trailer  *sentMetadata
	sentHdr  bool
	ended    bool // the status was sent: no more headers and trailers
}

// localSide is what a call in process has of its caller.
type localSide struct {
	sent     metadata.MD  // its metadata, a copy
	fixed    *fixedHeader // what every request of this kind carries
	keyed    bool         // it has an idempotency key
	baggage  string       // the header, where it is heeded; "": none
	onHeader func()       // called once, when the header is sent; may be nil

	span telemetry.Span // of the handler
}

// fixedHeader is the metadata that each request carries on a wire.
type fixedHeader struct{ authority, contentType, userAgent string }

type standardContext struct {
	context.Context
	cancel context.CancelFunc
}

var (
	_ context.Context            = (*handlerContext)(nil)
	_ grpc.ServerTransportStream = (*handlerContext)(nil)
)

func (c *handlerContext) Deadline() (time.Time, bool) { return c.deadline, !c.deadline.IsZero() }

// Done makes a standard context, so that contexts derived from this one attach to it without a goroutine of their own.
func (c *handlerContext) Done() <-chan struct{} {
	if std := c.std.Load(); std != nil {
		return std.Done()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if std := c.std.Load(); std != nil {
		return std.Done()
	}
	std := &standardContext{}
	if c.deadline.IsZero() {
		std.Context, std.cancel = context.WithCancel(context.Background())
	} else {
		std.Context, std.cancel = context.WithDeadline(context.Background(), c.deadline)
	}
	if c.err != nil {
		std.cancel()
	}
	c.std.Store(std)
	return std.Done()
}

func (c *handlerContext) Err() error { return c.errAt(time.Time{}) }

// errAt is Err at a time that is known; zero: now.
func (c *handlerContext) errAt(now time.Time) error {
	if std := c.std.Load(); std != nil {
		return std.Err()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil || c.deadline.IsZero() {
		return c.err
	}
	left := time.Duration(0)
	if now.IsZero() {
		left = time.Until(c.deadline)
	} else {
		left = c.deadline.Sub(now)
	}
	if left <= 0 {
		c.err = context.DeadlineExceeded
	}
	return c.err
}

// end ends the context for the given reason, unless its deadline has passed: that ends it by itself.
func (c *handlerContext) end(reason error) {
	late := !c.deadline.IsZero() && !time.Now().Before(c.deadline)
	c.mu.Lock()
	if c.err == nil {
		c.err = reason
		if late {
			c.err = context.DeadlineExceeded
		}
	}
	std := c.std.Load()
	c.mu.Unlock()
	if std != nil && !late {
		std.cancel()
	}
}

func (c *handlerContext) Value(key any) any {
	switch keys := grpckeys.Get(); key {
	case keys.Stream:
		return c.transportStream()
	case keys.Peer:
		return c.peer
	case keys.Incoming:
		return c.incomingMetadata()
	case identity.CallerKey{}:
		return c.caller
	case priority.Key{}:
		return c.priority
	}
	if telemetry.IsKey(key) && c.span.Begun() {
		return c.span
	}
	if std := c.std.Load(); std != nil {
		if v := std.Value(key); v != nil { // the context package finds its own contexts by a private key
			return v
		}
	}
	if c.wire != nil && c.wire.conn.values != nil { // what stats handlers put into the connection's context
		return c.wire.conn.values.Value(key)
	}
	return nil
}

func (c *handlerContext) transportStream() grpc.ServerTransportStream {
	if c.wire != nil {
		return c.wire
	}
	return c
}

// String says what the context is; without it %v would read fields that change.
func (c *handlerContext) String() string { return fmt.Sprintf("rpc.Context(%s)", c.method) }

func (c *handlerContext) incomingMetadata() metadata.MD {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.incoming != nil:
	case c.wire != nil:
		c.incoming = c.wire.request.metadata()
	default:
		l := c.local
		md := l.sent
		if md == nil {
			md = make(metadata.MD, 3)
		}
		values := []string{l.fixed.authority, l.fixed.contentType, l.fixed.userAgent}
		md[":authority"], md["content-type"], md["user-agent"] = values[0:1:1], values[1:2:2], values[2:3:3]
		if md[telemetry.TraceParentKey] == nil { // nobody else has said it: the caller's own
			if parent, state := c.span.Parent(); parent != "" {
				md[telemetry.TraceParentKey] = []string{parent}
				if state != "" {
					md[telemetry.TraceStateKey] = []string{state}
				}
			}
		}
		c.incoming, l.sent = md, nil
	}
	return c.incoming
}

// Method is the full method, for grpc.Method.
func (c *handlerContext) Method() string { return c.method }

// SetHeader adds to the header, for grpc.SetHeader.
func (c *handlerContext) SetHeader(md metadata.MD) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.addLocked(&c.header, md, c.sentHdr || c.ended)
}

// addLocked adds md to what is to be sent, unless it is too late for that. The lock is held.
func (c *handlerContext) addLocked(to **sentMetadata, md metadata.MD, late bool) error {
	switch {
	case len(md) == 0:
		return nil
	case late:
		if err := checkMetadata(md); err != nil {
			return err
		}
		return errHeaderSent
	}
	all, err := (*to).add(md, c.wire == nil || c.wire.rec != nil, c.wire != nil)
	if err == nil {
		*to = all
	}
	return err
}

// SendHeader sends the header, for grpc.SendHeader.
func (c *handlerContext) SendHeader(md metadata.MD) error {
	c.mu.Lock()
	late := c.sentHdr || c.ended
	err := c.addLocked(&c.header, md, late)
	if err == nil && late {
		err = errHeaderSent
	}
	c.sentHdr = c.sentHdr || err == nil
	c.mu.Unlock()
	if err != nil {
		return err
	}
	c.headerSent()
	return nil
}

// sendHeader sends the header if it was not sent yet: before the first message.
func (c *handlerContext) sendHeader() {
	c.mu.Lock()
	now := !c.sentHdr && !c.ended
	c.sentHdr = c.sentHdr || now
	c.mu.Unlock()
	if now {
		c.headerSent()
	}
}

// finish says that the status goes out now, after a reply or not, and ends the context. A header that was set goes before it.
func (c *handlerContext) finish(replied bool) {
	c.mu.Lock()
	now := !c.sentHdr && !c.ended && (replied || c.header != nil)
	c.sentHdr = c.sentHdr || now
	c.ended = true
	if c.err == nil {
		c.err = context.Canceled
	}
	std := c.std.Load()
	c.mu.Unlock()
	if now {
		c.headerSent()
	}
	if std != nil {
		std.cancel()
	}
}

// seal takes what is to be sent with the status, for a wire, after which nothing can be added, and ends the context, but for its Done: see
// unblock. first tells that no header was sent yet.
func (c *handlerContext) seal() (header, trailer *sentMetadata, first bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	first = !c.sentHdr
	c.sentHdr, c.ended = true, true
	if c.err == nil {
		c.err = context.Canceled
	}
	return c.header, c.trailer, first
}

// unblock ends the Done of a context that has ended.
func (c *handlerContext) unblock() {
	if std := c.std.Load(); std != nil {
		std.cancel()
	}
}

// sealHeader takes the header that is to be sent, for a wire; ok is false when it was sent before.
func (c *handlerContext) sealHeader() (header []byte, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.sentHdr || c.ended {
		return nil, false
	}
	c.sentHdr = true
	return c.header.written(), true
}

func (c *handlerContext) headerSent() {
	if c.local != nil && c.local.onHeader != nil {
		c.local.onHeader()
	}
}

// SetTrailer adds to the trailer, for grpc.SetTrailer.
func (c *handlerContext) SetTrailer(md metadata.MD) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.addLocked(&c.trailer, md, c.ended)
}

// receivedHeader is the header as the caller sees it, or nil when none was sent.
func (c *handlerContext) receivedHeader() metadata.MD {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.sentHdr {
		return nil
	}
	return c.received(c.header.kept(), true)
}

// receivedTrailer is the trailer as the caller sees it. Without a header before it, it has the content type.
func (c *handlerContext) receivedTrailer() metadata.MD {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.received(c.trailer.kept(), !c.sentHdr)
}

func (c *handlerContext) received(md metadata.MD, first bool) metadata.MD {
	out := make(metadata.MD, len(md)+1)
	for k, v := range md {
		if !reservedKey(k) {
			out[k] = slices.Clone(v)
		}
	}
	if first {
		out["content-type"] = []string{c.local.fixed.contentType}
	}
	return out
}

var errHeaderSent = status.Error(codes.Internal, "transport: the stream is done or WriteHeader was already called")

// keysWork reports whether grpc finds its values in a handlerContext.
var keysWork = grpckeys.Found

// context returns the context for the handler: c, or a chain that grpc's packages build themselves when they would not find their
// values in c.
func (c *handlerContext) context() context.Context {
	ctx := context.Context(c)
	if !keysWork() {
		ctx = c.chain()
	}
	if c.span.Begun() && !telemetry.Found() {
		ctx = trace.ContextWithSpan(ctx, c.span)
	}
	baggage := ""
	if c.local != nil {
		baggage = c.local.baggage
	} else if more := c.wire.request.more; more != nil {
		baggage = more.baggage
	}
	if baggage != "" {
		ctx = telemetry.WithBaggage(ctx, baggage)
	}
	return ctx
}

func (c *handlerContext) chain() context.Context {
	ctx := peer.NewContext(context.Context(c), c.peer)
	ctx = metadata.NewIncomingContext(ctx, c.incomingMetadata())
	return grpc.NewContextWithServerTransportStream(ctx, c.transportStream())
}
