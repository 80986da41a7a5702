package rpc

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hanse-go/hanse/balancer"
	"github.com/hanse-go/hanse/discovery"
	"google.golang.org/grpc"
	"google.golang.org/grpc/status"
)

// Conn calls one service. It is a [grpc.ClientConnInterface], so the constructors of generated clients take it:
//
//	catalog := catalogv1.NewCatalogClient(conn)
//
// An instance of the service is chosen for each call. A call waits while no instance is known to be ready, until its context ends; when
// instances are known but none can be reached it fails with Unavailable, unless it has the option [grpc.WaitForReady]. An instance
// whose connection broke counts as unreachable after a second without a new one. An instance that does not announce the called
// contract gets no call; if none announces it, the call fails with Unimplemented.
//
// A call that an instance has not processed is sent to another one: when the instance cannot be reached, when the request's headers
// were not sent, when HTTP/2 says so (GOAWAY, REFUSED_STREAM), and when a Hanse server says so. A stream moves until the first answer
// came or it has sent 16 messages or 64 KiB. A call goes to each instance at most once in a round, and there are three rounds; with
// WaitForReady there are rounds until the context ends.
//
// A unary call that failed, because its connection broke or with Unavailable or Internal, is sent again only when its method is marked with
// idempotency_level NO_SIDE_EFFECTS or IDEMPOTENT in its protobuf file, or when it carries an idempotency-key in its metadata: at most
// twice, and in the long run for not more than one call in five. Package resilience says more, and [Client.Policies] sets it.
//
// Errors are gRPC statuses. A Conn is safe for concurrent use.
type Conn struct {
	name  string
	opts  connOptions
	stats connCounters

	ctx   context.Context // ends with Close
	end   context.CancelFunc
	bound chan struct{} // closed by Bind
	use   atomic.Pointer[binding]

	mu     sync.Mutex
	client *Client
	closed bool

	closing sync.Once
}

var _ grpc.ClientConnInterface = (*Conn)(nil)

// NewConn returns a Conn to the named service. Its calls wait until Bind.
func NewConn(name string, opts ...ConnOption) *Conn {
	c := &Conn{name: name, bound: make(chan struct{})}
	for _, o := range opts {
		o.applyConn(&c.opts)
	}
	c.ctx, c.end = context.WithCancel(context.Background())
	return c
}

// Name returns the name of the service.
func (c *Conn) Name() string { return c.name }

// Bind makes the calls go out, by way of the client, and begins to look for instances. A Conn is bound once. A malformed name, a
// closed Conn or Client, and an option that only [Dial] takes are errors.
func (c *Conn) Bind(client *Client) error {
	if c.opts.dialOnly != "" {
		return fmt.Errorf("rpc: connection to %q: the option %s is for Dial; here the Client has that setting", c.name, c.opts.dialOnly)
	}
	if err := discovery.CheckName(c.name); err != nil {
		return fmt.Errorf("rpc: %w", err)
	}
	return c.bind(client)
}

func (c *Conn) bind(client *Client) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return fmt.Errorf("rpc: connection to %q: it was closed before it was bound", c.name)
	}
	if c.client != nil {
		return fmt.Errorf("rpc: connection to %q: it is bound already", c.name)
	}
	b, err := newBinding(c, client)
	if err != nil {
		return err
	}
	c.client = client
	c.use.Store(b)
	close(c.bound)
	return nil
}

// Close ends the calls in flight with Canceled and refuses new ones. It waits for the goroutines that were only there for this Conn.
// Closing twice is no error.
func (c *Conn) Close() error {
	c.closing.Do(func() {
		c.mu.Lock()
		c.closed = true
		c.mu.Unlock()
		c.end()
		if b := c.use.Load(); b != nil {
			b.close()
		}
	})
	return nil
}

// Invoke makes a unary call. Generated clients call it.
func (c *Conn) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	b := c.use.Load()
	if b == nil {
		var err error
		if b, err = c.await(ctx, true); err != nil {
			return err
		}
	}
	if c.ctx.Err() != nil {
		return errClosed
	}
	var start time.Time // looked at once, for all that goes by it
	if b.pool != nil {
		start = b.pool.clock.now()
	}
	if call := b.begin(ctx, start, method); call != nil {
		err := c.invoke(call.Ctx(), start, b, method, args, reply, opts)
		call.End(err)
		return err
	}
	return c.invoke(ctx, start, b, method, args, reply, opts)
}

// invoke makes a unary call that begins at start; zero is now.
func (c *Conn) invoke(ctx context.Context, start time.Time, b *binding, method string, args, reply any, opts []grpc.CallOption) error {
	var limit time.Time
	if timeout := b.timeout(ctx, method, opts); timeout > 0 {
		if b.pool != nil && b.unary == nil {
			limit = start.Add(timeout) // needs no context, and so no timer
		} else {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeoutCause(ctx, timeout, errPolicyTimeout)
			defer cancel()
		}
	}
	if b.unary != nil {
		return b.unary(ctx, method, args, reply, opts)
	}
	return b.invoke(ctx, start, limit, method, args, reply, opts)
}

// NewStream begins a streaming call. Generated clients call it.
func (c *Conn) NewStream(ctx context.Context, desc *grpc.StreamDesc, method string, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	b := c.use.Load()
	if b == nil {
		var err error
		if b, err = c.await(ctx, false); err != nil {
			return nil, err
		}
	}
	if c.ctx.Err() != nil {
		return nil, errClosed
	}
	call := b.begin(ctx, time.Time{}, method)
	if call != nil {
		if f := forwardedIn(opts); f != nil {
			f.call = call // who passes it on says what it is
		} else {
			call.Span.Streams()
		}
		ctx = call.Ctx()
	}
	newStream := b.newStream
	if b.stream != nil {
		newStream = b.stream
	}
	s, err := newStream(ctx, desc, method, opts)
	if err != nil {
		call.End(err)
	}
	return s, err // newStream of b ends the call when the stream has ended
}

// await waits for Bind.
func (c *Conn) await(ctx context.Context, unary bool) (*binding, error) {
	if _, ok := ctx.Deadline(); !ok && unary {
		if timeout := firstNonZero(c.opts.timeout, DefaultTimeout); timeout > 0 {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, timeout)
			defer cancel()
		}
	}
	select {
	case <-c.bound:
		return c.use.Load(), nil
	case <-c.ctx.Done():
		return nil, errClosed
	case <-ctx.Done():
		s := status.FromContextError(ctx.Err())
		return nil, status.Errorf(s.Code(), "the connection to %q does not carry calls yet: %s", c.name, s.Message())
	}
}

// ConnStats counts the calls of a [Conn], as they leave its last interceptor.
type ConnStats struct {
	Sent    uint64 // calls that began
	OK      uint64 // calls that ended with status OK
	Failed  uint64 // calls that ended otherwise
	Retried uint64 // attempts beyond the first of each call
}

// Stats returns what the Conn has counted so far.
func (c *Conn) Stats() ConnStats {
	return ConnStats{
		Sent:    c.stats.sent.Load(),
		OK:      c.stats.ok.Load(),
		Failed:  c.stats.failed.Load(),
		Retried: c.stats.retried.Load(),
	}
}

type connCounters struct{ sent, ok, failed, retried atomic.Uint64 }

func (c *connCounters) ended(err error) {
	if err == nil {
		c.ok.Add(1)
	} else {
		c.failed.Add(1)
	}
}

// binding is what a Conn calls with, once it is bound.
type binding struct {
	conn    *Conn
	client  *Client
	local   link  // to a server of this process; nil: pool
	pool    *pool // of remote instances; nil: local
	chooser *balancer.Chooser
	filter  *balancer.Filter // of instances; nil: all

	policies     atomic.Pointer[policies]
	fixedTimeout time.Duration // by WithTimeout; 0: the policy's

	latest [16]atomic.Pointer[calledMethod] // the methods called last, in places by their names

	// The interceptors, ending in the binding's own methods; nil without any.
	unary       func(ctx context.Context, method string, args, reply any, opts []grpc.CallOption) error
	stream      func(ctx context.Context, desc *grpc.StreamDesc, method string, opts []grpc.CallOption) (grpc.ClientStream, error)
	placeholder *grpc.ClientConn
}

func newBinding(c *Conn, client *Client) (*binding, error) {
	b := &binding{
		conn:   c,
		client: client,

		fixedTimeout: c.opts.timeout,
	}
	balancing := client.Balancing.For(c.name)
	if c.opts.balancing != nil {
		balancing = *c.opts.balancing
	}
	b.chooser = balancing.NewChooser()
	if !balancing.Filter.IsZero() {
		b.filter = &balancing.Filter
	}
	if err := client.checkPolicies(); err != nil {
		return nil, fmt.Errorf("rpc: connection to %q: %w", c.name, err)
	}
	if err := b.chain(); err != nil {
		return nil, err
	}
	if err := client.join(c, b); err != nil {
		return nil, errors.Join(err, b.closePlaceholder())
	}
	return b, nil
}

func (b *binding) close() {
	if b.pool != nil {
		b.pool.cut(b.conn)
	}
	b.client.leave(b.conn, b.pool)
	b.closePlaceholder()
}

func (b *binding) closePlaceholder() error {
	if b.placeholder == nil {
		return nil
	}
	return b.placeholder.Close()
}

// chain puts the interceptors in front of the binding's own methods.
func (b *binding) chain() error {
	unary := append(b.client.UnaryInterceptors[:len(b.client.UnaryInterceptors):len(b.client.UnaryInterceptors)], b.conn.opts.unaryInterceptors...)
	stream := append(b.client.StreamInterceptors[:len(b.client.StreamInterceptors):len(b.client.StreamInterceptors)], b.conn.opts.streamInterceptors...)
	if len(unary)+len(stream) == 0 {
		return nil
	}
	cc, err := newPlaceholder(b.conn.name)
	if err != nil {
		return fmt.Errorf("rpc: connection to %q: %w", b.conn.name, err)
	}
	b.placeholder = cc
	if len(unary) > 0 {
		next := func(ctx context.Context, method string, args, reply any, _ *grpc.ClientConn, opts ...grpc.CallOption) error {
			return b.invoke(ctx, time.Time{}, time.Time{}, method, args, reply, opts)
		}
		for i := len(unary) - 1; i > 0; i-- {
			intercept, inner := unary[i], next
			next = func(ctx context.Context, method string, args, reply any, cc *grpc.ClientConn, opts ...grpc.CallOption) error {
				return intercept(ctx, method, args, reply, cc, inner, opts...)
			}
		}
		b.unary = func(ctx context.Context, method string, args, reply any, opts []grpc.CallOption) error {
			return unary[0](ctx, method, args, reply, cc, next, opts...)
		}
	}
	if len(stream) > 0 {
		next := func(ctx context.Context, desc *grpc.StreamDesc, _ *grpc.ClientConn, method string, opts ...grpc.CallOption) (grpc.ClientStream, error) {
			return b.newStream(ctx, desc, method, opts)
		}
		for i := len(stream) - 1; i > 0; i-- {
			intercept, inner := stream[i], next
			next = func(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, opts ...grpc.CallOption) (grpc.ClientStream, error) {
				return intercept(ctx, desc, cc, method, inner, opts...)
			}
		}
		b.stream = func(ctx context.Context, desc *grpc.StreamDesc, method string, opts []grpc.CallOption) (grpc.ClientStream, error) {
			return stream[0](ctx, desc, cc, method, next, opts...)
		}
	}
	return nil
}

func firstNonZero(durations ...time.Duration) time.Duration {
	for _, d := range durations {
		if d != 0 {
			return d
		}
	}
	return 0
}
