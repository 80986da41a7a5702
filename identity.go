package hanse

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/hanse-go/hanse/identity"
	"github.com/hanse-go/hanse/internal/systems"
)

// setIdentity is what --identity does.
func (v *values) setIdentity(s string) error {
	v.app.Identity, v.noIdentity, v.files = nil, s == "off", nil
	if v.noIdentity {
		return nil
	}
	files, err := identity.ParseFiles(s)
	if err != nil {
		return err
	}
	v.app.Identity, v.files = files, files
	return nil
}

// joinIdentity takes the identity that hanse dev gives the programs of a system that were started by hand: certificates of its
// authority, which this process may use because it is the same user's.
func (v *values) joinIdentity(s systems.System) error {
	if s.Identity == "" || v.app.Identity != nil || v.noIdentity {
		return nil
	}
	a, err := identity.LoadAuthority(s.Identity)
	if err != nil {
		return fmt.Errorf("the authority of the system %s, which hanse dev runs: %w", s.Name, err)
	}
	v.app.Identity = a
	return nil
}

// joinIdentityOf is joinIdentity for the running system whose registry is one of those that were given.
func (v *values) joinIdentityOf(registries []string) error {
	local := func(url string) bool { return strings.HasPrefix(url, "local:") }
	if v.app.Identity != nil || v.noIdentity || !slices.ContainsFunc(registries, local) {
		return nil
	}
	running, err := systems.List()
	if err != nil {
		return err
	}
	for _, s := range running {
		if slices.Contains(registries, s.Registry) {
			return v.joinIdentity(s)
		}
	}
	return nil
}

// source returns where the certificates of one caller come from, nil when the app has no identity.
func (a *App) source() identity.Source {
	if a.Identity == nil {
		return nil
	}
	return &appSource{Source: a.Identity, app: a}
}

// certified is who an app is by its certificates.
type certified struct {
	system string // as the certificates name it
	first  string // service: its certificate is that of callers that are no service
}

// appSource gives a name to callers that are no service.
type appSource struct {
	identity.Source
	app *App
}

// Certificate is that of the source, and for a caller that is no service that of the first one of the app, if it has any.
func (s *appSource) Certificate(service string) (*tls.Certificate, error) {
	if service != "" {
		return s.Source.Certificate(service)
	}
	if c := s.app.certified.Load(); c != nil {
		service = c.first
	} else if _, ok := s.Source.(*identity.Authority); ok {
		service = programName()
	}
	return s.Source.Certificate(service)
}

// ServiceID is that of the source, where it has a say.
func (s *appSource) ServiceID(system, service string) identity.ID {
	if n, ok := s.Source.(identity.Namer); ok {
		return n.ServiceID(system, service)
	}
	return identity.ID{System: system, Service: service}
}

// programName makes the name of the program one that a service could have.
func programName() string {
	base := strings.TrimSuffix(filepath.Base(os.Args[0]), ".exe")
	name := strings.Trim(strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		}
		return '-'
	}, base), "-")
	return cmp.Or(name[:min(len(name), 63)], "program")
}

// checkIdentity returns what is wrong with the certificates of the app's services, before anybody meets them.
func (r *run) checkIdentity() (mistakes []error) {
	a := r.app
	if a.Identity == nil {
		return nil
	}
	for _, m := range r.members {
		id, err := ownID(a.Identity, m.Name)
		if err != nil {
			mistakes = append(mistakes, fmt.Errorf("service %s: no certificate to show: %w", m.Name, err))
			continue
		}
		if want := (&appSource{a.Identity, a}).ServiceID(id.System, m.Name); id != want {
			mistakes = append(mistakes, fmt.Errorf("service %s: its certificate is that of %s, and callers want to see %s", m.Name, id, want))
		}
		a.certified.CompareAndSwap(nil, &certified{system: id.System, first: m.Name})
		if c := a.certified.Load(); c.system != id.System {
			mistakes = append(mistakes, fmt.Errorf("service %s: its certificate is of the system %s, and that of %s of %s: services of one app belong to one system", m.Name, id.System, c.first, c.system))
		}
	}
	if _, err := a.Identity.Roots(); err != nil {
		mistakes = append(mistakes, fmt.Errorf("App.Identity: no authorities to believe: %w", err))
	}
	return mistakes
}

// ownID returns the ID that a service has by the certificate that it shows.
func ownID(src identity.Source, service string) (identity.ID, error) {
	cert, err := src.Certificate(service)
	if err != nil {
		return identity.ID{}, err
	}
	if cert.Leaf == nil {
		return identity.ID{}, errors.New("the source gave a certificate without Leaf")
	}
	if now := time.Now(); now.After(cert.Leaf.NotAfter) {
		return identity.ID{}, fmt.Errorf("it has expired at %s, and nobody would take it: renew it", cert.Leaf.NotAfter.Format(time.RFC3339))
	}
	return identity.CertificateID(cert.Leaf)
}

// runIdentity lets a source that wants to run do so.
func (r *run) runIdentity(ctx context.Context) {
	runner, ok := r.app.Identity.(interface {
		Run(ctx context.Context) error
	})
	if !ok {
		return
	}
	r.background.Go(func() {
		if err := runner.Run(ctx); err != nil && ctx.Err() == nil {
			r.log.Error("certificates are not renewed any more", "error", err)
		}
	})
}

// plainHTTP reports whether pages of a port with an identity may be had over plain HTTP.
func (r *run) plainHTTP(p *port) bool {
	if r.app.PlainHTTP != nil {
		return *r.app.PlainHTTP
	}
	return !p.public()
}
