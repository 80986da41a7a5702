package edge

import (
	"context"
	"io"
	"log/slog"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/hanse-go/hanse/gateway"
	"github.com/hanse-go/hanse/resilience"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

const (
	// ClaimPrefix is what the keys of metadata begin with by which services are told who calls: "hanse-client" is the name of a key's
	// owner, and "hanse-claim-sub" a claim of a user. What clients send under such keys is dropped.
	ClaimPrefix = "hanse-claim-"
	clientKey   = "hanse-client"

	keyHeader   = "x-api-key"
	pushbackKey = "grpc-retry-pushback-ms" // gRFC A6
)

// caller is who makes a call, as far as the gateway knows.
type caller struct {
	client string            // owner of a key; "": no key
	claims map[string]string // of a user
}

type callerKey struct{}

// admit lets a call in as its rule says. It is a grpc.StreamServerInterceptor.
func (g *Gateway) admit(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) (err error) {
	all := g.rules.Load()
	c := new(caller)
	if all.accessLog {
		began := time.Now()
		defer func() { g.logAccess(stream.Context(), info.FullMethod, c, time.Since(began), err) }()
	}
	r := all.of(info.FullMethod)
	return g.identify(all, r, c, srv, stream, info, func(srv any, stream grpc.ServerStream) error {
		if err := r.limit(stream, c); err != nil {
			return err
		}
		// How urgent a call is, is not for those outside to say.
		ctx := resilience.WithPriority(context.WithValue(stream.Context(), callerKey{}, c), resilience.Normal)
		if r.timeout > 0 {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, r.timeout)
			defer cancel()
		}
		return next(srv, &admitted{ServerStream: stream, ctx: ctx, body: r.body})
	})
}

// identify finds out who makes a call, and goes on with c where the rule lets that caller in.
func (g *Gateway) identify(all *rules, r *rule, c *caller, srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, enter grpc.StreamHandler) error {
	keys := metadata.ValueFromIncomingContext(stream.Context(), keyHeader)
	switch {
	case r.auth == "open" || r.auth == "local":
		return enter(srv, stream)
	case r.auth == "nobody":
		return status.Errorf(codes.PermissionDenied, "%s cannot be called from outside", info.FullMethod)
	case r.auth == "key" || r.auth == "any" && len(keys) > 0:
		name, ok := "", false
		if len(keys) == 1 {
			name, ok = all.client(keys[0])
		}
		switch {
		case len(keys) == 0:
			return status.Errorf(codes.Unauthenticated, "send a key as %s", keyHeader)
		case !ok:
			return status.Errorf(codes.Unauthenticated, "the key in %s is not known", keyHeader)
		case !r.lets(name):
			return status.Errorf(codes.PermissionDenied, "the key of %s does not open %s", name, info.FullMethod)
		}
		c.client = name
		return enter(srv, stream)
	}
	entered := false
	err := g.identifyUser(all, c, srv, stream, info, func(srv any, stream grpc.ServerStream) error {
		entered = true
		return enter(srv, stream)
	})
	if !entered && status.Code(err) == codes.Unauthenticated {
		header := metadata.Pairs("www-authenticate", challenge(metadata.ValueFromIncomingContext(stream.Context(), "authorization")))
		stream.SetHeader(header) // it fails for nobody who could be told
	}
	return err
}

// identifyUser does what identify does, of calls by users.
func (g *Gateway) identifyUser(all *rules, c *caller, srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, enter grpc.StreamHandler) error {
	if all.users == nil {
		return g.Users(srv, stream, info, func(srv any, stream grpc.ServerStream) error {
			if g.Claims != nil {
				c.claims = g.Claims(stream.Context())
			}
			return enter(srv, stream)
		})
	}
	token, err := bearer(metadata.ValueFromIncomingContext(stream.Context(), "authorization"))
	if err == nil {
		c.claims, err = all.users.Verify(stream.Context(), token)
	}
	if err != nil {
		return err
	}
	return enter(srv, stream)
}

// bearer returns the token of a call. The error is a status.
func bearer(authorizations []string) (string, error) {
	if len(authorizations) == 0 {
		return "", status.Error(codes.Unauthenticated, "send a token as authorization: Bearer TOKEN")
	}
	scheme, token, _ := strings.Cut(authorizations[0], " ")
	token = strings.TrimSpace(token)
	if len(authorizations) > 1 || !strings.EqualFold(scheme, "Bearer") || token == "" {
		return "", status.Error(codes.Unauthenticated, `the authorization is not one "Bearer TOKEN"`)
	}
	return token, nil
}

// challenge tells clients of HTTP how to say who they are (RFC 6750, section 3).
func challenge(authorizations []string) string {
	if len(authorizations) == 0 {
		return "Bearer"
	}
	return `Bearer error="invalid_token"`
}

// limit takes a token of the bucket that the call belongs to.
func (r *rule) limit(stream grpc.ServerStream, c *caller) error {
	if r.buckets == nil {
		return nil
	}
	who := "all"
	switch r.by {
	case "ip":
		who = addressOf(stream.Context())
	case "key":
		who = "key " + c.client
	case "user":
		who = "user " + c.claims["sub"]
	}
	if claim, ok := strings.CutPrefix(r.by, "claim:"); ok {
		who = "claim " + c.claims[claim]
	}
	after, ok := r.buckets.allow(who)
	if ok {
		return nil
	}
	ms := (after + time.Millisecond - 1) / time.Millisecond
	stream.SetTrailer(metadata.Pairs(pushbackKey, strconv.FormatInt(int64(ms), 10)))
	return status.Errorf(codes.ResourceExhausted, "too many calls: try again in %v", ms*time.Millisecond)
}

// addressOf returns the IP address of the client, or what its connection calls itself. All addresses of an IPv6 network of 64 bits, which
// is what one customer has, are one.
func addressOf(ctx context.Context) string {
	p, ok := peer.FromContext(ctx)
	if !ok || p.Addr == nil {
		return ""
	}
	ap, err := netip.ParseAddrPort(p.Addr.String())
	if err != nil {
		return p.Addr.String()
	}
	ip := ap.Addr().Unmap().WithZone("")
	if ip.Is6() {
		if prefix, err := ip.Prefix(64); err == nil {
			return prefix.String()
		}
	}
	return ip.String()
}

// admitted is the stream of a call that was let in.
type admitted struct {
	grpc.ServerStream
	ctx  context.Context
	body int
}

func (a *admitted) Context() context.Context { return a.ctx }

func (a *admitted) RecvMsg(m any) error {
	if err := a.ServerStream.RecvMsg(m); err != nil {
		return err
	}
	if msg, ok := m.(proto.Message); ok && proto.Size(msg) > a.body {
		return status.Errorf(codes.ResourceExhausted, "the request has %d bytes, more than %d", proto.Size(msg), a.body)
	}
	return nil
}

// tell puts into the metadata for a service who calls, and takes out what only the gateway may know or say.
func tell(ctx context.Context, md metadata.MD) {
	for key := range md {
		if strings.HasPrefix(strings.ReplaceAll(key, "_", "-"), "hanse-") && key != gateway.RESTKey { // CGI and WSGI do not tell the two apart
			delete(md, key)
		}
	}
	delete(md, keyHeader)
	c, ok := ctx.Value(callerKey{}).(*caller)
	if !ok {
		return
	}
	if c.client != "" {
		md.Set(clientKey, c.client)
	}
	for name, value := range c.claims {
		key := ClaimPrefix + strings.ToLower(name)
		if strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r > '~' }) {
			key += "-bin" // metadata is printable ASCII, but for keys that end so
		}
		if !strings.ContainsFunc(key, func(r rune) bool { return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyz0123456789-_.", r) }) {
			md.Set(key, value)
		}
	}
}

// logAccess writes a line about a call.
func (g *Gateway) logAccess(ctx context.Context, method string, c *caller, took time.Duration, err error) {
	if err == io.EOF {
		err = nil
	}
	attrs := []slog.Attr{
		slog.String("method", method), slog.String("code", status.Code(err).String()),
		slog.Duration("took", took.Round(10*time.Microsecond)), slog.String("from", addressOf(ctx)),
	}
	if c.client != "" {
		attrs = append(attrs, slog.String("client", c.client))
	}
	if sub := c.claims["sub"]; sub != "" {
		attrs = append(attrs, slog.String("user", sub))
	}
	if err != nil {
		attrs = append(attrs, slog.String("error", status.Convert(err).Message()))
	}
	g.logger().LogAttrs(ctx, slog.LevelInfo, "call", attrs...)
}
