package resilience

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// switches are the settings that switch a mechanism off as a whole.
var switches = map[string]string{
	"retry": "retry.attempts", "hedge": "hedge.percentile", "breaker": "breaker.failures", "outlier": "outlier.max-ejected",
	"limit": "limit.delay",
}

// Settings returns the policy's numbers as text, by name, such as "timeout": "10s" and "retry.max-backoff": "1s". Those that are 0 are
// left out. Methods are not among them.
func (p Policy) Settings() map[string]string {
	all := make(map[string]string)
	settings(reflect.ValueOf(&p).Elem(), "", func(name string, v reflect.Value) {
		if !v.IsZero() {
			all[name] = show(v)
		}
	})
	return all
}

// Set changes one setting by its name, to a number, a duration such as 300ms, "on" for the default, or "off". A mechanism as a whole,
// such as "breaker", can only be switched on or off. What is wrong with the name or the value is an error that says what there is.
func (p *Policy) Set(name, value string) error {
	if number, ok := switches[name]; ok {
		if value != "on" && value != "off" && value != "default" {
			return fmt.Errorf("%s can be on or off; its settings are %s", name, strings.Join(p.names(name+"."), ", "))
		}
		name = number
	}
	changed := *p
	found := false
	var err error
	settings(reflect.ValueOf(&changed).Elem(), "", func(n string, v reflect.Value) {
		if n == name {
			found = true
			err = parse(v, value)
		}
	})
	if !found {
		return fmt.Errorf("there is no setting %q: there are %s", name, strings.Join(p.names(""), ", "))
	}
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if err := changed.Check(); err != nil {
		return err
	}
	*p = changed
	return nil
}

// names lists the settings that begin so, and without a beginning the mechanisms too.
func (p *Policy) names(prefix string) []string {
	var names []string
	if prefix == "" {
		names = slices.Collect(maps.Keys(switches))
	}
	settings(reflect.ValueOf(p).Elem(), "", func(name string, _ reflect.Value) {
		if strings.HasPrefix(name, prefix) {
			names = append(names, name)
		}
	})
	slices.Sort(names)
	return names
}

var durationType = reflect.TypeFor[time.Duration]()

// settings visits the numbers of a struct, and of the structs in it.
func settings(v reflect.Value, prefix string, visit func(name string, v reflect.Value)) {
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if !f.IsExported() {
			continue
		}
		name := prefix + kebab(f.Name)
		switch f.Type.Kind() {
		case reflect.Struct:
			settings(v.Field(i), name+".", visit)
		case reflect.Int, reflect.Int64, reflect.Float64, reflect.Bool:
			visit(name, v.Field(i))
		}
	}
}

// kebab turns MaxBackoff into max-backoff.
func kebab(name string) string {
	var b strings.Builder
	for i, r := range name {
		if unicode.IsUpper(r) && i > 0 {
			b.WriteByte('-')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

func show(v reflect.Value) string {
	switch {
	case v.Kind() == reflect.Bool:
		return strconv.FormatBool(v.Bool())
	case v.CanInt() && v.Int() == -1, v.CanFloat() && v.Float() == -1:
		return "off"
	case v.Type() == durationType:
		return time.Duration(v.Int()).String()
	}
	return fmt.Sprint(v.Interface())
}

func parse(v reflect.Value, value string) error {
	switch {
	case v.Kind() == reflect.Bool:
		b, err := strconv.ParseBool(value)
		if err != nil {
			return fmt.Errorf("%q is neither true nor false", value)
		}
		v.SetBool(b)
	case value == "on", value == "default":
		v.SetZero()
	case value == "off" && v.CanInt():
		v.SetInt(-1)
	case value == "off":
		v.SetFloat(-1)
	case v.Type() == durationType:
		d, err := time.ParseDuration(value)
		if err != nil {
			return fmt.Errorf("%q is no duration, such as 300ms or 2s, nor on, nor off", value)
		}
		v.SetInt(int64(d))
	case v.CanInt():
		n, err := strconv.ParseInt(value, 10, 32)
		if err != nil {
			return fmt.Errorf("%q is no whole number, nor on, nor off", value)
		}
		v.SetInt(n)
	default:
		f, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return fmt.Errorf("%q is no number, nor on, nor off", value)
		}
		v.SetFloat(f)
	}
	return nil
}
