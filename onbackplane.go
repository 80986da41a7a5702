package hanse

import (
	"cmp"
	"context"
	"errors"

	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/discovery/natsdiscovery"
)

// onBackplane is an App as the registry on its backplane, which is connected when it is used first.
type onBackplane App

var (
	_ discovery.Registrar = (*onBackplane)(nil)
	_ discovery.Splitter  = (*onBackplane)(nil)
)

// open returns the registry.
func (r *onBackplane) open(ctx context.Context) (*natsdiscovery.Registry, error) {
	a := (*App)(r)
	nc, err := a.backplane().conn(ctx)
	if err != nil {
		return nil, err
	}
	a.linkMu.Lock()
	defer a.linkMu.Unlock()
	if a.nodes == nil {
		a.nodes = natsdiscovery.New(nc, natsdiscovery.Options{System: a.System, Logger: a.Logger})
	}
	return a.nodes, nil
}

// openOnBackplane is --registry backplane:, for who wants others beside it.
func (a *App) openOnBackplane(url string) (discovery.Registry, error) {
	if url != "backplane:" {
		return nil, errors.New("want backplane: and nothing more")
	}
	if a.Backplane == nil {
		return nil, errors.New("there is no backplane: set --backplane (HANSE_BACKPLANE), or App.Backplane")
	}
	return (*onBackplane)(a), nil
}

// Watch implements [discovery.Registry].
func (r *onBackplane) Watch(ctx context.Context, service string, notify func([]discovery.Instance)) error {
	reg, err := r.open(ctx)
	if err != nil {
		return quietly(ctx, err)
	}
	return reg.Watch(ctx, service, notify)
}

// Register implements [discovery.Registrar].
func (r *onBackplane) Register(ctx context.Context, inst discovery.Instance) (discovery.Lease, error) {
	reg, err := r.open(ctx)
	if err != nil {
		return nil, err
	}
	return reg.Register(ctx, inst)
}

// Scope implements [discovery.Registrar]. It is asked by an app that has connected.
func (r *onBackplane) Scope() discovery.Scope {
	reg, err := r.open(context.Background())
	if err != nil {
		return discovery.ScopeNetwork
	}
	return reg.Scope()
}

// SetSplit implements [discovery.Splitter].
func (r *onBackplane) SetSplit(ctx context.Context, split discovery.Split) error {
	reg, err := r.open(ctx)
	if err != nil {
		return err
	}
	return reg.SetSplit(ctx, split)
}

// WatchSplits implements [discovery.Splitter].
func (r *onBackplane) WatchSplits(ctx context.Context, service string, notify func([]discovery.Split)) error {
	reg, err := r.open(ctx)
	if err != nil {
		return quietly(ctx, err)
	}
	return reg.WatchSplits(ctx, service, notify)
}

// String returns the registry's URL, without secrets.
func (r *onBackplane) String() string {
	return "backplane:" + cmp.Or(r.System, natsdiscovery.DefaultSystem)
}
