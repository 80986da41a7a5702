package discovery

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// announcedInAll returns a registry that tells what reg does, and that announces in each of the registries that is a Registrar. If none
// is, it is reg.
func announcedInAll(reg Registry, registries []Registry) Registry {
	var registrars []Registrar
	for _, r := range registries {
		if registrar, ok := r.(Registrar); ok {
			registrars = append(registrars, registrar)
		}
	}
	if len(registrars) == 0 {
		return reg
	}
	return &inAll{Registry: reg, registrars: registrars}
}

type inAll struct {
	Registry
	registrars []Registrar
}

func (a *inAll) String() string { return fmt.Sprint(a.Registry) }

func (a *inAll) Scope() Scope {
	widest := ScopeProcess
	for _, r := range a.registrars {
		widest = max(widest, r.Scope())
	}
	return widest
}

// Register announces the instance in all registries, or in none if one of them fails.
func (a *inAll) Register(ctx context.Context, inst Instance) (Lease, error) {
	var all leases
	for _, r := range a.registrars {
		l, err := r.Register(ctx, inst)
		if err != nil {
			return nil, errors.Join(err, all.Close())
		}
		all = append(all, l)
	}
	return all, nil
}

// leases are those of one instance in several registries.
type leases []Lease

func (l leases) Update(ctx context.Context, inst Instance) error {
	return l.each(func(lease Lease) error { return lease.Update(ctx, inst) })
}

func (l leases) Close() error { return l.each(Lease.Close) }

// each calls do for all at the same time: one whose registry is away must not use up the time of the others.
func (l leases) each(do func(Lease) error) error {
	errs := make([]error, len(l))
	var wg sync.WaitGroup
	for i, lease := range l {
		wg.Go(func() { errs[i] = do(lease) })
	}
	wg.Wait()
	return errors.Join(errs...)
}
