package config

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/hanse-go/hanse/internal/nearest"
)

// Check reports the settings of these services that none of the structs loaded so far knows: keys of the file and names of flags. Call it
// when all structs of the services are loaded. Sections of the file that belong to other services are left alone, unless their name
// looks like a mistake in one of [Loader.Services] or of these.
func (l *Loader) Check(services ...string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	doc, err := l.document()
	if err != nil {
		return err
	}
	return errors.Join(l.check(doc, services)...)
}

func (l *Loader) check(doc *document, services []string) (problems []error) {
	known := slices.Concat(l.Services, services)
	if doc.root != nil {
		var missing []string
		for _, s := range services {
			if doc.section(s) == nil {
				missing = append(missing, s)
			}
		}
		for _, k := range doc.root.keys {
			near := nearest.Name(k.name, missing)
			if near == "" || slices.Contains(known, k.name) {
				continue
			}
			e := &Error{Source: Source{Kind: File, Name: doc.path}, Reason: fmt.Sprintf(
				"this program has no service %q; did you mean %q? (If %s is a service of another program, add an empty section %s: for this one.)",
				k.name, near, k.name, near)}
			doc.locate(e, k.mark, true)
			problems = append(problems, e)
		}
	}
	for _, service := range services {
		for _, p := range unknownKeys(doc, service, l.types(service)) {
			problems = append(problems, p.err)
		}
	}
	return append(problems, l.unknownFlags(services)...)
}

// types lists the structs that were loaded for a service.
func (l *Loader) types(service string) (types []reflect.Type) {
	for _, t := range l.targets {
		if t.service == service {
			types = append(types, t.base.Type())
		}
	}
	return types
}

// unknown is a key that no struct has.
type unknown struct {
	err  error
	near bool // some struct has a similar one
}

// unknownKeys lists the keys in the section of a service that none of the structs has.
func unknownKeys(doc *document, service string, types []reflect.Type) []unknown {
	section := doc.section(service)
	if section == nil {
		return nil
	}
	c := &keyCheck{doc: doc}
	c.check(section, service, types)
	return c.found
}

type keyCheck struct {
	doc   *document
	found []unknown
	seen  int
}

// check compares what n says at path with the types that a value there has in the structs.
func (c *keyCheck) check(n *node, path string, types []reflect.Type) {
	if c.seen++; c.seen > maxValues {
		return
	}
	var structs, elems []reflect.Type
	for _, t := range types {
		for t.Kind() == reflect.Pointer {
			t = t.Elem()
		}
		switch {
		case isText(t):
		case t.Kind() == reflect.Struct:
			structs = append(structs, t)
		case t.Kind() == reflect.Map, t.Kind() == reflect.Slice, t.Kind() == reflect.Array:
			elems = append(elems, t.Elem())
		case t.Kind() == reflect.Interface:
			return
		}
	}
	for i, item := range n.items {
		c.check(item, fmt.Sprintf("%s[%d]", path, i), elems)
	}
	if n.kind != object || len(structs) == 0 && len(elems) > 0 {
		for _, k := range n.keys {
			c.check(k.node, path+"."+k.name, elems)
		}
		return
	}
	if len(structs) == 0 && strings.Contains(path, ".") {
		return // a mapping where a single value belongs: Load said so
	}
	byName := map[string][]reflect.Type{}
	for _, t := range structs {
		list, _ := fields(t)
		for _, f := range list {
			byName[f.name] = append(byName[f.name], f.typ)
		}
	}
	for _, k := range n.keys {
		if types, ok := byName[k.name]; ok {
			c.check(k.node, path+"."+k.name, types)
			continue
		}
		hint, near := suggest(k.name, slices.Sorted(maps.Keys(byName)))
		e := &Error{Source: Source{Kind: File, Name: c.doc.path}, Reason: fmt.Sprintf("%s has no setting %q%s", path, k.name, hint)}
		c.doc.locate(e, k.mark, true)
		c.found = append(c.found, unknown{e, near})
	}
}

// suggest says which name was probably meant, or which there are.
func suggest(name string, names []string) (hint string, near bool) {
	if n := nearest.Name(name, names); n != "" {
		return "; did you mean " + strconv.Quote(n) + "?", true
	}
	if len(names) == 0 {
		return ": it has none", false
	}
	return "; it has " + strings.Join(names, ", "), false
}

// unknownFlags lists the flags that no struct of their service has, and those of services that do not exist.
func (l *Loader) unknownFlags(services []string) (problems []error) {
	names := slices.Concat(l.Services, services)
	slices.Sort(names)
	names = slices.Compact(names)
	for _, flag := range slices.Sorted(maps.Keys(l.Flags)) {
		service, _, ok := strings.Cut(flag, ".")
		reason := ""
		switch {
		case !ok:
			reason = "want SERVICE.SETTING=VALUE"
		case slices.Contains(services, service):
			paths := l.paths(service)
			if slices.Contains(paths, flag) {
				continue
			}
			hint, _ := suggest(flag, paths)
			reason = "there is no such setting" + hint
		case slices.Contains(l.Services, service):
			continue // it does not run here
		default:
			hint, _ := suggest(service, names)
			reason = fmt.Sprintf("there is no service %q%s", service, strings.Replace(hint, "it has ", "there are ", 1))
		}
		problems = append(problems, &Error{Source: Source{Kind: Flag, Name: flag}, Reason: reason})
	}
	return problems
}

// paths lists what flags can set for a service.
func (l *Loader) paths(service string) (paths []string) {
	for _, t := range l.types(service) {
		paths = appendPaths(paths, t, service, nil)
	}
	slices.Sort(paths)
	return slices.Compact(paths)
}

func appendPaths(paths []string, t reflect.Type, path string, within []reflect.Type) []string {
	if slices.Contains(within, t) {
		return paths
	}
	list, _ := fields(t)
	for _, f := range list {
		at, ft := path+"."+f.name, f.typ
		if ft.Kind() == reflect.Pointer && isStruct(ft.Elem()) {
			ft = ft.Elem()
		}
		if isStruct(ft) {
			paths = appendPaths(paths, ft, at, append(within, t))
			continue
		}
		paths = append(paths, at)
	}
	return paths
}
