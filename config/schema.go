package config

import (
	"encoding"
	"fmt"
	"reflect"
	"strings"
	"time"
	"unicode"
)

// field is one settable field of a struct, reached by index (through embedded and inlined structs, as reflect.Value.FieldByIndex).
type field struct {
	name     string // key in the file
	index    []int
	typ      reflect.Type
	def      string // default tag
	hasDef   bool
	desc     string
	required bool
}

var (
	textUnmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()
	durationType    = reflect.TypeFor[time.Duration]()
	secretType      = reflect.TypeFor[Secret]()
)

// fields lists what can be set in struct type t, and reports a field that no setting could fill.
func fields(t reflect.Type) ([]field, error) { return appendFields(nil, t, nil, t) }

func appendFields(list []field, t reflect.Type, index []int, outer reflect.Type) ([]field, error) {
	for i := range t.NumField() {
		sf := t.Field(i)
		name, rest, _ := strings.Cut(sf.Tag.Get("yaml"), ",")
		if name == "-" && rest == "" {
			continue
		}
		at := append(index[:len(index):len(index)], i)
		embedded := sf.Anonymous && name == "" && isStruct(sf.Type)
		if embedded || strings.Contains(","+rest+",", ",inline,") {
			if !isStruct(sf.Type) {
				return nil, fmt.Errorf("field %s of %s: only a struct can be inline, not %s", sf.Name, outer, sf.Type)
			}
			var err error
			if list, err = appendFields(list, sf.Type, at, outer); err != nil {
				return nil, err
			}
			continue
		}
		if !sf.IsExported() {
			continue
		}
		if name == "" {
			name = kebab(sf.Name)
		}
		if err := settable(sf.Type, nil); err != nil {
			return nil, fmt.Errorf("field %s of %s: %w", sf.Name, outer, err)
		}
		for _, other := range list {
			if envName(other.name) == envName(name) {
				return nil, fmt.Errorf("fields %s and %s of %s are both called %s in the environment: name one with a yaml tag",
					outer.FieldByIndex(other.index).Name, sf.Name, outer, envName(name))
			}
		}
		f := field{name: name, index: at, typ: sf.Type, desc: sf.Tag.Get("desc"), required: sf.Tag.Get("required") == "true"}
		f.def, f.hasDef = sf.Tag.Lookup("default")
		list = append(list, f)
	}
	return list, nil
}

// isStruct reports whether t is a struct whose fields are settings, as opposed to one that is a single value, such as time.Time.
func isStruct(t reflect.Type) bool { return t.Kind() == reflect.Struct && !isText(t) }

// isText reports whether values of t are read by their own UnmarshalText.
func isText(t reflect.Type) bool {
	return t.Kind() != reflect.Interface && (t.Implements(textUnmarshaler) || reflect.PointerTo(t).Implements(textUnmarshaler))
}

// settable reports why no setting could fill a value of t. Types that contain themselves are seen once.
func settable(t reflect.Type, seen []reflect.Type) error {
	if isText(t) {
		return nil
	}
	for _, s := range seen {
		if s == t {
			return nil
		}
	}
	seen = append(seen, t)
	switch t.Kind() {
	case reflect.Chan, reflect.Func, reflect.UnsafePointer, reflect.Complex64, reflect.Complex128, reflect.Uintptr:
		return fmt.Errorf(`a %s cannot be set: leave it out with the tag yaml:"-"`, t)
	case reflect.Interface:
		if t.NumMethod() > 0 {
			return fmt.Errorf(`an interface such as %s cannot be set: leave it out with the tag yaml:"-"`, t)
		}
	case reflect.Map:
		if k := t.Key(); k.Kind() != reflect.String && !isText(k) {
			return fmt.Errorf("the keys of %s are no strings", t)
		}
		return settable(t.Elem(), seen)
	case reflect.Slice, reflect.Array, reflect.Pointer:
		return settable(t.Elem(), seen)
	case reflect.Struct:
		for i := range t.NumField() {
			if sf := t.Field(i); sf.IsExported() && sf.Tag.Get("yaml") != "-" {
				if err := settable(sf.Type, seen); err != nil {
					return fmt.Errorf("field %s of %s: %w", sf.Name, t, err)
				}
			}
		}
	}
	return nil
}

// kebab turns MaxItems into max-items and HTTPAddr into http-addr.
func kebab(name string) string {
	var b strings.Builder
	runes := []rune(name)
	for i, r := range runes {
		if unicode.IsUpper(r) && i > 0 {
			afterLower := !unicode.IsUpper(runes[i-1])
			beforeLower := i+1 < len(runes) && unicode.IsLower(runes[i+1])
			if (afterLower || beforeLower) && runes[i-1] != '_' {
				b.WriteByte('-')
			}
		}
		if r == '_' {
			r = '-'
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

// envName turns cart.max-items into CART_MAX_ITEMS.
func envName(path string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return unicode.ToUpper(r)
		}
		return '_'
	}, path)
}
