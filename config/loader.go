package config

import (
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"sync"
)

// Loader fills the settings of the services of one process. Its zero value knows defaults only. The fields must not change after the
// first call; the methods may be called concurrently.
type Loader struct {
	File     string                      // path of the YAML file; empty: none
	Env      func(string) (string, bool) // such as os.LookupEnv; nil: no environment
	Flags    map[string]string           // what --set gave: cart.max-items → 20
	Services []string                    // names of all services of the program, those that do not run here, too
	Logger   *slog.Logger                // nil: slog.Default

	// Accept, unless it is nil, is asked about a struct that was filled for a service, after the Validate methods: for what only the
	// program knows. Its error refuses the struct, as one of Validate does.
	Accept func(service string, settings any) error

	mu      sync.Mutex
	doc     *document // what is in use; nil until it was first needed
	docErr  error
	targets []*target
}

// target is one struct that was filled, or is kept up to date.
type target struct {
	service string
	base    reflect.Value       // what it was before it was filled
	notify  func(reflect.Value) // of a watcher; nil: it is filled once
	value   reflect.Value       // what is in use
	sources map[string]Source

	delivery  sync.Mutex // held while notify runs, so that it never runs twice at once nor with an old value after a new one
	delivered reflect.Value
}

// Load fills the struct that dst points to with the settings of a service. When it returns an error, dst is as it was. Several structs
// may share the section of a service, each with the keys that it knows: see [Loader.Check].
//
// The error joins one [*Error] for each setting that cannot be used with the errors of Validate methods.
func (l *Loader) Load(service string, dst any) error {
	t := &target{service: service}
	var out reflect.Value
	if w, ok := dst.(watcher); ok {
		t.base, t.notify = w.watch()
	} else {
		out = reflect.ValueOf(dst)
		if out.Kind() != reflect.Pointer || out.IsNil() || out.Elem().Kind() != reflect.Struct {
			return fmt.Errorf("config: fill a pointer to a struct, not %T", dst)
		}
		out = out.Elem()
		t.base = reflect.New(out.Type()).Elem()
		t.base.Set(out)
	}
	if err := l.add(t); err != nil {
		return err
	}
	if t.notify != nil {
		l.deliver(t)
		return nil
	}
	out.Set(t.value)
	return nil
}

// For returns the settings of one service as something that [Watch] takes.
func (l *Loader) For(service string) Section { return Section{l, service} }

// Section is what a [Loader] has for one service.
type Section struct {
	loader  *Loader
	service string
}

// Config fills the struct that dst points to, as [Loader.Load] does.
func (s Section) Config(dst any) error { return s.loader.Load(s.service, dst) }

func (l *Loader) add(t *target) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	doc, err := l.document()
	if err != nil {
		return err
	}
	if t.value, t.sources, err = l.fill(doc, t); err != nil {
		return err
	}
	l.targets = append(l.targets, t)
	return nil
}

// document returns what is in use of the file. l.mu must be held.
func (l *Loader) document() (*document, error) {
	if l.doc != nil || l.docErr != nil {
		return l.doc, l.docErr
	}
	if l.File == "" {
		l.doc = &document{}
		return l.doc, nil
	}
	data, err := readFile(l.File)
	if err == nil {
		l.doc, err = newDocument(l.File, data)
	}
	l.docErr = err
	return l.doc, l.docErr
}

// fill makes the value of a target from all layers.
func (l *Loader) fill(doc *document, t *target) (reflect.Value, map[string]Source, error) {
	typ := t.base.Type()
	if err := checkType(typ, nil); err != nil {
		return reflect.Value{}, nil, fmt.Errorf("config: %w", err)
	}
	v := reflect.New(typ).Elem()
	v.Set(t.base)
	d := &decoder{file: doc, env: l.Env, flags: l.Flags, sources: map[string]Source{}}
	d.defaults(v, t.service)
	if section := doc.section(t.service); section != nil && section.kind != null {
		d.from = Source{Kind: File, Name: doc.path}
		d.decodeStruct(t.service, v, section)
	}
	d.overrides(v, t.service, nil)
	if len(d.problems) == 0 {
		l.validate(d, v, t.service)
	}
	if len(d.problems) > 0 {
		// A name that is not quite right often is why something is missing. (One that is nothing like ours may be another struct's.)
		for _, p := range unknownKeys(doc, t.service, []reflect.Type{typ}) {
			if p.near {
				d.problems = append(d.problems, p.err)
			}
		}
		slices.SortStableFunc(d.problems, func(a, b error) int { return line(a) - line(b) })
		return reflect.Value{}, nil, errors.Join(d.problems...)
	}
	return v, d.sources, nil
}

// line is where in the file an error stands, 0 elsewhere.
func line(err error) int {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Source.Line
	}
	return 0
}

// checkType reports what no setting could fill, in t and the structs within it.
func checkType(t reflect.Type, seen []reflect.Type) error {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice || t.Kind() == reflect.Array || t.Kind() == reflect.Map {
		t = t.Elem()
	}
	for _, s := range seen {
		if s == t {
			return nil
		}
	}
	if !isStruct(t) {
		return nil
	}
	list, err := fields(t)
	for _, f := range list {
		if err == nil {
			err = checkType(f.typ, append(seen, t))
		}
	}
	return err
}

// Values lists the settings of a service, in the order of their structs, for a page or a command that shows them. Structs of lists and
// maps are not taken apart.
func (l *Loader) Values(service string) []Value {
	l.mu.Lock()
	defer l.mu.Unlock()
	var list []Value
	seen := map[string]bool{}
	for _, t := range l.targets {
		if t.service != service {
			continue
		}
		walk(t.value, service, func(path string, f field, v reflect.Value) {
			if seen[path] {
				return
			}
			seen[path] = true
			for v.Kind() == reflect.Pointer && !v.IsNil() {
				v = v.Elem()
			}
			list = append(list, Value{Path: path, Text: fmt.Sprint(v.Interface()), Source: t.sources[path], Desc: f.desc, Env: envName(path)})
		})
	}
	return list
}

// Source tells where the setting of a path such as cart.db.max-conns came from, and whether there is one.
func (l *Loader) Source(path string) (Source, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, t := range l.targets {
		found := false
		walk(t.value, t.service, func(p string, _ field, _ reflect.Value) { found = found || p == path })
		if found {
			return t.sources[path], true
		}
	}
	return Source{}, false
}

// walk calls f for every field of struct v that is a setting, those of nested structs under their own path.
func walk(v reflect.Value, path string, f func(path string, f field, v reflect.Value)) {
	list, _ := fields(v.Type())
	for _, fd := range list {
		fv, at := v.FieldByIndex(fd.index), path+"."+fd.name
		switch {
		case isStruct(fd.typ):
			walk(fv, at, f)
		case fd.typ.Kind() == reflect.Pointer && isStruct(fd.typ.Elem()):
			if !fv.IsNil() {
				walk(fv.Elem(), at, f)
			}
		default:
			f(at, fd, fv)
		}
	}
}

func (l *Loader) logger() *slog.Logger {
	if l.Logger == nil {
		return slog.Default()
	}
	return l.Logger
}
