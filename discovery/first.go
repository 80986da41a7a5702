package discovery

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// First returns a registry made of several: a service is where the first of them that knows an instance of it says. Instances are
// announced in each that is a [Registrar]; First returns a Registrar if there is one, whose scope is the widest of theirs. A service
// that none knows, and every service of First without arguments, has no instances.
func First(registries ...Registry) Registry {
	if len(registries) == 1 {
		return registries[0]
	}
	f := first(slices.Clone(registries))
	return announcedInAll(f, f)
}

type first []Registry

func (f first) Watch(ctx context.Context, service string, notify func([]Instance)) error {
	if err := checkWatch(service); err != nil {
		return err
	}
	if len(f) == 0 {
		notify(nil)
		<-ctx.Done()
		return nil
	}
	var sources []source
	for _, r := range f {
		sources = append(sources, source{registry: r, service: service})
	}
	return watchSources(ctx, sources, false, func(lists [][]Instance) { notify(firstOfEach(lists)) })
}

// firstOfEach takes, for each service, the instances of the first list that has any.
func firstOfEach(lists [][]Instance) []Instance {
	from := make(map[string]int)
	var result []Instance
	for n, list := range lists {
		for _, inst := range list {
			if _, ok := from[inst.Service]; !ok {
				from[inst.Service] = n
			}
			if from[inst.Service] == n {
				result = append(result, inst)
			}
		}
	}
	return result
}

func (f first) String() string {
	var all []string
	for _, r := range f {
		all = append(all, fmt.Sprint(r))
	}
	return strings.Join(all, " ")
}
