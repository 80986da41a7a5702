package config

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
)

// validate reports what is required and missing and, when nothing is, asks the Validate methods, inner structs first, and then Accept.
func (l *Loader) validate(d *decoder, v reflect.Value, service string) {
	walk(v, service, func(path string, f field, fv reflect.Value) {
		if _, set := d.sources[path]; f.required && fv.IsZero() && (!set || f.typ.Kind() == reflect.String || f.typ == secretType) {
			d.problems = append(d.problems, &Error{Path: path, Reason: l.required(path)})
		}
	})
	if len(d.problems) == 0 {
		d.problems = append(d.problems, d.validateAll(v, service)...)
	}
	if len(d.problems) == 0 && l.Accept != nil {
		if err := l.Accept(service, v.Interface()); err != nil {
			d.problems = append(d.problems, d.refused(service, v.Type(), err)...)
		}
	}
}

// required says how to set what is missing.
func (l *Loader) required(path string) string {
	how := "it is required: set it"
	if l.File != "" {
		how += " in " + l.File
	}
	if l.Env != nil {
		if l.File != "" {
			how += ","
		}
		how += " with " + envName(path)
	}
	return how + " or with --set " + path + "=…"
}

// validateAll asks v, and before it the structs within v, whether they can be used as they are.
func (d *decoder) validateAll(v reflect.Value, path string) (problems []error) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			return d.validateAll(v.Elem(), path)
		}
		return nil
	case reflect.Slice, reflect.Array:
		if !holdsStruct(v.Type()) {
			return nil
		}
		for i := range v.Len() {
			problems = append(problems, d.validateAll(v.Index(i), fmt.Sprintf("%s[%d]", path, i))...)
		}
		return problems
	case reflect.Map:
		if !holdsStruct(v.Type()) {
			return nil
		}
		for it := v.MapRange(); it.Next(); {
			elem := reflect.New(v.Type().Elem()).Elem() // of a map they have no address
			elem.Set(it.Value())
			problems = append(problems, d.validateAll(elem, fmt.Sprintf("%s.%v", path, it.Key()))...)
		}
		return problems
	case reflect.Struct:
	default:
		return nil
	}
	if !isStruct(v.Type()) {
		return nil
	}
	list, _ := fields(v.Type())
	for _, f := range list {
		problems = append(problems, d.validateAll(v.FieldByIndex(f.index), path+"."+f.name)...)
	}
	if x, ok := v.Addr().Interface().(interface{ Validate() error }); ok && len(problems) == 0 {
		if err := x.Validate(); err != nil {
			problems = append(problems, d.refused(path, v.Type(), err)...)
		}
	}
	return problems
}

// refused returns the problems with the struct of type t at path that err tells, each with its place where err says which setting it is.
func (d *decoder) refused(path string, t reflect.Type, err error) []error {
	if e, ok := err.(*Error); ok {
		problem := &Error{Path: path, Reason: e.Reason}
		if e.Path != "" {
			problem.Path += "." + e.Path
		}
		d.find(problem, !holdsSecret(t, nil))
		return []error{problem}
	}
	joined, ok := err.(interface{ Unwrap() []error })
	if _, some := errors.AsType[*Error](err); ok && some {
		var problems []error
		for _, err := range joined.Unwrap() {
			problems = append(problems, d.refused(path, t, err)...)
		}
		return problems
	}
	return []error{fmt.Errorf("%s: %w", path, err)}
}

// find fills in where the setting of e comes from: in the file, where it stands, or else what it would belong to.
func (d *decoder) find(e *Error, show bool) {
	for at := e.Path; at != ""; at = at[:max(0, strings.LastIndexAny(at, ".["))] {
		if s := d.sources[at]; s.Kind == Env || s.Kind == Flag {
			e.Source = s
			return
		}
	}
	if m := d.file.place(e.Path); m != (mark{}) {
		e.Source = Source{Kind: File, Name: d.file.path}
		d.file.locate(e, m, show)
	}
}

// holdsStruct reports whether the elements of a list or map are structs.
func holdsStruct(t reflect.Type) bool {
	for t.Kind() == reflect.Slice || t.Kind() == reflect.Array || t.Kind() == reflect.Map || t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return isStruct(t)
}
