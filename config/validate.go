package config

import (
	"fmt"
	"reflect"
)

// validate reports what is required and missing and, when nothing is, asks the Validate methods, inner structs first.
func (l *Loader) validate(d *decoder, v reflect.Value, service string) {
	walk(v, service, func(path string, f field, fv reflect.Value) {
		if _, set := d.sources[path]; f.required && fv.IsZero() && (!set || f.typ.Kind() == reflect.String || f.typ == secretType) {
			d.problems = append(d.problems, &Error{Path: path, Reason: l.required(path)})
		}
	})
	if len(d.problems) == 0 {
		d.problems = append(d.problems, validateAll(v, service)...)
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
func validateAll(v reflect.Value, path string) (problems []error) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			return validateAll(v.Elem(), path)
		}
		return nil
	case reflect.Slice, reflect.Array:
		if !holdsStruct(v.Type()) {
			return nil
		}
		for i := range v.Len() {
			problems = append(problems, validateAll(v.Index(i), fmt.Sprintf("%s[%d]", path, i))...)
		}
		return problems
	case reflect.Map:
		if !holdsStruct(v.Type()) {
			return nil
		}
		for it := v.MapRange(); it.Next(); {
			elem := reflect.New(v.Type().Elem()).Elem() // of a map they have no address
			elem.Set(it.Value())
			problems = append(problems, validateAll(elem, fmt.Sprintf("%s.%v", path, it.Key()))...)
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
		problems = append(problems, validateAll(v.FieldByIndex(f.index), path+"."+f.name)...)
	}
	if x, ok := v.Addr().Interface().(interface{ Validate() error }); ok && len(problems) == 0 {
		if err := x.Validate(); err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", path, err))
		}
	}
	return problems
}

// holdsStruct reports whether the elements of a list or map are structs.
func holdsStruct(t reflect.Type) bool {
	for t.Kind() == reflect.Slice || t.Kind() == reflect.Array || t.Kind() == reflect.Map || t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return isStruct(t)
}
