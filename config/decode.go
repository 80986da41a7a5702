package config

import (
	"encoding"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// maxValues limits what one struct takes from the file, which aliases could blow up without end.
const maxValues = 100_000

// decoder fills one struct, layer by layer, and collects what is wrong.
type decoder struct {
	file     *document
	env      func(string) (string, bool)
	flags    map[string]string
	sources  map[string]Source // by path, of what was set
	problems []error

	from   Source // of the values that are decoded now; in the file, line and column are the node's
	hide   bool   // a secret may be among them: show no text
	values int
}

// fail reports a value that cannot be used.
func (d *decoder) fail(path string, n *node, format string, args ...any) {
	e := &Error{Path: path, Source: d.from, Reason: fmt.Sprintf(format, args...)}
	if d.from.Kind == File {
		d.file.locate(e, n.mark, !d.hide)
	}
	d.problems = append(d.problems, e)
}

// text quotes what a scalar says, unless that may be secret.
func (d *decoder) text(n *node) string {
	if d.hide {
		return "the value"
	}
	return strconv.Quote(n.text)
}

// defaults fills the zero fields of struct v from their tags, and those of the structs within it.
func (d *decoder) defaults(v reflect.Value, path string) {
	list, _ := fields(v.Type())
	for _, f := range list {
		fv, at := v.FieldByIndex(f.index), path+"."+f.name
		switch {
		case isStruct(f.typ):
			d.defaults(fv, at)
		case f.hasDef && fv.IsZero():
			saved := d.from
			d.from = Source{}
			d.decode(at, fv, textNode(f.def, f.typ))
			d.from = saved
		}
	}
}

// overrides fills struct v from the environment and then from the flags. It reports whether there was anything. A type that contains
// itself is entered once.
func (d *decoder) overrides(v reflect.Value, path string, within []reflect.Type) (found bool) {
	if slices.Contains(within, v.Type()) {
		return false
	}
	within = append(within, v.Type())
	list, _ := fields(v.Type())
	for _, f := range list {
		fv, at := v.FieldByIndex(f.index), path+"."+f.name
		if isStruct(f.typ) {
			found = d.overrides(fv, at, within) || found
			continue
		}
		if f.typ.Kind() == reflect.Pointer && isStruct(f.typ.Elem()) {
			inner := d.fresh(fv, at)
			if d.overrides(inner.Elem(), at, within) {
				fv.Set(inner)
				found = true
			}
			continue
		}
		if name := envName(at); d.env != nil {
			if text, ok := d.env(name); ok && text != "" {
				d.from = Source{Kind: Env, Name: name}
				d.override(at, fv, f, text)
				found = true
			}
		}
		if text, ok := d.flags[at]; ok {
			d.from = Source{Kind: Flag, Name: at}
			d.override(at, fv, f, text)
			found = true
		}
	}
	return found
}

func (d *decoder) override(path string, v reflect.Value, f field, text string) {
	before := len(d.problems)
	d.hide = holdsSecret(f.typ, nil)
	d.decode(path, v, textNode(text, f.typ))
	d.hide = false
	if len(d.problems) > before && d.from.Kind == Env && strings.HasPrefix(text, "tcp://") {
		if _, ok := d.env("KUBERNETES_SERVICE_HOST"); ok {
			e := d.problems[len(d.problems)-1].(*Error)
			e.Reason += "; Kubernetes sets such variables for its services: put enableServiceLinks: false into the pod's spec"
		}
	}
	d.sources[path] = d.from
}

// fresh returns a pointer to a copy of what pointer v points to, or to a new struct with its defaults.
func (d *decoder) fresh(v reflect.Value, path string) reflect.Value {
	p := reflect.New(v.Type().Elem())
	if !v.IsNil() {
		p.Elem().Set(v.Elem())
	} else if isStruct(p.Elem().Type()) {
		d.defaults(p.Elem(), path)
	}
	return p
}

// decode sets v to what n says. Null leaves v alone.
func (d *decoder) decode(path string, v reflect.Value, n *node) {
	if n.kind == null {
		return
	}
	if d.values++; d.values > maxValues {
		if d.values == maxValues+1 {
			d.fail(path, n, "more than %d values: does an alias repeat itself?", maxValues)
		}
		return
	}
	t := v.Type()
	switch {
	case t.Kind() == reflect.Pointer:
		p := d.fresh(v, path)
		d.decode(path, p.Elem(), n)
		v.Set(p)
	case isText(t):
		d.decodeText(path, v, n)
	case t.Kind() == reflect.Struct:
		d.decodeStruct(path, v, n)
	case t.Kind() == reflect.Slice:
		if d.want(path, n, list) {
			s := reflect.MakeSlice(t, len(n.items), len(n.items))
			d.decodeItems(path, s, n)
			v.Set(s)
		}
	case t.Kind() == reflect.Array:
		if !d.want(path, n, list) {
			break
		}
		if len(n.items) != t.Len() {
			d.fail(path, n, "want %d values, not %d", t.Len(), len(n.items))
			break
		}
		d.decodeItems(path, v, n)
	case t.Kind() == reflect.Map:
		d.decodeMap(path, v, n)
	case t.Kind() == reflect.Interface:
		v.Set(reflect.ValueOf(d.natural(path, n)))
	default:
		if d.want(path, n, scalar) {
			d.decodeScalar(path, v, n)
		}
	}
}

// want reports whether n has the kind, and fails when it does not.
func (d *decoder) want(path string, n *node, k kind) bool {
	if n.kind != k {
		d.fail(path, n, "want %s, not %s", k, n.kind)
	}
	return n.kind == k
}

func (d *decoder) decodeText(path string, v reflect.Value, n *node) {
	if !d.want(path, n, scalar) {
		return
	}
	if err := v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(n.text)); err != nil {
		if d.hide {
			err = errors.New("it cannot be read")
		}
		d.fail(path, n, "%s is no %s: %v", d.text(n), v.Type(), err)
	}
}

func (d *decoder) decodeStruct(path string, v reflect.Value, n *node) {
	if !d.want(path, n, object) {
		return
	}
	list, _ := fields(v.Type())
	for _, f := range list {
		child := n.get(f.name) // keys that are no field are the business of Check
		if child == nil || child.kind == null {
			continue
		}
		at, hidden := path+"."+f.name, d.hide
		d.hide = hidden || holdsSecret(f.typ, nil) && !isStruct(f.typ)
		d.decode(at, v.FieldByIndex(f.index), child)
		d.hide = hidden
		if s := d.from; s.Kind == File && !isStruct(f.typ) {
			s.Line, s.Column = child.mark.line, child.mark.column
			d.sources[at] = s
		}
	}
}

func (d *decoder) decodeItems(path string, v reflect.Value, n *node) {
	for i, item := range n.items {
		at := fmt.Sprintf("%s[%d]", path, i)
		if isStruct(v.Type().Elem()) {
			d.defaults(v.Index(i), at)
		}
		d.decode(at, v.Index(i), item)
	}
}

func (d *decoder) decodeMap(path string, v reflect.Value, n *node) {
	if !d.want(path, n, object) {
		return
	}
	m := reflect.MakeMapWithSize(v.Type(), len(n.keys))
	for _, k := range n.keys {
		at := path + "." + k.name
		kv := reflect.New(v.Type().Key()).Elem()
		d.decode(at, kv, &node{kind: scalar, text: k.name, mark: k.mark})
		ev := reflect.New(v.Type().Elem()).Elem()
		if isStruct(ev.Type()) {
			d.defaults(ev, at)
		}
		d.decode(at, ev, k.node)
		if kv.Comparable() {
			m.SetMapIndex(kv, ev)
		}
	}
	v.Set(m)
}

func (d *decoder) decodeScalar(path string, v reflect.Value, n *node) {
	t, text := v.Type(), n.text
	var err error
	switch t.Kind() {
	case reflect.String:
		v.SetString(text)
		return
	case reflect.Bool:
		if text != "true" && text != "false" {
			d.fail(path, n, "%s is neither true nor false", d.text(n))
			return
		}
		v.SetBool(text == "true")
		return
	case reflect.Float32, reflect.Float64:
		var f float64
		if f, err = strconv.ParseFloat(text, t.Bits()); err == nil {
			v.SetFloat(f)
			return
		}
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		var u uint64
		if u, err = strconv.ParseUint(decimal(text), 0, t.Bits()); err == nil {
			v.SetUint(u)
			return
		}
	default:
		if t == durationType {
			var dur time.Duration
			if dur, err = time.ParseDuration(text); err != nil {
				d.fail(path, n, "%s is no duration: write it with its unit, such as 5s, 100ms or 1h30m", d.text(n))
			}
			v.SetInt(int64(dur))
			return
		}
		var i int64
		if i, err = strconv.ParseInt(decimal(text), 0, t.Bits()); err == nil {
			v.SetInt(i)
			return
		}
	}
	what := "whole number"
	switch {
	case t.Kind() == reflect.Float32 || t.Kind() == reflect.Float64:
		what = "number"
	case t.Kind() >= reflect.Uint && t.Kind() <= reflect.Uint64:
		what = "whole number from 0"
	}
	if errors.Is(err, strconv.ErrRange) {
		d.fail(path, n, "%s does not fit into %d bits", d.text(n), t.Bits())
		return
	}
	d.fail(path, n, "%s is no %s", d.text(n), what)
}

// decimal strips leading zeros, which YAML gives no meaning and strconv would take for octal.
func decimal(text string) string {
	sign := ""
	if strings.HasPrefix(text, "-") || strings.HasPrefix(text, "+") {
		sign, text = text[:1], text[1:]
	}
	for len(text) > 1 && text[0] == '0' && text[1] >= '0' && text[1] <= '9' {
		text = text[1:]
	}
	return sign + text
}

// natural is the value of n where any value may stand.
func (d *decoder) natural(path string, n *node) any {
	switch n.kind {
	case list:
		items := make([]any, len(n.items))
		d.decodeItems(path, reflect.ValueOf(items), n)
		return items
	case object:
		m := make(map[string]any, len(n.keys))
		d.decodeMap(path, reflect.ValueOf(&m).Elem(), n)
		return m
	}
	if n.plain {
		if n.text == "true" || n.text == "false" {
			return n.text == "true"
		}
		if i, err := strconv.ParseInt(decimal(n.text), 0, 64); err == nil {
			return i
		}
		if f, err := strconv.ParseFloat(n.text, 64); err == nil && n.text[0] != 'i' && n.text[0] != 'n' && n.text[0] != 'I' && n.text[0] != 'N' {
			return f
		}
	}
	return n.text
}

// textNode turns the text of a tag, a variable or a flag into what the same value would be in a file.
func textNode(text string, t reflect.Type) *node {
	for t.Kind() == reflect.Pointer && !isText(t) {
		t = t.Elem()
	}
	composite := !isText(t) && (t.Kind() == reflect.Slice || t.Kind() == reflect.Array || t.Kind() == reflect.Map)
	flow := strings.HasPrefix(text, "[") || strings.HasPrefix(text, "{")
	switch {
	case !isText(t) && t.Kind() == reflect.Interface, composite && flow:
		if n, err := parse([]byte(text)); err == nil && (len(n.keys) > 0 || n.kind != object || flow) {
			return n
		}
	case composite && t.Kind() == reflect.Map:
		n := &node{kind: object}
		for _, part := range split(text) {
			k, v, ok := strings.Cut(part, "=")
			if !ok {
				return &node{kind: scalar, text: text}
			}
			n.keys = append(n.keys, key{name: strings.TrimSpace(k), node: textNode(strings.TrimSpace(v), t.Elem())})
		}
		return n
	case composite:
		n := &node{kind: list}
		for _, part := range split(text) {
			n.items = append(n.items, textNode(part, t.Elem()))
		}
		return n
	}
	return &node{kind: scalar, text: text, plain: true}
}

// split cuts a list at its commas.
func split(text string) []string {
	if strings.TrimSpace(text) == "" {
		return nil
	}
	parts := strings.Split(text, ",")
	for i := range parts {
		parts[i] = strings.TrimSpace(parts[i])
	}
	return parts
}

// holdsSecret reports whether a value of t may contain a [Secret].
func holdsSecret(t reflect.Type, seen []reflect.Type) bool {
	if t == secretType {
		return true
	}
	if slices.Contains(seen, t) {
		return false
	}
	seen = append(seen, t)
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
		return holdsSecret(t.Elem(), seen)
	case reflect.Struct:
		for i := range t.NumField() {
			if holdsSecret(t.Field(i).Type, seen) {
				return true
			}
		}
	}
	return false
}
