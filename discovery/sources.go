package discovery

import (
	"context"
	"slices"
	"sync"
)

// source is a part of what a registry that is made of others tells.
type source struct {
	registry Registry
	service  string
	keep     func(Instance) bool // nil: all
}

// watchSources watches all sources. It calls notify with what each of them said last, as soon as one said something and all before it
// have spoken too: what is first must not be passed over because it is slow. With all, it waits until each has spoken.
func watchSources(ctx context.Context, sources []source, all bool, notify func(lists [][]Instance)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var (
		mu    sync.Mutex
		lists = make([][]Instance, len(sources))
		spoke = make([]bool, len(sources))
		wg    sync.WaitGroup
		errs  = make([]error, len(sources))
	)
	heard := func(i int, list []Instance) {
		if keep := sources[i].keep; keep != nil {
			list = slices.DeleteFunc(list, func(inst Instance) bool { return !keep(inst) })
		}
		mu.Lock()
		defer mu.Unlock()
		lists[i], spoke[i] = list, true
		before := spoke[:i]
		if all {
			before = spoke
		}
		if slices.Contains(before, false) {
			return
		}
		told := make([][]Instance, len(lists))
		for i, list := range lists {
			if !spoke[i] {
				break
			}
			for _, inst := range list { // copies: they are told again with the next change
				told[i] = append(told[i], inst.Clone())
			}
		}
		notify(told)
	}
	for i, s := range sources {
		wg.Go(func() {
			errs[i] = s.registry.Watch(ctx, s.service, func(list []Instance) { heard(i, list) })
			if errs[i] != nil {
				cancel()
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
