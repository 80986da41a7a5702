package discovery

import (
	"context"
	"slices"
)

// Merge returns a registry made of several, for the time of a move from one to another: a service has all instances that any of them
// knows, so that calls go to those that have moved and to those that have not. Instances are announced in each that is a [Registrar];
// Merge returns a Registrar if there is one, whose scope is the widest of theirs.
//
// An instance that several know is told once, as that one says in which it has come furthest on its way from [Starting] to [Draining];
// for equals, the first. Nothing is told until all have spoken, so that a service is not taken for smaller than it is.
//
// [First] is for other cases: there a service is found in one registry alone.
func Merge(registries ...Registry) Registry {
	if len(registries) == 1 {
		return registries[0]
	}
	m := merged{first(slices.Clone(registries))}
	return announcedInAll(m, m.first)
}

type merged struct{ first }

func (m merged) Watch(ctx context.Context, service string, notify func([]Instance)) error {
	if len(m.first) == 0 {
		return m.first.Watch(ctx, service, notify)
	}
	if err := checkWatch(service); err != nil {
		return err
	}
	var sources []source
	for _, r := range m.first {
		sources = append(sources, source{registry: r, service: service})
	}
	return watchSources(ctx, sources, true, func(lists [][]Instance) { notify(unionOf(lists)) })
}

// unionOf takes each instance once.
func unionOf(lists [][]Instance) []Instance {
	type key struct{ service, key string }
	at := make(map[key]int)
	var result []Instance
	for _, list := range lists {
		for _, inst := range list {
			k := key{inst.Service, inst.Key()}
			n, known := at[k]
			if !known {
				at[k] = len(result)
				result = append(result, inst)
			} else if inst.State.step() > result[n].State.step() {
				result[n] = inst
			}
		}
	}
	slices.SortFunc(result, compareInstances)
	return result
}
