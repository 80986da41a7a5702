package spiffe

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"time"

	"github.com/hanse-go/hanse/identity"
	"github.com/spiffe/go-spiffe/v2/workloadapi"
)

// watchPause is how long to wait when the agent has said that asking again is no use: it may be configured anew.
const watchPause = 10 * time.Second

// material is what the agent gave.
type material struct {
	system string
	main   *tls.Certificate // the agent's default
	certs  map[identity.ID]*tls.Certificate
	names  []string // of certs, in the agent's order
	roots  *x509.CertPool
}

// newMaterial takes over what is of the trust domain of the first certificate.
func newMaterial(from *workloadapi.X509Context) (*material, error) {
	domain := from.DefaultSVID().ID.TrustDomain()
	bundle, err := from.Bundles.GetX509BundleForTrustDomain(domain)
	if err != nil {
		return nil, err
	}
	m := &material{system: domain.Name(), certs: make(map[identity.ID]*tls.Certificate), roots: x509.NewCertPool()}
	for _, svid := range from.SVIDs {
		if !svid.ID.MemberOf(domain) {
			continue
		}
		cert := &tls.Certificate{PrivateKey: svid.PrivateKey, Leaf: svid.Certificates[0]}
		for _, c := range svid.Certificates {
			cert.Certificate = append(cert.Certificate, c.Raw)
		}
		id, err := identity.CertificateID(cert.Leaf)
		if err != nil {
			return nil, err
		}
		if m.main == nil {
			m.main = cert
		}
		m.certs[id] = cert
		m.names = append(m.names, id.String())
	}
	for _, authority := range bundle.X509Authorities() {
		m.roots.AddCert(authority)
	}
	return m, nil
}

// watch follows the agent until ctx ends.
func (s *Source) watch(ctx context.Context) {
	defer close(s.done)
	var options []workloadapi.ClientOption
	if s.Addr != "" {
		options = append(options, workloadapi.WithAddr(s.Addr))
	}
	client, err := workloadapi.New(ctx, options...)
	if err != nil {
		s.failed(fmt.Errorf("%w: set Source.Addr or SPIFFE_ENDPOINT_SOCKET, such as unix:///run/spire/sockets/agent.sock", err))
		return
	}
	defer client.Close()
	for ctx.Err() == nil {
		client.WatchX509Context(ctx, watcher{ctx, s}) // the watcher is told of errors
		select {
		case <-ctx.Done():
		case <-time.After(watchPause):
		}
	}
}

// watcher hears from the agent.
type watcher struct {
	ctx context.Context // of the watch
	*Source
}

var _ workloadapi.X509ContextWatcher = watcher{}

// OnX509ContextUpdate implements workloadapi.X509ContextWatcher.
func (w watcher) OnX509ContextUpdate(from *workloadapi.X509Context) {
	m, err := newMaterial(from)
	if err != nil {
		w.failed(err)
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.now == nil {
		close(w.first)
	}
	w.now, w.err = m, nil
	if w.changed != nil {
		close(w.changed)
		w.changed = nil
	}
}

// OnX509ContextWatchError implements workloadapi.X509ContextWatcher.
func (w watcher) OnX509ContextWatchError(err error) {
	if w.ctx.Err() == nil {
		w.failed(err)
	}
}

// failed notes why there is nothing new, and tells the log.
func (s *Source) failed(err error) {
	s.mu.Lock()
	first := s.now == nil
	attrs := []any{"error", err}
	if !first {
		attrs = append(attrs, "good until", s.now.main.Leaf.NotAfter)
	}
	again := s.err != nil && s.err.Error() == err.Error()
	s.err = err
	s.mu.Unlock()
	logger := s.Logger
	if logger == nil {
		logger = slog.Default()
	}
	switch {
	case again: // the log knows
	case first:
		logger.Warn("the SPIFFE Workload API gives no certificates; trying again", attrs...)
	default:
		logger.Warn("the SPIFFE Workload API does not answer; trying again while the last certificates count", attrs...)
	}
}
