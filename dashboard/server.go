package dashboard

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/hanse-go/hanse/events/desk"
	"github.com/hanse-go/hanse/store"
	"github.com/hanse-go/hanse/telemetry/collector"
	"google.golang.org/grpc"
)

// Server serves the dashboard of one system. Set its fields before the first call of a method; all methods may be called concurrently.
type Server struct {
	// Collector answers what the system told of itself. Nil: pages that need it say that there is nothing.
	Collector *collector.Collector

	// System is what runs. Nil: nothing is known of it, and nothing can be done to it.
	System System

	// Conn connects to a service of the system, for the console. The connection should tell nothing of its calls (no telemetry): the console
	// gives each call a trace of its own. Nil: there is no console.
	Conn func(service string) grpc.ClientConnInterface

	// Events are those of the system. Nil: it has no backplane that is known here.
	Events desk.Broker

	// Store keeps the values of the system; one that is no [store.Admin] shows nothing. Nil: it has no backplane that is known here.
	Store store.Driver

	// Token lets people in: it is a part of [Server.Link]. Default: a new one, random, for each Server.
	Token string

	// Hosts are names, without ports, by which the page may be asked for, besides localhost, *.localhost and the addresses of this
	// machine's loopback. A request for any other name is refused, so that no web site can reach the page by a name of its own.
	Hosts []string

	// Logger is told of what goes wrong. Default: slog's.
	Logger *slog.Logger

	once    sync.Once
	bare    http.Handler // without a guard
	handler http.Handler
	token   string
	live    live
	health  health
}

// NewToken returns a random token.
func NewToken() string { return rand.Text() }

func (s *Server) init() {
	s.once.Do(func() {
		s.token = cmp.Or(s.Token, NewToken())
		s.health.stale = make(chan struct{}, 1)
		s.bare = s.mux()
		s.handler = s.guard(s.bare)
	})
}

// Handler serves the page, for as long as the Server runs; without [Server.Run] it serves, too, but nothing on the page is live.
func (s *Server) Handler() http.Handler {
	s.init()
	return s.handler
}

// API answers what the page asks at /api/, to whoever can reach it: it is for a socket that only its owner can open.
func (s *Server) API() http.Handler {
	s.init()
	return s.bare
}

// Link is what a person opens in a browser.
func (s *Server) Link(addr net.Addr) string {
	s.init()
	u := url.URL{Scheme: "http", Host: addr.String(), Path: "/", RawQuery: url.Values{tokenParam: {s.token}}.Encode()}
	return u.String()
}

// Run serves the page at lis until ctx ends, and closes lis.
func (s *Server) Run(ctx context.Context, lis net.Listener) error {
	s.init()
	// What is open at the end is cut: pages wait for changes for ever, and ask again when there is a server again.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var work sync.WaitGroup
	defer work.Wait()
	work.Go(func() { s.watch(ctx) })
	server := &http.Server{
		Handler:           s.handler,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ErrorLog:          slog.NewLogLogger(s.log().Handler(), slog.LevelWarn), // panics
	}
	end := context.AfterFunc(ctx, func() { server.Close() })
	defer end()
	defer server.Close()
	if err := server.Serve(lis); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func (s *Server) log() *slog.Logger {
	if s.Logger != nil {
		return s.Logger
	}
	return slog.Default()
}
