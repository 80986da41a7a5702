package rpc

import (
	"context"
	"crypto/tls"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hanse-go/hanse/balancer"
	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/identity"
	"github.com/hanse-go/hanse/resilience"
	"github.com/hanse-go/hanse/telemetry"
	"github.com/hanse-go/hanse/telemetry/webtrace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"
)

// DefaultTimeout ends a unary call whose context has no deadline, unless [Client.Timeout] or [WithTimeout] say otherwise.
const DefaultTimeout = 10 * time.Second

// Client is what the Conns of one caller share: how to find instances, how to reach them, and the connections to them. Its fields are
// set before the first Conn is bound to it and not changed after. A Client must not be copied, and must be closed.
type Client struct {
	Service    string             // name of the calling service, "" for a program that only calls
	ID         identity.ID        // of it: whom servers in Local see as the caller; over a network it is TLS's certificate that says. Zero: not known
	Registry   discovery.Registry // where instances are found; nil: only those in Local
	Local      map[string]*Server // servers of this process: called in process, unless Path forces another
	Host       string             // host ID: instances with the same one are reached by unix socket and preferred; "": none
	Zone       string             // instances with the same one are preferred to those of other zones; "": none
	Path       Path               // forces the path of every call; "" chooses the nearest
	Transports []Transport        // nil: DefaultTransports
	Balancing  balancer.Policies  // how instances are chosen, by called service; "": of all others

	UnaryInterceptors  []grpc.UnaryClientInterceptor  // first is outermost
	StreamInterceptors []grpc.StreamClientInterceptor // the same, for streams
	StatsHandlers      []stats.Handler                // see each attempt of a call as a call

	// Policies say how calls are made, by called service; "" is for all. SetPolicy changes them later. Default: those of package
	// resilience.
	Policies map[string]resilience.Policy

	Timeout        time.Duration   // of a unary call whose context has no deadline, where Policies say none; 0 is DefaultTimeout, -1 is none
	MaxRecvMsgSize int             // bytes of one message; 0 is 4 MiB, -1 is no limit
	MaxSendMsgSize int             // bytes of one message; 0 and -1 are no limit
	TLS            *tls.Config     // nil: plaintext; else for unix sockets too
	Identity       identity.Source // whose certificate of Service is shown, and that of the called service demanded: see [identity.ClientConfig]. Instead of TLS; nil: as TLS says
	Wire           Wire            // what speaks to instances; nil: the default
	Logger         *slog.Logger    // nil: slog.Default

	Telemetry *telemetry.Service // is told of the calls and requests; nil: nobody is

	mu     sync.Mutex
	pools  map[string]*pool
	starts map[string]*atomic.Int64 // by service of this process: calls that wait for it to start
	conns  map[*Conn]*binding       // bound to it, and not closed to the end
	closed bool

	switched map[string]resilience.Policy // by SetPolicy: instead of Policies and Timeout; nil: it was not called

	closing sync.Once

	web     *webtrace.Teller // of plain requests, when somebody makes one
	webOnce sync.Once
}

// requests tells of plain requests; nil: nobody is told.
func (c *Client) requests() *webtrace.Teller {
	c.webOnce.Do(func() { c.web = webtrace.New(c.Telemetry) })
	return c.web
}

// errClosed is the error of a call on a Conn or Client that was closed.
var errClosed = status.Error(codes.Canceled, "rpc: the connection was closed")

// Close ends what is in flight with Canceled and waits for the client's goroutines. The Conns that are bound to it are closed with it.
// Closing twice is no error, and each call returns when all is over.
func (c *Client) Close() error {
	c.closing.Do(func() {
		c.mu.Lock()
		c.closed = true
		conns := slices.Collect(maps.Keys(c.conns))
		c.mu.Unlock()
		for _, conn := range conns {
			conn.Close()
		}
	})
	return nil
}

func (c *Client) logger() *slog.Logger {
	if c.Logger != nil {
		return c.Logger
	}
	return slog.Default()
}

// Waiting returns the services that calls wait for now because none of their instances is ready, sorted.
func (c *Client) Waiting() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var names []string
	for name, p := range c.pools {
		if p.waiting.Load() > 0 {
			names = append(names, name)
		}
	}
	for name, n := range c.starts {
		if n.Load() > 0 {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// join makes what a Conn needs to call its service: a link to a server of this process, or the pool of its instances. The pool is made
// for the first Conn that needs it.
func (c *Client) join(conn *Conn, b *binding) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return errClosed
	}
	srv := c.Local[conn.name]
	switch {
	case srv != nil && !conn.opts.sockets && (c.Path == "" || c.Path == InProcess):
		b.local = c.local(conn, srv)
	case c.Path == InProcess:
		b.local = noLink{status.Errorf(codes.Unavailable, "%q does not run in this process, and the path inprocess is forced", conn.name)}
	case c.Registry == nil:
		b.local = noLink{status.Errorf(codes.Unavailable, "%q does not run in this process, and the client has no registry to find it in", conn.name)}
	default:
		b.pool = c.pools[conn.name]
		if b.pool == nil {
			b.pool = newPool(c, conn.name)
			if c.pools == nil {
				c.pools = make(map[string]*pool)
			}
			c.pools[conn.name] = b.pool
		}
		b.pool.conns++
	}
	if c.conns == nil {
		c.conns = make(map[*Conn]*binding)
	}
	c.conns[conn] = b
	b.policies.Store(newPolicies(c.policySource(), conn.name))
	return nil
}

// leave undoes join. The last Conn of a pool ends it.
func (c *Client) leave(conn *Conn, p *pool) {
	c.mu.Lock()
	last := false
	if p != nil {
		p.conns--
		if last = p.conns == 0; last {
			delete(c.pools, p.service)
		}
	}
	c.mu.Unlock()
	if last {
		p.close()
	}
	c.mu.Lock()
	delete(c.conns, conn) // not before: Close waits for what is in it
	c.mu.Unlock()
}

// local returns the link to a server of this process. The caller holds c.mu.
func (c *Client) local(conn *Conn, srv *Server) link {
	waiting := c.starts[conn.name]
	if waiting == nil {
		waiting = new(atomic.Int64)
		if c.starts == nil {
			c.starts = make(map[string]*atomic.Int64)
		}
		c.starts[conn.name] = waiting
	}
	return newInProcess(inProcessOptions{
		service:  c.Service,
		id:       c.ID,
		identity: c.Identity,
		stats:    c.StatsHandlers,
		maxRecv:  c.MaxRecvMsgSize,
		maxSend:  c.MaxSendMsgSize,
		waiting:  waiting,
		closed:   conn.ctx,
	}, srv)
}

// noLink is the link of a Conn that leads nowhere.
type noLink struct{ err error }

func (l noLink) invoke(context.Context, string, any, any, *callOptions) error { return l.err }
func (l noLink) newStream(context.Context, *grpc.StreamDesc, string, *callOptions) (grpc.ClientStream, error) {
	return nil, l.err
}
