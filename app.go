package hanse

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hanse-go/hanse/balancer"
	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/discovery/natsdiscovery"
	"github.com/hanse-go/hanse/events"
	"github.com/hanse-go/hanse/gateway"
	"github.com/hanse-go/hanse/identity"
	"github.com/hanse-go/hanse/resilience"
	"github.com/hanse-go/hanse/rpc"
	"github.com/hanse-go/hanse/store"
	"github.com/hanse-go/hanse/telemetry"
	"google.golang.org/grpc"
	"google.golang.org/grpc/stats"
)

// App is a process that runs some services, or only calls some. The zero value works: it listens on a loopback port of the
// system's choice and knows no other process.
//
// An App runs once. Its fields must not change after Run, Main or Conn was called.
type App struct {
	// System names what the app belongs to: all instances that share its registry. Default: nothing, it is only told.
	System string

	// Addr is the HOST:PORT that all services share for gRPC and HTTP. Default: 127.0.0.1:0, a free port of this machine only.
	Addr string

	// Addrs gives a service, by its name, a listener of its own.
	Addrs map[string]string

	// Listener, when it is set, is used instead of one made from Addr. Run closes it.
	Listener net.Listener

	// Advertise is the HOST, HOST:PORT or :PORT that others are told to call instead of what the listener is bound to. HOST is
	// used for every listener, PORT for the shared one. Default: the host that Addr names; when it is bound to all interfaces, the
	// address of the one that routes outward.
	Advertise string

	// AdminAddr is the HOST:PORT of health checks and profiles: /healthz, /readyz and /debug/pprof/. Default: none in Run,
	// 127.0.0.1:0 in Main, where "off" switches it off.
	AdminAddr string

	// Registry is where the app finds instances and, when it is a [discovery.Registrar], announces its own. Default: the Backplane, if
	// other processes reach it; else memory in Run, so that nobody else's processes are touched, and what fits the folder in Main.
	Registry discovery.Registry

	// Backplane is the NATS that carries events, stores and, when there is no Registry, the registry: NATS("nats://hub:4222"), or
	// &embednats.Server{Dir: "data"} for one inside of the process. Run starts it before all else and ends it last. While it is not
	// reached, calls go on, and the last known instances stay. Default: none in Run; in Main that of the running hanse dev or hanse hub, and
	// flags and the environment come first.
	Backplane Backplane

	// Store keeps the buckets, locks and elections of package store that the services use. Default: the Backplane;
	// without one, a service that wants a store does not start. A test, or a program of one process that keeps nothing, has &store.Memory{}.
	Store store.Driver

	// RegistrySchemes are the registries that --registry can name besides those of [discovery.Parse], by the scheme of their URL.
	RegistrySchemes discovery.Schemes

	// Targets sends the calls of a service, by its name, to a fixed target instead of the registry, such as
	// "cart": "dns:///cart.example.com:8443".
	Targets map[string]string

	// Balancing says how instances are chosen for the app's calls, by called service; "" is for all others: by which picker, among which
	// instances. [rpc.WithBalancing] is for one connection. Default: of the nearest instances the one that has least to do. Flags and
	// the environment of Main come first. Services of the same app call each other in process, where there is nothing to choose.
	Balancing map[string]balancer.Policy

	// Zone is where the process runs, such as "eu-1a". It is announced with each instance, and calls prefer instances of the same zone.
	// Default: none.
	Zone string

	// Weight is how much the process can take relative to others; it is announced with each instance. Default: 1.
	Weight int

	// Labels are announced with each instance, for callers that choose among them by [balancer.Filter]. "http" and "wire" are Hanse's own.
	// Default: none.
	Labels map[string]string

	// Broker keeps and delivers the events of the services, see [Service.Events]; Run does not close it. Default: JetStream on the Backplane
	// (package natsevents); without that none, and services that use events do not start.
	Broker events.Broker

	// Transports carry calls between processes. Default: TCP and, where there are any, unix sockets.
	Transports []rpc.Transport

	// Path forces all calls onto one path: "inprocess", "unix" or "tcp". Default: the nearest.
	Path Path

	// Wire is what speaks gRPC with other processes: grpcwire.Wire{} for grpc-go's transport. Default: Hanse's. Flags and the
	// environment of Main come first.
	Wire rpc.Wire

	// Limits bounds what clients can make the app hold and do, for each listener; a service's own MaxRecvMsgSize comes before the one
	// in it. Default: safe limits, see the fields.
	Limits rpc.Limits

	// Identity is where the certificates of the services come from, such as &identity.Files{Dir: "/run/secrets/tls"}. With it all
	// calls between processes go over mutual TLS 1.3, on TCP and on unix sockets, in and out: each service shows its own
	// certificate, as the caller and as the called, and takes calls of its own system only. A port then refuses plaintext calls with
	// Unauthenticated; health checks and reflection on it are calls, too. Probes have AdminAddr. A caller that is no service shows
	// the certificate of the app's first one. Default: none and plaintext in Run; that of the running hanse dev in Main, where
	// --identity off switches it off.
	Identity identity.Source

	// PlainHTTP says whether an app with an Identity serves the pages of [Service.Handle], and calls by Gateway, over plain HTTP, too:
	// browsers have no certificate of the system. Default (nil): yes when the listener is bound to loopback, no otherwise.
	PlainHTTP *bool

	// Gateway is how calls are taken that are not gRPC: Connect, gRPC-Web and JSON over HTTP, on the same listeners. Patterns of
	// [Service.Handle] come first, except for "/". With an Identity, those over plain HTTP are let in where PlainHTTP lets pages be seen,
	// as callers that nobody knows: Service.Allow keeps them out. Default: no other site's pages may call, and safe limits.
	Gateway gateway.Config

	// NoGateway takes calls by gRPC alone.
	NoGateway bool

	// Hosts are names by which calls that are not gRPC may be addressed on a loopback listener, besides those of this machine and of the
	// services: the name that a proxy on this machine leaves in the Host, such as "shop.example.com", or "*" for any. Others are refused
	// there, so that no page can call by giving its own name the address 127.0.0.1. Default: none.
	Hosts []string

	// Docs serves a description of the contracts, beside what Gateway takes: /openapi.json, and a page at /docs that shows it and makes calls.
	// They answer requests from this machine only; for others, put a [gateway.Docs] behind authentication of your own.
	// Default: no; hanse dev switches it on.
	Docs bool

	// Rules are held by the requests that the services take, behind all interceptors, where Service.NoValidation does not say otherwise, and
	// shown by Docs: new(protovalidate.Validator) holds those of buf.validate in .proto files. Default: none but the messages' own Validate.
	Rules Rules

	// Policies say how the app's calls are made, by called service; "" is for all: their timeouts, retries, hedges, breakers and the
	// ejection of bad instances. See [resilience.Policy]. Default: that of its fields. What each does is on AdminAddr at
	// /debug/resilience, where it can also be switched while the app runs.
	Policies map[string]resilience.Policy

	// Reflection says whether clients may ask which contracts there are. Default (nil): yes when the listener is bound to
	// loopback, no otherwise.
	Reflection *bool

	// ConfigFile is the YAML file that [Service.Config] reads. Default: none.
	ConfigFile string

	// Interceptors of the calls that the services take; first is outermost. They come before those of the service.
	UnaryInterceptors  []grpc.UnaryServerInterceptor
	StreamInterceptors []grpc.StreamServerInterceptor

	// Interceptors of the calls that the services, and Conn, make; first is outermost. They come before those of the service.
	ClientUnaryInterceptors  []grpc.UnaryClientInterceptor
	ClientStreamInterceptors []grpc.StreamClientInterceptor

	// StatsHandlers see the calls that the services take and make.
	StatsHandlers []stats.Handler

	// Telemetry says what is told of calls, and whom: their traces, numbers and logs, by OpenTelemetry's protocol. Default: numbers on
	// AdminAddr and IDs in logs, and nothing is sent; in Main what the environment says by the variables of OpenTelemetry, such as
	// OTEL_EXPORTER_OTLP_ENDPOINT. See [telemetry.FromEnv].
	Telemetry telemetry.Config

	// NoTelemetry takes no traces and no numbers.
	NoTelemetry bool

	// AllowFaults lets whoever reaches the admin listener from this machine make things go wrong on purpose: hanse chaos. Default: nobody.
	AllowFaults bool

	// StartTimeout ends a start that takes too long, for instance because set-ups wait for each other. Default: 30 s; -1: never.
	StartTimeout time.Duration

	// DrainTimeout is how long calls and tasks may take to finish when the app stops, before their contexts are cancelled.
	// Default: 30 s; -1: as long as they need.
	DrainTimeout time.Duration

	// Logger receives what the app logs, and its services through [Service.Logger]. Default: [slog.Default] in Run; text or
	// JSON on standard error in Main.
	Logger *slog.Logger

	wireName string // that flags or environment ask for; "": none

	given *values // what flags and environment said; nil without Main and FromEnv

	memory discovery.Memory // the registry when none is given

	telling telling // what Telemetry says
	shares  bool    // with libraries, by OpenTelemetry's globals: Main does

	levels telemetry.LogLevels // from which on services log

	linkMu sync.Mutex
	link   *link                   // with the backplane; nil before it is needed
	nodes  *natsdiscovery.Registry // on the link

	mu     sync.Mutex
	ran    bool
	closed bool
	local  map[string]*rpc.Server // what runs here
	caller *rpc.Client            // of Conn

	bus       events.Bus // of Events
	publishes bool       // Events was called
	bound     bool       // the bus has its broker, will have it, or is refused one
	broker    *appBroker // on the backplane; nil: none

	certified atomic.Pointer[certified] // who the app is by its certificates; nil before Run, and without Identity
}

// Path is the way that a call takes to an instance: "inprocess", "unix" or "tcp".
type Path = rpc.Path

// Conn returns a connection to the named service, for a program that only calls or for a caller that is no service. It never
// blocks and never fails: calls find an instance when they are made, and wait for one, until their deadline, when none is ready.
// Close closes it, and so does Run when it returns. One made before Run reaches the app's own services as it reaches those of
// others, by the registry and over a socket; one made after Run began reaches them in process. A name that cannot be a service's is logged, and all calls fail.
func (a *App) Conn(name string, opts ...rpc.ConnOption) *rpc.Conn {
	conn := rpc.NewConn(name, opts...)
	err := checkName(name)
	if err == nil {
		var client *rpc.Client
		if client, err = a.client(); err == nil {
			err = conn.Bind(client)
		}
	}
	if err != nil {
		a.logger().Error(fmt.Sprintf("Conn(%q): %v", name, err))
		conn.Close() // calls fail, and do not wait
	}
	return conn
}

// Close closes the connections that were made with Conn, ends what is published by Events, and closes the connection with the backplane. Calls in
// flight end with the status Canceled. Only an App that does not Run needs it.
func (a *App) Close() error {
	a.mu.Lock()
	caller := a.caller
	a.closed = true
	a.mu.Unlock()
	var err error
	if caller != nil {
		err = caller.Close()
	}
	err = errors.Join(err, a.closeBus())
	if l := a.backplane(); l != nil {
		l.close()
	}
	a.endTelemetry()
	return err
}

// client returns the client of callers that are no service.
func (a *App) client() (*rpc.Client, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return nil, errors.New("the App is closed")
	}
	if a.caller == nil {
		if _, err := a.telemetry(); err != nil {
			return nil, err
		}
		c, err := a.newClient(nil, a.local)
		if err != nil {
			return nil, err
		}
		a.caller = c
	}
	return a.caller, nil
}

// logger returns the logger that the app uses.
func (a *App) logger() *slog.Logger {
	if a.Logger != nil {
		return a.Logger
	}
	return slog.Default()
}

// orDefault returns d, or byDefault when d is zero. A negative d means that there is no limit, for which it returns 0.
func orDefault(d, byDefault time.Duration) time.Duration {
	switch {
	case d == 0:
		return byDefault
	case d < 0:
		return 0
	}
	return d
}
