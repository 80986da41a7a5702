// Package reach connects a dashboard with the system that it shows: with its services, its events and what it stores.
package reach

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/hanse-go/hanse"
	"github.com/hanse-go/hanse/dashboard"
	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/events/natsevents"
	"github.com/hanse-go/hanse/identity"
	"github.com/hanse-go/hanse/rpc"
	"github.com/hanse-go/hanse/store/natsstore"
	"github.com/nats-io/nats.go"
	"google.golang.org/grpc"
)

// Name is who the dashboard is in a system with certificates: spiffe://SYSTEM/hanse-dashboard.
const Name = "hanse-dashboard"

// Options say which system it is.
type Options struct {
	System    string
	Registry  discovery.Registry
	Authority *identity.Authority // of the services' certificates; nil: Identity counts
	Identity  identity.Source     // who calls; nil: nobody, in plaintext
	Backplane string              // URL; "": there is none
	Logger    *slog.Logger        // nil: slog.Default
}

// Reach is connected with a system. Close it.
type Reach struct {
	app    *hanse.App
	conn   *nats.Conn
	broker *natsevents.Broker
	store  *natsstore.Store

	mu    sync.Mutex
	conns map[string]*rpc.Conn
}

// backplaneTimeout is how long the backplane may take to answer first.
const backplaneTimeout = 5 * time.Second

// Open connects with the system. Services are connected when they are called; the backplane is at once, and the error is that it
// does not answer: what is returned then reaches all else.
func Open(ctx context.Context, o Options) (*Reach, error) {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	r := &Reach{conns: make(map[string]*rpc.Conn)}
	r.app = &hanse.App{Registry: o.Registry, Identity: o.Identity, Logger: o.Logger, NoTelemetry: true}
	if o.Authority != nil {
		r.app.Identity = named{o.Authority}
	}
	if o.Backplane == "" {
		return r, nil
	}
	ctx, cancel := context.WithTimeout(ctx, backplaneTimeout)
	defer cancel()
	var err error
	r.conn, err = hanse.NATS(o.Backplane).Connect(ctx, nats.Name("hanse dashboard"), nats.MaxReconnects(-1), nats.ReconnectBufSize(-1), nats.Timeout(backplaneTimeout))
	if err != nil {
		return r, fmt.Errorf("the backplane %s does not answer: %w", hanse.NATS(o.Backplane), err)
	}
	r.broker = natsevents.New(r.conn, natsevents.Options{System: o.System, Logger: o.Logger})
	r.store = &natsstore.Store{Conn: r.conn, System: o.System, Logger: o.Logger}
	return r, nil
}

// Give gives the dashboard what is reached.
func (r *Reach) Give(s *dashboard.Server) {
	s.Conn = r.Conn
	if r.broker != nil {
		s.Events, s.Store = r.broker, r.store
	}
}

// Conn returns the connection to a service. It tells nothing of its calls by itself.
func (r *Reach) Conn(service string) grpc.ClientConnInterface {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.conns[service]
	if c == nil {
		c = r.app.Conn(service)
		r.conns[service] = c
	}
	return c
}

// Close ends the connections.
func (r *Reach) Close() {
	r.app.Close()
	if r.conn != nil {
		r.broker.Close()
		r.conn.Close()
	}
}

// named is an authority that makes certificates for a service, or for the dashboard.
type named struct{ authority *identity.Authority }

// Certificate implements identity.Source.
func (n named) Certificate(service string) (*tls.Certificate, error) {
	return n.authority.Certificate(cmp.Or(service, Name))
}

// Roots implements identity.Source.
func (n named) Roots() (*x509.CertPool, error) { return n.authority.Roots() }

// Changed implements identity.Source.
func (n named) Changed() <-chan struct{} { return nil }
