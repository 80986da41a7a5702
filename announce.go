package hanse

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/hanse-go/hanse/discovery"
)

// announceStarting puts the instances into the registry before their set-ups run, so that others see them come.
func (r *run) announceStarting(ctx context.Context) error {
	registrar, ok := r.registry.(discovery.Registrar)
	if !ok {
		r.log.Info("not announced: the registry only finds instances", "registry", fmt.Sprint(r.registry))
		return nil
	}
	var errs []error
	for _, m := range r.members {
		m.instance = discovery.Instance{
			Service:  m.Name,
			ID:       m.id,
			Version:  m.Version,
			State:    discovery.Starting,
			Zone:     r.app.Zone,
			Weight:   r.app.Weight,
			PID:      os.Getpid(),
			Started:  r.began.UTC().Truncate(time.Millisecond),
			Metadata: maps.Clone(r.app.Labels),
		}
		if m.Version == "" {
			m.instance.Version = buildVersion()
		}
		lease, err := registrar.Register(ctx, m.instance)
		if err != nil {
			errs = append(errs, fmt.Errorf("service %s: cannot announce it in the registry: %w", m.Name, err))
			continue
		}
		m.lease = lease
	}
	return errors.Join(errs...)
}

// announceReady tells that the instances take calls, and where.
func (r *run) announceReady(ctx context.Context) error {
	var errs []error
	for _, m := range r.members {
		if m.lease == nil {
			continue
		}
		m.instance.State = discovery.Ready
		if m.Unknown == nil { // else it may have any
			m.instance.Contracts = contracts(m.server.GetServiceInfo())
		}
		if err := m.locate(); err != nil {
			errs = append(errs, err)
			continue
		}
		if err := m.lease.Update(ctx, m.instance); err != nil {
			errs = append(errs, fmt.Errorf("service %s: cannot announce it in the registry: %w", m.Name, err))
		}
	}
	return errors.Join(errs...)
}

// locate fills in where the instance is reached.
func (m *member) locate() error {
	p, a, scope := m.port, m.run.app, m.run.scope()
	if p.addr != nil {
		advertise := a.Advertise
		if p.own != "" { // the port in it is that of the shared listener
			host, _, err := splitAdvertise(advertise)
			if err != nil {
				return err
			}
			advertise = host
		}
		addr, err := advertised(p.addr, advertise, scope, outwardIP)
		if err != nil {
			return fmt.Errorf("service %s: cannot announce it: %w", m.Name, err)
		}
		m.instance.Endpoints = append(m.instance.Endpoints, (&url.URL{Scheme: "tcp", Host: addr}).String())
		if len(m.routes) > 0 {
			scheme := "http"
			if a.Identity != nil && !m.run.plainHTTP(p) {
				scheme = "https"
			}
			m.tell("http", (&url.URL{Scheme: scheme, Host: addr}).String())
		}
	}
	if label := wireLabel(m.run.wire); label != "" {
		m.tell("wire", label)
	}
	if slices.ContainsFunc(m.instance.Endpoints, func(e string) bool { return len(e) > 5 && e[:5] == "unix:" }) {
		m.instance.Host = hostID()
	}
	if admin := m.run.admin; admin != nil {
		if addr, err := advertised(admin.addr, "", scope, outwardIP); err == nil { // else it is for this machine only
			m.instance.Admin = addr
		}
	}
	return nil
}

// tell adds to what is announced with the instance.
func (m *member) tell(key, value string) {
	if m.instance.Metadata == nil {
		m.instance.Metadata = make(map[string]string)
	}
	m.instance.Metadata[key] = value
}

// tellDraining is how long a registry may take to hear that the app drains: one that is away must not use up the time that running
// calls have.
const tellDraining = 2 * time.Second

// announceDraining tells others to call elsewhere.
func (r *run) announceDraining(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, tellDraining)
	defer cancel()
	var all sync.WaitGroup
	for _, m := range r.members {
		if m.lease == nil {
			continue
		}
		all.Go(func() {
			m.announce.Lock()
			defer m.announce.Unlock()
			m.instance.State = discovery.Draining
			if err := m.lease.Update(ctx, m.instance); err != nil {
				m.log.Warn("cannot tell the registry that the service drains", "error", err)
			}
		})
	}
	all.Wait()
}

// scope returns who reads what is announced.
func (r *run) scope() discovery.Scope {
	if registrar, ok := r.registry.(discovery.Registrar); ok {
		return registrar.Scope()
	}
	return discovery.ScopeProcess
}
