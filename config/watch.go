package config

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"runtime/debug"
	"slices"
	"time"
)

// pollInterval is how often the file is read. A change is taken when two reads in a row agree, so that a file which is just being
// written is not.
const pollInterval = 500 * time.Millisecond

// Watch fills a T and calls f with it before it returns; after that, f is called whenever a change of the file led to another T, one call
// at a time. T is a struct; the package comment says how it is filled. Values that come from the environment and from flags stay.
//
// f should only take the value over. When it panics because of a change, that is logged and the process goes on; f is called again at
// the next change. In the call that Watch makes, a panic is the caller's.
//
// s is a *hanse.Service, a [Section], or whatever has a Config that ends in [Loader.Load].
func Watch[T any](s interface{ Config(dst any) error }, f func(T)) error {
	w := &watch[T]{notify: f}
	if t := reflect.TypeFor[T](); t.Kind() != reflect.Struct {
		return fmt.Errorf("config: watch a struct, not %s", t)
	}
	if err := s.Config(w); err != nil {
		return err
	}
	if !w.loaded {
		return fmt.Errorf("config: the Config method of %T did not reach Loader.Load", s)
	}
	return nil
}

// watcher is what Watch hands through Config to Load.
type watcher interface {
	watch() (zero reflect.Value, notify func(reflect.Value))
}

type watch[T any] struct {
	notify func(T)
	loaded bool
}

func (w *watch[T]) watch() (reflect.Value, func(reflect.Value)) {
	w.loaded = true
	return reflect.ValueOf(new(T)).Elem(), func(v reflect.Value) { w.notify(v.Interface().(T)) }
}

// deliver tells a watcher the value in use, unless it knows.
func (l *Loader) deliver(t *target) {
	t.delivery.Lock()
	defer t.delivery.Unlock()
	l.mu.Lock()
	v := t.value
	l.mu.Unlock()
	if t.delivered.IsValid() && reflect.DeepEqual(v.Interface(), t.delivered.Interface()) {
		return
	}
	t.delivered = reflect.Value{} // if it panics, nobody knows what it has: then the next change is news, whatever it is
	t.notify(v)
	t.delivered = v
}

// redeliver is deliver for a change, where nobody but the log can be told of a panic.
func (l *Loader) redeliver(t *target) {
	defer func() {
		if p := recover(); p != nil {
			l.logger().Error("panic in a function given to config.Watch: it may not use the changed values; repair it and restart the service",
				slog.String("section", t.service), slog.String("file", l.File), slog.Any("panic", p), slog.String("stack", string(debug.Stack())))
		}
	}()
	l.deliver(t)
}

// Run follows the file until ctx ends, and then returns nil. A changed file is applied as a whole or not at all: when any struct that was
// loaded or is watched would refuse it, the reason is logged once and everything stays as it is.
func (l *Loader) Run(ctx context.Context) error {
	if l.File == "" {
		<-ctx.Done()
		return nil
	}
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	var f follower
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			data, err := readFile(l.File)
			if f.changed(l.current(), data, err) {
				l.reload(data, err)
			}
		}
	}
}

// current is the content that is in use, nil when none could be read.
func (l *Loader) current() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	if doc, err := l.document(); err == nil {
		return doc.data
	}
	return nil
}

// follower decides when a file that is read again and again has changed.
type follower struct {
	last, refused []byte
	lastErr       string
	refusedErr    string
}

// changed reports whether the file has a new content (or cannot be read any more) that was seen twice in a row and not reported before.
func (f *follower) changed(current, data []byte, err error) bool {
	text := ""
	if err != nil {
		data, text = nil, err.Error()
	}
	again := text == f.lastErr && bytes.Equal(data, f.last)
	f.last, f.lastErr = data, text
	switch {
	case err == nil && bytes.Equal(data, current):
		f.refused, f.refusedErr = nil, ""
		return false
	case !again, text == f.refusedErr && bytes.Equal(data, f.refused):
		return false
	}
	f.refused, f.refusedErr = data, text
	return true
}

// reload applies a new content of the file, or refuses it.
func (l *Loader) reload(data []byte, err error) {
	var applied []*target
	var changed, fixed []string
	if err == nil {
		applied, changed, fixed, err = l.apply(data)
	}
	log := l.logger().With(slog.String("file", l.File))
	if err != nil {
		log.Error("the changed config file is refused; the values read before stay in use", slog.Any("error", err))
		return
	}
	for _, t := range applied {
		l.redeliver(t)
	}
	log.Info("config file applied", slog.Any("changed", changed))
	if len(fixed) > 0 {
		log.Warn("some changed values are read at start only: restart to use them", slog.Any("settings", fixed))
	}
}

// apply fills all targets from the new content. It returns the watchers, the paths that changed for them, and those that changed but
// are not watched.
func (l *Loader) apply(data []byte) (watchers []*target, changed, fixed []string, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer func() { // a Validate method is the service's code
		if p := recover(); p != nil {
			err = fmt.Errorf("panic while it was checked: %v\n%s", p, debug.Stack())
		}
	}()
	doc, err := newDocument(l.File, data)
	if err != nil {
		return nil, nil, nil, err
	}
	type filled struct {
		value   reflect.Value
		sources map[string]Source
	}
	var all []filled
	var problems []error
	var services []string
	for _, t := range l.targets {
		v, sources, err := l.fill(doc, t)
		problems = append(problems, err)
		all = append(all, filled{v, sources})
		if !slices.Contains(services, t.service) {
			services = append(services, t.service)
		}
	}
	if err = errors.Join(problems...); err == nil {
		err = errors.Join(l.check(doc, services)...)
	}
	if err != nil {
		return nil, nil, nil, err
	}
	l.doc, l.docErr = doc, nil
	for i, t := range l.targets {
		paths := differences(t.value, all[i].value, t.service)
		if t.notify == nil {
			fixed = append(fixed, paths...)
			continue
		}
		t.value, t.sources = all[i].value, all[i].sources
		watchers = append(watchers, t)
		changed = append(changed, paths...)
	}
	for _, list := range []*[]string{&changed, &fixed} {
		slices.Sort(*list)
		*list = slices.Compact(*list)
	}
	fixed = slices.DeleteFunc(fixed, func(p string) bool { return slices.Contains(changed, p) })
	return watchers, changed, fixed, nil
}

// differences lists the settings in which two structs of one type differ.
func differences(a, b reflect.Value, service string) (paths []string) {
	values := map[string]any{}
	walk(a, service, func(path string, _ field, v reflect.Value) { values[path] = v.Interface() })
	walk(b, service, func(path string, _ field, v reflect.Value) {
		old, ok := values[path]
		delete(values, path)
		if !ok || !reflect.DeepEqual(old, v.Interface()) {
			paths = append(paths, path)
		}
	})
	for path := range values {
		paths = append(paths, path)
	}
	return paths
}
