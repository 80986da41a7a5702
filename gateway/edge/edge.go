// Package edge is a gateway in front of a whole system: one address where clients outside of it reach the services that it shows them,
// by gRPC and by all that package gateway speaks. What there is to call it learns from the registry and from the services themselves, by
// gRPC reflection, while they come and go:
//
//	app, err := hanse.FromEnv()
//	…
//	g := &edge.Gateway{Registry: app.Registry, Conn: app.Conn, Telemetry: app.CallerTelemetry(), File: "gateway.yaml"}
//	err = g.Run(ctx)
//
// The command hanse gateway does that. A file with a mistake is refused with its line: at the start, and when it changes while the gateway
// runs, which then goes on with what it had.
package edge

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hanse-go/hanse/config"
	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/gateway"
	"github.com/hanse-go/hanse/identity"
	"github.com/hanse-go/hanse/rpc"
	"github.com/hanse-go/hanse/telemetry"
	"google.golang.org/grpc"
)

// section is the key in the file.
const section = "gateway"

// Gateway is a gateway of a system. The fields are set before Run; Registry and Conn must be.
type Gateway struct {
	// Registry is where services are found: all at once, or one by one where [Settings.Expose] names them.
	Registry discovery.Registry
	// Conn returns a connection to a service, such as that of a hanse.App. The gateway closes it.
	Conn func(service string, opts ...rpc.ConnOption) *rpc.Conn

	// File is a YAML file with [Settings] under the key gateway. It is followed while the gateway runs. Empty: Settings count.
	File string
	// Settings are what the gateway does without a File. The zero value shows all services to the programs of this machine.
	Settings Settings
	// Listener is where clients connect. nil: a listener at [Settings.Listen].
	Listener net.Listener

	// NewVerifier makes what knows users by the tokens that [Settings.Users] are about; it is asked again when those change. The command
	// hanse gateway has one. nil: settings cannot say which tokens are good.
	NewVerifier func(Tokens) Verifier
	// Users lets in the calls of users, and refuses those without a good token, whatever the settings say: such as the StreamInterceptor of a
	// Verifier of module identity/oidc. nil: users are known by the settings.
	Users grpc.StreamServerInterceptor
	// Claims returns what services are told of a user that Users let in, by the names of claims: in metadata under [ClaimPrefix] and the
	// name, which clients cannot set themselves; with -bin behind it where the value is not printable ASCII. Rates by user count by the
	// claim sub. Such as Claims of module identity/oidc. nil: nothing is told.
	Claims func(ctx context.Context) map[string]string

	// NewMCP makes what serves tools by the Model Context Protocol, at /mcp, where [Settings.MCP] asks for it. Requests come to it when they
	// may. The command hanse gateway has one. nil: settings cannot ask for it.
	NewMCP func(*Tools) http.Handler

	// Telemetry is told of the requests of clients, such as CallerTelemetry of the hanse.App whose Conn it is. nil: nobody is.
	Telemetry *telemetry.Service
	// DrainTimeout is how long calls may take that run when Run's context ends. Default: 30 s.
	DrainTimeout time.Duration
	// Logger gets what goes on, and the access log. nil: slog.Default.
	Logger *slog.Logger
	// Ready, when it is not nil, is called once, with the address, when clients can connect.
	Ready func(addr net.Addr)

	listen string // the address that is listened at, as settings would say it
	system *system
	port   *rpc.Port
	rules  atomic.Pointer[rules]
	front  atomic.Pointer[front]
}

// Verifier knows users by their tokens. Its methods are called concurrently.
type Verifier interface {
	// Verify returns what services are told of the user who has the token, by the names of claims, with sub. The error is a status:
	// Unauthenticated for a token that is not good, with what is wrong in words for who sent it; Unavailable when nobody can tell.
	Verify(ctx context.Context, token string) (claims map[string]string, err error)
	// Close ends what goes on by itself. Calls of Verify may still come.
	Close()
}

// front is what serves the requests that are not gRPC, under the settings that hold.
type front struct {
	calls *gateway.Handler
	docs  *gateway.Docs // nil: there are none
	mcp   http.Handler  // nil: there is none
}

// Run serves clients until ctx ends; then it refuses new calls, waits for those that run, and returns nil. It returns an error when the
// settings have mistakes, when it cannot listen, and when calls still run after DrainTimeout. It must be called once.
func (g *Gateway) Run(ctx context.Context) error {
	if g.Registry == nil || g.Conn == nil {
		return errors.New("edge: a Gateway needs Registry and Conn")
	}
	loader := &config.Loader{File: g.File, Services: []string{section}, Logger: g.logger(), Accept: g.accept}
	defer g.closeUsers()
	settings, err := g.load(loader)
	if err == nil {
		g.listen = listenOf(settings, g.Listener)
		err = g.start(settings)
	}
	if err != nil {
		return fmt.Errorf("edge: %w", err)
	}
	lis := g.Listener
	if lis == nil {
		if lis, err = net.Listen("tcp", settings.listen()); err != nil {
			return fmt.Errorf("edge: %w", err)
		}
	}
	return g.serve(ctx, loader, lis)
}

// load returns the settings, and sees to it that g follows them.
func (g *Gateway) load(loader *config.Loader) (Settings, error) {
	if g.File == "" {
		return g.Settings, g.Settings.Validate()
	}
	var settings Settings
	began := false
	err := config.Watch(loader.For(section), func(s Settings) {
		if !began {
			settings, began = s, true
			return
		}
		if err := g.apply(s); err != nil {
			g.logger().Error("the changed file is refused; the gateway goes on as before", "file", g.File, "error", err)
		}
	})
	if err == nil {
		err = loader.Check(section)
	}
	return settings, err
}

// accept says why settings of the file are not for this gateway.
func (g *Gateway) accept(_ string, settings any) error {
	s := settings.(Settings)
	if s.Listen = g.listen; s.Listen == "" {
		s.Listen = listenOf(settings.(Settings), g.Listener)
	}
	return errors.Join(s.Validate(), g.can(s))
}

// can says what settings ask for that this gateway cannot do.
func (g *Gateway) can(s Settings) error {
	var m mistakes
	if s.Users.Issuer != "" && g.NewVerifier == nil {
		m.add("users", "this gateway knows no tokens by its settings (Gateway.NewVerifier)")
	}
	if s.Users.Issuer != "" && g.Users != nil {
		m.add("users", "this program knows users by itself (Gateway.Users)")
	}
	if s.MCP && g.NewMCP == nil {
		m.add("mcp", "this gateway does not speak it (Gateway.NewMCP)")
	}
	for i, r := range s.Rules {
		if (r.Auth == "user" || r.Auth == "any") && g.Users == nil && s.Users.Issuer == "" {
			m.add(fmt.Sprintf("rules[%d].auth", i), "%s, and nothing here knows users: say whose tokens are good, as   users: {issuer: https://…, audience: […]}", r.Auth)
		}
	}
	return errors.Join(m...)
}

// listenOf returns the address that counts for who may call: that of the settings, or that of a listener that others than this machine
// reach. It is the same for as long as the gateway runs, whatever a changed file says.
func listenOf(s Settings, lis net.Listener) string {
	if lis == nil {
		return s.listen()
	}
	if tcp, ok := lis.Addr().(*net.TCPAddr); ok && !tcp.IP.IsLoopback() && s.local() {
		return tcp.String()
	}
	return s.listen()
}

// start makes what serves.
func (g *Gateway) start(s Settings) error {
	g.system = &system{registry: g.Registry, conn: g.Conn, expose: s.Expose, logger: g.logger()}
	server := &rpc.Server{
		Name: section, Unknown: g.system.forward, StreamInterceptors: []grpc.StreamServerInterceptor{g.admit},
		UnknownUnary: g.system.isUnary, MaxRecvMsgSize: s.largestBody(), Telemetry: g.Telemetry, Logger: g.logger(),
	}
	g.port = &rpc.Port{Servers: []*rpc.Server{server}, HTTP: http.HandlerFunc(g.serveHTTP), Logger: g.logger()}
	if s.TLS.Cert != "" {
		files := &identity.Files{Cert: s.TLS.Cert, Key: s.TLS.Key, Logger: g.logger()}
		if _, err := files.Certificate(""); err != nil {
			return err
		}
		g.port.TLS = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			return files.Certificate("")
		}}
	}
	if err := server.Err(); err != nil {
		return err
	}
	if err := g.apply(s); err != nil {
		return err
	}
	server.Start()
	return nil
}

// apply makes s the settings that hold from now on.
func (g *Gateway) apply(s Settings) error {
	s.Listen = g.listen
	if err := errors.Join(s.Validate(), g.can(s)); err != nil {
		return err
	}
	backend := backend{g: g, body: s.largestBody()}
	calls := gateway.Config{CORS: s.CORS.config(), Types: g.system}
	if s.MCP && len(calls.CORS.Origins) > 0 {
		calls.CORS.Headers = slices.Concat(calls.CORS.Headers, mcpHeaders)
	}
	f := &front{calls: &gateway.Handler{Backend: backend, Logger: g.logger(), Config: calls}}
	if s.Docs {
		f.docs = &gateway.Docs{Backend: backend, Title: "Services", Public: !s.local(), Service: g.system.serviceOf}
	}
	if s.MCP {
		t := &Tools{gateway: g, all: gateway.Tools{
			Backend: backend, Safe: len(s.Tools) == 0, Open: s.Tools, Config: gateway.Config{Types: g.system}, Logger: g.logger(),
		}}
		f.mcp = t.handler(g.NewMCP(t))
		if s.local() {
			f.mcp = gateway.Local(f.mcp)
		}
	}
	g.system.show(s.Expose)
	g.obey(newRules(s))
	g.front.Store(f)
	return nil
}

// obey makes r the rules that hold. Of the same issuer the keys that are known go on to be used.
func (g *Gateway) obey(r *rules) {
	before := g.rules.Load()
	same := before != nil && reflect.DeepEqual(before.tokens, r.tokens)
	if same {
		r.users = before.users
	} else if r.tokens.Issuer != "" {
		r.users = g.NewVerifier(r.tokens)
	}
	g.rules.Store(r)
	if before != nil && before.users != nil && !same {
		before.users.Close()
	}
}

// closeUsers ends what knows users.
func (g *Gateway) closeUsers() {
	if r := g.rules.Load(); r != nil && r.users != nil {
		r.users.Close()
	}
}

// serve runs the port until ctx ends and the calls have, too.
func (g *Gateway) serve(ctx context.Context, loader *config.Loader, lis net.Listener) error {
	// What clients still use while the gateway drains must outlive ctx.
	inner, stop := context.WithCancel(context.WithoutCancel(ctx))
	var running sync.WaitGroup
	running.Go(func() { g.system.run(inner) })
	if g.File != "" {
		running.Go(func() { loader.Run(inner) }) // returns nil
	}
	defer running.Wait()
	defer stop()

	served := make(chan error, 1)
	go func() { served <- g.port.Serve(lis) }()
	if g.Ready != nil {
		g.Ready(lis.Addr())
	}
	var err error
	select {
	case err = <-served:
	case <-ctx.Done():
		limit := g.DrainTimeout
		if limit <= 0 {
			limit = 30 * time.Second
		}
		draining, cancel := context.WithTimeout(inner, limit)
		err = g.port.Drain(draining)
		cancel()
	}
	for _, s := range g.port.Servers {
		s.Stop()
	}
	g.port.Close()
	if err != nil {
		return fmt.Errorf("edge: %w", err)
	}
	return nil
}

// serveHTTP serves what is not gRPC.
func (g *Gateway) serveHTTP(w http.ResponseWriter, r *http.Request) {
	f := g.front.Load()
	switch {
	case r.URL.Path == "/healthz":
		w.Write([]byte("ok\n"))
	case r.URL.Path == "/readyz":
		g.serveReady(w)
	case f.docs != nil && f.docs.Serves(r) && !f.calls.Serves(r):
		f.docs.ServeHTTP(w, r)
	case f.mcp != nil && r.URL.Path == mcpPath && !f.calls.Serves(r):
		if f.calls.FromAllowedPage(w, r) {
			f.mcp.ServeHTTP(w, r)
		}
	default:
		f.calls.ServeHTTP(w, r)
	}
}

// serveReady says whether the gateway knows the services that it shows, and what it lacks.
func (g *Gateway) serveReady(w http.ResponseWriter) {
	missing := g.system.missing()
	if len(missing) == 0 {
		w.Write([]byte("ok\n"))
		return
	}
	w.WriteHeader(http.StatusServiceUnavailable)
	for _, m := range missing {
		fmt.Fprintln(w, m)
	}
}

func (g *Gateway) logger() *slog.Logger {
	if g.Logger != nil {
		return g.Logger
	}
	return slog.Default()
}
