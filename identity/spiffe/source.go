// Package spiffe takes a program's certificates from the SPIFFE Workload API, which an agent such as SPIRE's offers on every node:
//
//	app := &hanse.App{Identity: &spiffe.Source{Path: "ns/shop/sa/{service}"}}
//
// The agent knows which process asks, and gives it short-lived certificates for the identities that it is registered for. They are
// renewed as the agent sends new ones; connections that are open go on.
package spiffe

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/hanse-go/hanse/identity"
)

// firstWait is how long the first certificates may take to come.
const firstWait = 10 * time.Second

const servicePlaceholder = "{service}"

// Source is an [identity.Source] that follows the Workload API. It connects when it is asked for the first time, and then waits up to
// 10 seconds for certificates; later it answers at once with those that came last, also while the agent is away.
//
// The trust domain is that of the first identity that the agent gives. Others, and authorities of federated domains, count for nothing:
// an app calls, and is called by, services of its own system.
//
// The fields are set before first use. Its methods are safe for concurrent use. A Source must not be copied. An App that runs closes it;
// elsewhere it must be closed.
type Source struct {
	// Addr is the address of the Workload API, such as unix:///run/spire/sockets/agent.sock. "" is what the environment has in
	// SPIFFE_ENDPOINT_SOCKET.
	Addr string

	// Path is the path of the services' SPIFFE IDs, in which {service} stands for a service's name: "ns/shop/sa/{service}". All services
	// that call each other must have IDs of this form. "" is "{service}".
	Path string

	// Logger is told of trouble with the agent. nil: slog.Default.
	Logger *slog.Logger

	mu      sync.Mutex
	cancel  context.CancelFunc // ends the watch; nil before it begins
	done    chan struct{}      // closed when the watch has ended
	closed  bool
	first   chan struct{} // closed when the first certificates have come, or never will
	now     *material     // what came last; nil: nothing
	err     error         // of the last attempt to get a newer one
	changed chan struct{} // closed at the next change; nil: nobody waits
}

var _ identity.Namer = (*Source)(nil)

// Certificate implements [identity.Source]: the certificate whose ID has the path of the service, and the agent's default for "".
func (s *Source) Certificate(service string) (*tls.Certificate, error) {
	m, err := s.material()
	if err != nil {
		return nil, err
	}
	if service == "" {
		return m.main, nil
	}
	want := s.ServiceID(m.system, service)
	if cert := m.certs[want]; cert != nil {
		return cert, nil
	}
	return nil, fmt.Errorf("spiffe: the Workload API does not give this process the identity %s, but %s: register it with the agent's server, or say in Source.Path what the IDs of services look like",
		want, strings.Join(m.names, ", "))
}

// Roots implements [identity.Source].
func (s *Source) Roots() (*x509.CertPool, error) {
	m, err := s.material()
	if err != nil {
		return nil, err
	}
	return m.roots, nil
}

// Changed implements [identity.Source].
func (s *Source) Changed() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.changed == nil {
		s.changed = make(chan struct{})
	}
	return s.changed
}

// ServiceID implements [identity.Namer], by Path.
func (s *Source) ServiceID(system, service string) identity.ID {
	path := s.Path
	if path == "" {
		path = servicePlaceholder
	}
	return identity.ID{System: system, Service: strings.ReplaceAll(path, servicePlaceholder, service)}
}

// Run returns nil when ctx ends, and closes the Source. An App that runs calls it.
func (s *Source) Run(ctx context.Context) error {
	<-ctx.Done()
	return s.Close()
}

// Close ends the connection to the agent. The last certificates stay. Closing twice is no error.
func (s *Source) Close() error {
	s.mu.Lock()
	s.closed = true
	cancel, done := s.cancel, s.done
	s.mu.Unlock()
	if cancel != nil {
		cancel()
		<-done
	}
	return nil
}

// material returns what came last, after waiting for the first.
func (s *Source) material() (*material, error) {
	s.mu.Lock()
	if s.cancel == nil && !s.closed {
		var ctx context.Context
		ctx, s.cancel = context.WithCancel(context.Background())
		s.done, s.first = make(chan struct{}), make(chan struct{})
		go s.watch(ctx)
	}
	now, err, first, done := s.now, s.err, s.first, s.done
	s.mu.Unlock()
	if now == nil && first != nil {
		timeout := time.NewTimer(firstWait)
		defer timeout.Stop()
		select {
		case <-first:
		case <-done:
		case <-timeout.C:
		}
		s.mu.Lock()
		now, err = s.now, s.err
		s.mu.Unlock()
	}
	switch {
	case now != nil:
		return now, nil
	case err != nil:
		return nil, fmt.Errorf("spiffe: no certificates from the Workload API: %w", err)
	case done == nil:
		return nil, fmt.Errorf("spiffe: the Source was closed")
	}
	return nil, fmt.Errorf("spiffe: the Workload API gave no certificates within %v", firstWait)
}
