package rpc

import (
	"crypto/tls"
	"time"

	"github.com/hanse-go/hanse/balancer"
	"github.com/hanse-go/hanse/telemetry"
	"google.golang.org/grpc"
	"google.golang.org/grpc/stats"
)

// ConnOption varies one [Conn]. The order of options means nothing, but for interceptors among themselves.
type ConnOption interface{ applyConn(*connOptions) }

type connOptions struct {
	timeout            time.Duration
	unaryInterceptors  []grpc.UnaryClientInterceptor
	streamInterceptors []grpc.StreamClientInterceptor
	balancing          *balancer.Policy
	sockets            bool // to services of this process, too

	// Only Dial takes these: other Conns share their Client's.
	tls           *tls.Config
	statsHandlers []stats.Handler
	wire          Wire
	telemetry     *telemetry.Service
	dialOnly      string // the option that was given
}

type connOptionFunc func(*connOptions)

func (f connOptionFunc) applyConn(o *connOptions) { f(o) }

// WithTimeout sets the time that a unary call gets when its context has no deadline. 0 is the [Client]'s, -1 is no limit. A deadline
// that the caller set is never changed, and streams get none.
func WithTimeout(d time.Duration) ConnOption {
	return connOptionFunc(func(o *connOptions) { o.timeout = d })
}

// WithBalancing says how instances are chosen for the calls of this Conn, in place of all that [Client.Balancing] says.
func WithBalancing(p balancer.Policy) ConnOption {
	return connOptionFunc(func(o *connOptions) { o.balancing = &p })
}

// WithUnaryInterceptors adds interceptors inside those of the [Client]; the first is outermost.
func WithUnaryInterceptors(interceptors ...grpc.UnaryClientInterceptor) ConnOption {
	return connOptionFunc(func(o *connOptions) { o.unaryInterceptors = append(o.unaryInterceptors, interceptors...) })
}

// WithStreamInterceptors adds interceptors inside those of the [Client]; the first is outermost.
func WithStreamInterceptors(interceptors ...grpc.StreamClientInterceptor) ConnOption {
	return connOptionFunc(func(o *connOptions) { o.streamInterceptors = append(o.streamInterceptors, interceptors...) })
}

// WithTLS makes [Dial] use TLS. The name in the server's certificate is the target's host unless the config has a ServerName. The peer must
// agree on h2 (ALPN), which is added to the config. Versions are as the config says, by default 1.2 and 1.3. GetClientCertificate is asked
// for each new connection. What is wrong with a peer is in the error of the calls, which are Unavailable.
func WithTLS(config *tls.Config) ConnOption {
	return connOptionFunc(func(o *connOptions) { o.tls, o.dialOnly = config, "WithTLS" })
}

// WithStatsHandlers makes [Dial] tell the handlers of each attempt of each call.
func WithStatsHandlers(handlers ...stats.Handler) ConnOption {
	return connOptionFunc(func(o *connOptions) {
		o.statsHandlers, o.dialOnly = append(o.statsHandlers, handlers...), "WithStatsHandlers"
	})
}

// WithWire makes [Dial] speak by another wire than the default.
func WithWire(w Wire) ConnOption {
	return connOptionFunc(func(o *connOptions) { o.wire, o.dialOnly = w, "WithWire" })
}

// WithTelemetry tells of the calls; nil, the default, is nobody. It is an option for [Dial]: elsewhere the [Client] has it.
func WithTelemetry(s *telemetry.Service) ConnOption {
	return connOptionFunc(func(o *connOptions) { o.telemetry, o.dialOnly = s, "WithTelemetry" })
}
