package rpc

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/hanse-go/hanse/balancer"
	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/resilience"
	"github.com/hanse-go/hanse/rpc/internal/wire"
	"github.com/hanse-go/hanse/telemetry"
)

// member is one instance as a [pool] knows it, with the link to it.
type member struct {
	pool   *pool
	link   wire.Link // nil when no endpoint can be used
	direct *wireLink // the same, where it is of the default wire; else nil

	watched *resilience.Watched

	// Guarded by pool.mu.
	web       *http.Transport     // of plain HTTP; nil: there was none yet
	inst      *discovery.Instance // replaced, never changed
	candidate *balancer.Candidate // replaced with the instance, for its own must not change
	state     wire.State
	err       error       // of the last attempt to connect
	lost      time.Time   // when the connection broke; zero while there is one, and before the first
	giveUp    *time.Timer // makes a lost member unreachable
	left      bool        // no longer in the registry, or draining
	out       bool        // ejected, as was logged

	dialled atomic.Pointer[route]
	refs    atomic.Int64 // the pool's, and one for each call
}

// route is an endpoint that can be dialled.
type route struct {
	endpoint  string
	url       *url.URL
	path      Path
	transport Transport
	reached   *telemetry.Reached
}

// newMember makes the member and its link, which begins to connect.
func newMember(p *pool, inst discovery.Instance) *member {
	c := p.client
	m := &member{pool: p, inst: &inst, candidate: &balancer.Candidate{Instance: inst, Born: p.born(inst)}}
	m.watched = p.guard.outliers.Watch(cmp.Or(inst.ID, strings.Join(inst.Endpoints, ",")))
	m.refs.Store(1)
	routes, err := c.routes(inst)
	if err != nil {
		m.state, m.err = wire.Unreachable, err
		return m
	}
	cfg := wire.LinkConfig{
		Dial:           func(ctx context.Context) (net.Conn, error) { return m.dial(ctx, routes) },
		Authority:      inst.CallAuthority(routes[0].endpoint),
		Instance:       inst.ID,
		Keepalive:      inst.Announced(),
		TLS:            c.clientTLS(p.service),
		StatsHandlers:  c.StatsHandlers,
		MaxRecvMsgSize: limitOr(c.MaxRecvMsgSize, defaultMaxRecvMsgSize),
		MaxSendMsgSize: limitOr(c.MaxSendMsgSize, noLimit),
		OnState:        func(s wire.State, err error) { p.onState(m, s, err) },
	}
	link, err := wireOr(c.Wire).NewLink(cfg)
	if err != nil {
		m.state, m.err = wire.Unreachable, err
		return m
	}
	m.link = link
	m.direct, _ = link.(*wireLink)
	return m
}

// routes returns the endpoints of an instance that this client can dial, best first: on the same host the unix socket.
func (c *Client) routes(inst discovery.Instance) ([]route, error) {
	transports := c.Transports
	if transports == nil {
		transports = DefaultTransports()
	}
	var routes []route
	var skipped []string
	for _, endpoint := range inst.Endpoints {
		u, err := parseEndpoint(endpoint)
		if err != nil {
			skipped = append(skipped, err.Error())
			continue
		}
		i := slices.IndexFunc(transports, func(t Transport) bool { return slices.Contains(t.Schemes(), u.Scheme) })
		r := route{endpoint: endpoint, url: u, path: Path(u.Scheme), reached: telemetry.NewReached(u.Scheme, inst.ID, endpoint)}
		switch {
		case c.Path != "" && r.path != c.Path:
			skipped = append(skipped, fmt.Sprintf("%s (the path %s is forced)", endpoint, c.Path))
		case i < 0:
			skipped = append(skipped, fmt.Sprintf("%s (no transport for %q)", endpoint, u.Scheme))
		case r.path == Unix && inst.Announced() && inst.Host != c.Host:
			skipped = append(skipped, endpoint+" (on another host)")
		default:
			r.transport = transports[i]
			routes = append(routes, r)
		}
	}
	if len(routes) == 0 {
		if len(skipped) == 0 {
			return nil, errors.New("it announces no endpoint")
		}
		return nil, fmt.Errorf("no endpoint can be used: %s", strings.Join(skipped, ", "))
	}
	slices.SortStableFunc(routes, func(a, b route) int {
		switch {
		case a.path == Unix && b.path != Unix:
			return -1
		case a.path != Unix && b.path == Unix:
			return 1
		}
		return 0
	})
	return routes, nil
}

// dial tries the routes in turn within one attempt to connect.
func (m *member) dial(ctx context.Context, routes []route) (net.Conn, error) {
	var errs []error
	for i := range routes {
		conn, err := routes[i].dial(ctx, len(routes)-i)
		if err == nil {
			m.dialled.Store(&routes[i])
			return conn, nil
		}
		errs = append(errs, err)
		if ctx.Err() != nil {
			break
		}
	}
	return nil, errors.Join(errs...)
}

// dial leaves time for those that come after it.
func (r *route) dial(ctx context.Context, left int) (net.Conn, error) {
	if deadline, ok := ctx.Deadline(); ok && left > 1 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Until(deadline)/time.Duration(left))
		defer cancel()
	}
	return r.transport.Dial(ctx, r.url)
}

// hold keeps the link until release. It fails when the link is closing.
func (m *member) hold() bool {
	for {
		n := m.refs.Load()
		if n == 0 {
			return false
		}
		if m.refs.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

func (m *member) release() {
	if m.refs.Add(-1) == 0 {
		m.pool.closeLater(m)
	}
}

// update takes what the registry says now. It reports false when the member must be replaced, for its link goes elsewhere.
// The caller holds pool.mu.
func (m *member) update(inst discovery.Instance) bool {
	if m.left { // it drained, and is ready again: a retired link would not connect any more
		return false
	}
	if reflect.DeepEqual(*m.inst, inst) {
		return true
	}
	if !slices.Equal(m.inst.Endpoints, inst.Endpoints) || m.inst.Host != inst.Host || m.inst.Authority != inst.Authority {
		return false
	}
	m.inst, m.candidate = &inst, m.candidate.Renew(inst)
	if m.link != nil && m.state == wire.Unreachable {
		m.link.DialNow()
	}
	return true
}

// retire stops the link from connecting again. The caller holds pool.mu.
func (m *member) retire() {
	if !m.left {
		m.left = true
		m.pool.guard.outliers.Forget(m.watched)
		if m.giveUp != nil {
			m.giveUp.Stop()
		}
		if m.link != nil {
			m.link.Retire()
		}
	}
}
