package discovery

import (
	"context"
	"fmt"
	"maps"
	"slices"
)

// Targets returns a registry that finds the named services at targets, as [ParseTarget] reads them, and all others in base, which may
// be nil. It is a [Registrar] if base is one: instances are announced there also when callers here are sent elsewhere. A malformed
// target or name is an error.
func Targets(targets map[string]string, base Registry) (Registry, error) {
	if base == nil {
		base = Static(nil)
	}
	if len(targets) == 0 {
		return base, nil
	}
	t := &overridden{base: base, targets: make(map[string]Registry)}
	for _, name := range slices.Sorted(maps.Keys(targets)) {
		if err := CheckName(name); err != nil {
			return nil, fmt.Errorf("discovery: target of %q: %w", name, err)
		}
		target, err := parseTarget(targets[name])
		if err != nil {
			return nil, fmt.Errorf("discovery: target of %s: %q: %w", name, targets[name], err)
		}
		t.targets[name] = target
	}
	if registrar, ok := base.(Registrar); ok {
		return &overriddenRegistrar{overridden: t, registrar: registrar}, nil
	}
	return t, nil
}

type overridden struct {
	base    Registry
	targets map[string]Registry
}

func (o *overridden) Watch(ctx context.Context, service string, notify func([]Instance)) error {
	if target := o.targets[service]; target != nil {
		return target.Watch(ctx, service, notify)
	}
	if service != "" {
		return o.base.Watch(ctx, service, notify)
	}
	// All services: those of base that have no target, and the targets.
	sources := []source{{registry: o.base, keep: func(i Instance) bool { return o.targets[i.Service] == nil }}}
	for _, name := range slices.Sorted(maps.Keys(o.targets)) {
		sources = append(sources, source{registry: o.targets[name], service: name})
	}
	return watchSources(ctx, sources, false, func(lists [][]Instance) { notify(slices.Concat(lists...)) })
}

func (o *overridden) String() string {
	var all string
	for _, name := range slices.Sorted(maps.Keys(o.targets)) {
		all += fmt.Sprintf("%s=%v ", name, o.targets[name])
	}
	return all + fmt.Sprint(o.base)
}

type overriddenRegistrar struct {
	*overridden
	registrar Registrar
}

func (o *overriddenRegistrar) Register(ctx context.Context, inst Instance) (Lease, error) {
	return o.registrar.Register(ctx, inst)
}

func (o *overriddenRegistrar) Scope() Scope { return o.registrar.Scope() }
