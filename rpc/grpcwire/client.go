package grpcwire

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hanse-go/hanse/resilience"
	"github.com/hanse-go/hanse/rpc/internal/wire"
	"github.com/hanse-go/hanse/telemetry"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"
)

const (
	connectTimeout = 5 * time.Second
	firstReconnect = 100 * time.Millisecond
	lastReconnect  = 3 * time.Second
)

func newLink(cfg wire.LinkConfig) (wire.Link, error) {
	l := &link{onState: cfg.OnState, ended: make(chan struct{})}

	creds := &watchedCreds{TransportCredentials: insecure.NewCredentials(), failed: l.setError}
	if cfg.TLS != nil {
		creds.TransportCredentials, creds.name = credentials.NewTLS(cfg.TLS), cfg.TLS.ServerName
	}
	opts := []grpc.DialOption{
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
			conn, err := cfg.Dial(ctx)
			if err != nil {
				l.setError(err)
			}
			return conn, err
		}),
		grpc.WithTransportCredentials(creds),
		grpc.WithAuthority(cfg.Authority),
		grpc.WithUserAgent("hanse"),
		grpc.WithStatsHandler(reporter{}),
		grpc.WithConnectParams(grpc.ConnectParams{
			MinConnectTimeout: connectTimeout,
			Backoff:           backoff.Config{BaseDelay: firstReconnect, Multiplier: 1.6, Jitter: 0.2, MaxDelay: lastReconnect},
		}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(cfg.MaxRecvMsgSize), grpc.MaxCallSendMsgSize(cfg.MaxSendMsgSize)),
		grpc.WithDisableServiceConfig(),
		grpc.WithDisableHealthCheck(),
		grpc.WithIdleTimeout(0), // the pool decides how long a link lives
		grpc.WithNoProxy(),
	}
	if cfg.Keepalive {
		opts = append(opts, grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 20 * time.Second, Timeout: 10 * time.Second}))
	}
	if cfg.Instance != "" {
		opts = append(opts, grpc.WithPerRPCCredentials(instanceMetadata{wire.InstanceKey: cfg.Instance}))
	}
	for _, h := range cfg.StatsHandlers {
		opts = append(opts, grpc.WithStatsHandler(h))
	}
	cc, err := grpc.NewClient("passthrough:///"+cfg.Authority, opts...)
	if err != nil {
		return nil, err
	}
	l.cc = cc
	var ctx context.Context
	ctx, l.cancel = context.WithCancel(context.Background())
	go l.watch(ctx)
	return l, nil
}

// link is a grpc.ClientConn that knows one instance.
type link struct {
	cc      *grpc.ClientConn
	cancel  context.CancelFunc
	ended   chan struct{} // closed when watch returned
	retired atomic.Bool
	onState func(wire.State, error)

	mu  sync.Mutex
	err error // of the last attempt to connect
}

func (l *link) setError(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.err = err
}

func (l *link) lastError() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err == nil {
		return errors.New("the connection ended before the peer's HTTP/2 settings came")
	}
	return l.err
}

// watch keeps the link connected and tells its states.
func (l *link) watch(ctx context.Context) {
	defer close(l.ended)
	for {
		state := l.cc.GetState()
		switch state {
		case connectivity.Idle:
			l.onState(wire.Connecting, nil)
			if !l.retired.Load() {
				l.cc.Connect()
			}
		case connectivity.Ready:
			l.setError(nil)
			l.onState(wire.Ready, nil)
		case connectivity.TransientFailure:
			l.onState(wire.Unreachable, l.lastError())
		case connectivity.Shutdown:
			return
		}
		if !l.cc.WaitForStateChange(ctx, state) {
			return
		}
	}
}

func (l *link) Invoke(ctx context.Context, method string, args, reply any, opts []grpc.CallOption, r *wire.Report) error {
	err := l.call(context.WithValue(ctx, reportKey{}, r), method, args, reply, opts)
	note(r, err)
	return specified(err)
}

func (l *link) call(ctx context.Context, method string, args, reply any, opts []grpc.CallOption) error {
	stream, err := l.open(ctx, &grpc.StreamDesc{}, method, opts)
	if err != nil {
		return err
	}
	if err := stream.SendMsg(args); err != nil {
		return err
	}
	return stream.RecvMsg(reply)
}

// open makes a stream that grpc-go does not begin anew by itself when the peer did not process it. When its second attempt is refused
// too, grpc-go takes the io.EOF of that one's SendMsg for the end of the call, and its status is lost: the call even looks like a
// success without replies. And whoever called us knows other instances.
func (l *link) open(ctx context.Context, desc *grpc.StreamDesc, method string, opts []grpc.CallOption) (grpc.ClientStream, error) {
	stream, err := l.cc.NewStream(prioritized(telemetry.Outgoing(ctx)), desc, method, opts...)
	if err == nil {
		stream.Context() // commits the stream to its attempt
	}
	return stream, err
}

// prioritized adds the priority of the call that ctx serves to what it sends, unless the program has said another one.
func prioritized(ctx context.Context) context.Context {
	p := resilience.PriorityOf(ctx)
	if p == resilience.Normal {
		return ctx
	}
	if md, _ := metadata.FromOutgoingContext(ctx); len(md.Get(resilience.PriorityKey)) > 0 {
		return ctx
	}
	return metadata.AppendToOutgoingContext(ctx, resilience.PriorityKey, p.String())
}

func (l *link) NewStream(ctx context.Context, desc *grpc.StreamDesc, method string, opts []grpc.CallOption, r *wire.Report, done func(error)) (grpc.ClientStream, error) {
	var once sync.Once
	finish := func(err error) {
		once.Do(func() {
			note(r, err)
			done(specified(err))
		})
	}
	opts = append(opts[:len(opts):len(opts)], grpc.OnFinish(finish))
	stream, err := l.open(context.WithValue(ctx, reportKey{}, r), desc, method, opts)
	if err != nil {
		finish(err) // grpc-go tells most errors, but not those of what it checks first
	}
	if err == nil && !desc.ServerStreams {
		stream = oneReply{stream}
	}
	return stream, err
}

// note reads what grpc-go tells by an error's message alone: that the peer did not process a call which it had sent a second time. A
// message that is the peer's own comes with trailers.
func note(r *wire.Report, err error) {
	if err == nil || r.Answered.Load() {
		return
	}
	switch message := status.Convert(err).Message(); message {
	case "stream terminated by RST_STREAM with error code: REFUSED_STREAM",
		"the stream is rejected because server is draining the connection", "the connection is draining":
		r.NotProcessed.Store(true)
	}
}

// oneReply is the stream of a method that replies once.
type oneReply struct{ grpc.ClientStream }

func (s oneReply) RecvMsg(m any) error { return specified(s.ClientStream.RecvMsg(m)) }

// specified turns what grpc-go says about the wrong number of replies into what the specification of gRPC says, as all our paths do.
func specified(err error) error {
	if s, ok := status.FromError(err); ok && s.Code() == codes.Internal && strings.HasPrefix(s.Message(), "cardinality violation") {
		return status.Error(codes.Unimplemented, s.Message())
	}
	return err
}

func (l *link) Retire()  { l.retired.Store(true) }
func (l *link) DialNow() { l.cc.ResetConnectBackoff() }

func (l *link) Close() {
	l.cancel()
	l.cc.Close()
	<-l.ended
}

// reporter is a stats handler that fills the report of each attempt. grpc-go retries a call by itself when the peer did not process
// it, which begins anew: so only the last of these attempts counts.
type reporter struct{}

type reportKey struct{}

func (reporter) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context { return ctx }

func (reporter) HandleRPC(ctx context.Context, s stats.RPCStats) {
	switch s := s.(type) {
	case *stats.Begin:
		if r, ok := ctx.Value(reportKey{}).(*wire.Report); ok {
			r.Sent.Store(false)
			r.Answered.Store(false)
			r.NotProcessed.Store(false)
			r.Asked.Store(0)
		}
	case *stats.OutHeader:
		if r, ok := ctx.Value(reportKey{}).(*wire.Report); ok {
			r.Sent.Store(true)
		}
	case *stats.InTrailer:
		if r, ok := ctx.Value(reportKey{}).(*wire.Report); ok {
			r.Answered.Store(true)
			if len(s.Trailer[wire.NotProcessedKey]) > 0 {
				r.NotProcessed.Store(true)
			}
			if asked := s.Trailer[wire.PushbackKey]; len(asked) > 0 {
				r.Asked.Store(wire.ParsePushback(asked[0]))
			}
		}
	}
}

func (reporter) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }
func (reporter) HandleConn(context.Context, stats.ConnStats)                       {}

// instanceMetadata adds the same metadata to all calls of a link.
type instanceMetadata map[string]string

func (m instanceMetadata) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return m, nil
}
func (instanceMetadata) RequireTransportSecurity() bool { return false }

// watchedCreds remembers why a handshake failed, and expects the name that the config tells: grpc-go would expect the authority.
type watchedCreds struct {
	credentials.TransportCredentials
	name   string // "": the authority's host
	failed func(error)
}

func (c *watchedCreds) ClientHandshake(ctx context.Context, authority string, conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	secure, info, err := c.TransportCredentials.ClientHandshake(ctx, cmp.Or(c.name, authority), conn)
	if err != nil {
		var cert *tls.CertificateVerificationError
		if errors.As(err, &cert) {
			err = cert
		}
		c.failed(err)
	}
	return secure, info, err
}

// Info does not tell the name that the certificate must have: grpc-go refuses one that is not the authority.
func (c *watchedCreds) Info() credentials.ProtocolInfo {
	info := c.TransportCredentials.Info()
	info.ServerName = "" //lint:ignore SA1019 grpc-go still reads it
	return info
}

func (c *watchedCreds) Clone() credentials.TransportCredentials {
	return &watchedCreds{TransportCredentials: c.TransportCredentials.Clone(), name: c.name, failed: c.failed}
}
