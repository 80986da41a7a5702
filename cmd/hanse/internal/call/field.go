package call

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/hanse-go/hanse/cmd/hanse/internal/ui"
	"github.com/hanse-go/hanse/internal/reflection"
	"github.com/hanse-go/hanse/internal/scalar"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"
)

// fields builds one message from arguments like address.city=Lübeck.
type fields struct {
	msg   *dynamicpb.Message
	types *reflection.Types
	set   map[string]bool // paths of singular fields and oneofs that were set
}

func newFields(msg *dynamicpb.Message, types *reflection.Types) *fields {
	return &fields{msg: msg, types: types, set: map[string]bool{}}
}

// assign sets what path names to value.
//
// A path is field names (or their JSON names) joined by dots; below a map comes a key, below a list an index or nothing. A value is
// written plainly: numbers, true, text without quotes, an enum's name, base64 for bytes, times and durations as in protobuf's JSON,
// and JSON for everything else. Assigning to a list appends, or replaces it when the value is a JSON array.
func (f *fields) assign(path, value string) error {
	if !utf8.ValidString(path) || !utf8.ValidString(value) {
		return errors.New("it is no valid UTF-8 text")
	}
	return f.assignIn(f.msg, strings.Split(path, "."), "", value)
}

func (f *fields) assignIn(m protoreflect.Message, path []string, at, value string) error {
	name := path[0]
	fd := lookup(m.Descriptor(), name)
	if fd == nil {
		return noField(m.Descriptor(), name)
	}
	at += "." + string(fd.Name())
	rest := path[1:]
	if err := f.claimOneof(fd, at); err != nil {
		return err
	}
	switch {
	case fd.IsMap():
		return f.assignMap(m, fd, rest, at, value)
	case fd.IsList():
		return f.assignList(m, fd, rest, at, value)
	case len(rest) > 0:
		if fd.Message() == nil {
			return fmt.Errorf("%s is %s and has no fields", fd.Name(), scalar.Kind(fd))
		}
		if f.set[at] {
			return fmt.Errorf("%s has a value already", strings.TrimPrefix(at, "."))
		}
		return f.assignIn(m.Mutable(fd).Message(), rest, at, value)
	}
	if f.set[at] || fd.Message() != nil && m.Has(fd) && f.hasBelow(at) {
		return fmt.Errorf("%s is set twice", strings.TrimPrefix(at, "."))
	}
	f.set[at] = true
	v, err := f.parse(m.NewField(fd), fd, value)
	if err != nil {
		return err
	}
	m.Set(fd, v)
	return nil
}

// hasBelow reports whether a field below the path was set.
func (f *fields) hasBelow(at string) bool {
	for path := range f.set {
		if strings.HasPrefix(path, at+".") {
			return true
		}
	}
	return false
}

// claimOneof refuses the second member of a oneof.
func (f *fields) claimOneof(fd protoreflect.FieldDescriptor, at string) error {
	o := fd.ContainingOneof()
	if o == nil || o.IsSynthetic() {
		return nil
	}
	prefix := at[:strings.LastIndexByte(at, '.')+1]
	for i := range o.Fields().Len() {
		other := o.Fields().Get(i)
		path := prefix + string(other.Name())
		if other != fd && (f.set[path] || f.hasBelow(path)) {
			return fmt.Errorf("%s and %s exclude each other", other.Name(), fd.Name())
		}
	}
	return nil
}

func (f *fields) assignMap(m protoreflect.Message, fd protoreflect.FieldDescriptor, rest []string, at, value string) error {
	if len(rest) == 0 {
		if !strings.HasPrefix(strings.TrimSpace(value), "{") {
			return fmt.Errorf("%s is a map; write %s.KEY=VALUE, or a JSON object", fd.Name(), fd.Name())
		}
		return f.parseJSONField(m, fd, value)
	}
	key, err := ParseScalar(fd.MapKey(), rest[0])
	if err != nil {
		return fmt.Errorf("the key %w", err)
	}
	entries := m.Mutable(fd).Map()
	at += "." + rest[0]
	if len(rest) > 1 {
		if fd.MapValue().Message() == nil {
			return fmt.Errorf("what %s holds is %s and has no fields", fd.Name(), scalar.Kind(fd.MapValue()))
		}
		return f.assignIn(entries.Mutable(key.MapKey()).Message(), rest[1:], at, value)
	}
	if f.set[at] {
		return fmt.Errorf("%s is set twice", strings.TrimPrefix(at, "."))
	}
	f.set[at] = true
	v, err := f.parse(entries.NewValue(), fd.MapValue(), value)
	if err != nil {
		return err
	}
	entries.Set(key.MapKey(), v)
	return nil
}

func (f *fields) assignList(m protoreflect.Message, fd protoreflect.FieldDescriptor, rest []string, at, value string) error {
	if len(rest) == 0 {
		if strings.HasPrefix(strings.TrimSpace(value), "[") && (fd.Kind() != protoreflect.StringKind || isArray(value)) {
			return f.parseJSONField(m, fd, value)
		}
		list := m.Mutable(fd).List()
		v, err := f.parse(list.NewElement(), fd, value)
		if err != nil {
			return err
		}
		list.Append(v)
		return nil
	}
	i, err := strconv.ParseUint(rest[0], 10, 31)
	if err != nil {
		return fmt.Errorf("%s is a list; write %s=VALUE to append, or %s.0.FIELD=VALUE", fd.Name(), fd.Name(), fd.Name())
	}
	list := m.Mutable(fd).List()
	switch n := uint64(list.Len()); {
	case i > n:
		return fmt.Errorf("%s has no element %d yet; the next one is %d", fd.Name(), i, n)
	case i == n:
		list.Append(list.NewElement())
	}
	at += "." + rest[0]
	if len(rest) > 1 {
		if fd.Message() == nil {
			return fmt.Errorf("what %s holds is %s and has no fields", fd.Name(), scalar.Kind(fd))
		}
		return f.assignIn(list.Get(int(i)).Message(), rest[1:], at, value)
	}
	v, err := f.parse(list.NewElement(), fd, value)
	if err != nil {
		return err
	}
	list.Set(int(i), v)
	return nil
}

// parse reads one value of the field's type; fresh is a new one.
func (f *fields) parse(fresh protoreflect.Value, fd protoreflect.FieldDescriptor, text string) (protoreflect.Value, error) {
	if fd.Message() == nil {
		v, err := ParseScalar(fd, text)
		if err != nil {
			return v, fmt.Errorf("%s %w", fd.Name(), err)
		}
		return v, nil
	}
	m := fresh.Message()
	js := text
	switch name := fd.Message().FullName(); name {
	case "google.protobuf.Timestamp", "google.protobuf.FieldMask":
		js = strconv.Quote(text)
	case "google.protobuf.Duration":
		if d, err := time.ParseDuration(text); err == nil { // 1m30s; protobuf's JSON has seconds only
			js = strconv.Quote(strconv.FormatFloat(d.Seconds(), 'f', -1, 64) + "s")
		} else {
			js = strconv.Quote(text)
		}
	case "google.protobuf.StringValue", "google.protobuf.BytesValue":
		js = quoteJSON(text)
	case "google.protobuf.DoubleValue", "google.protobuf.FloatValue", "google.protobuf.Int64Value", "google.protobuf.UInt64Value",
		"google.protobuf.Int32Value", "google.protobuf.UInt32Value", "google.protobuf.BoolValue":
		v, err := ParseScalar(fd.Message().Fields().ByNumber(1), text)
		if err != nil {
			return fresh, fmt.Errorf("%s %w", fd.Name(), err)
		}
		m.Set(fd.Message().Fields().ByNumber(1), v)
		return fresh, nil
	case "google.protobuf.Value":
		if !isJSON(text) {
			js = quoteJSON(text)
		}
	case "google.protobuf.Struct", "google.protobuf.ListValue", "google.protobuf.Any":
	default:
		if !strings.HasPrefix(strings.TrimSpace(text), "{") {
			return fresh, fmt.Errorf("%s is a message; write %s.FIELD=VALUE, or JSON such as %s='{…}'", fd.Name(), fd.Name(), fd.Name())
		}
		if err := checkNames([]byte(text), fd.Message()); err != nil {
			return fresh, err
		}
	}
	if err := (protojson.UnmarshalOptions{Resolver: f.types}).Unmarshal([]byte(js), m.Interface()); err != nil {
		return fresh, fmt.Errorf("%s is %s: %s", fd.Name(), scalar.Kind(fd), protoMessage(err))
	}
	return fresh, nil
}

// parseJSONField sets a map or list field to a JSON value.
func (f *fields) parseJSONField(m protoreflect.Message, fd protoreflect.FieldDescriptor, value string) error {
	doc := "{" + quoteJSON(fd.JSONName()) + ":" + value + "}"
	if err := checkNames([]byte(doc), m.Descriptor()); err != nil {
		return err
	}
	part := m.New()
	if err := (protojson.UnmarshalOptions{Resolver: f.types, AllowPartial: true}).Unmarshal([]byte(doc), part.Interface()); err != nil {
		return fmt.Errorf("%s: %s", fd.Name(), protoMessage(err))
	}
	if part.Has(fd) {
		m.Set(fd, part.Get(fd))
	} else {
		m.Clear(fd)
	}
	return nil
}

// ParseScalar reads a number, a truth value, text, bytes or an enum. Its error continues a sentence that begins with the field.
func ParseScalar(fd protoreflect.FieldDescriptor, text string) (protoreflect.Value, error) {
	switch {
	case fd.Kind() == protoreflect.BoolKind && text == "yes":
		text = "true"
	case fd.Kind() == protoreflect.BoolKind && text == "no":
		text = "false"
	}
	v, err := scalar.Parse(fd, text)
	if e := (*scalar.EnumError)(nil); errors.As(err, &e) {
		return parseEnum(e)
	}
	return v, err
}

// parseEnum takes a value's name without the enum's prefix, in any case (red for COLOUR_RED), where e is no name that the enum has.
func parseEnum(e *scalar.EnumError) (v protoreflect.Value, err error) {
	want := strings.ToUpper(strings.ReplaceAll(e.Text, "-", "_"))
	prefix := commonPrefix(e.Enum)
	for i := range e.Enum.Values().Len() {
		value := e.Enum.Values().Get(i)
		if name := strings.ToUpper(string(value.Name())); want != "" && (name == want || strings.TrimPrefix(name, prefix) == want) {
			return protoreflect.ValueOfEnum(value.Number()), nil
		}
	}
	if hint := ui.DidYouMean(e.Text, e.Names()); hint != "" {
		return v, fmt.Errorf("%w; %s", e, hint)
	}
	return v, e
}

// commonPrefix is what all names of the enum begin with, up to an underscore, in capitals: COLOUR_.
func commonPrefix(ed protoreflect.EnumDescriptor) string {
	first := strings.ToUpper(string(ed.Values().Get(0).Name()))
	prefix := first[:strings.LastIndexByte(first, '_')+1]
	for i := range ed.Values().Len() {
		name := strings.ToUpper(string(ed.Values().Get(i).Name()))
		for !strings.HasPrefix(name, prefix) {
			prefix = prefix[:strings.LastIndexByte(strings.TrimSuffix(prefix, "_"), '_')+1]
		}
	}
	return prefix
}

// lookup finds a field by its name or its JSON name.
func lookup(md protoreflect.MessageDescriptor, name string) protoreflect.FieldDescriptor {
	if fd := md.Fields().ByName(protoreflect.Name(name)); fd != nil {
		return fd
	}
	return md.Fields().ByJSONName(name)
}

// FindField finds a field by its name or its JSON name. Its error says what may have been meant.
func FindField(md protoreflect.MessageDescriptor, name string) (protoreflect.FieldDescriptor, error) {
	if fd := lookup(md, name); fd != nil {
		return fd, nil
	}
	return nil, noField(md, name)
}

// noField is the error for a field that the message does not have.
func noField(md protoreflect.MessageDescriptor, name string) error {
	var names []string
	for i := range md.Fields().Len() {
		names = append(names, string(md.Fields().Get(i).Name()))
	}
	if len(names) == 0 {
		return fmt.Errorf("%s has no field %q, nor any other", md.Name(), name)
	}
	e := ui.Errorf("%s has no field %q", md.Name(), name)
	if near := ui.Nearest(name, names); len(near) > 0 {
		return e.Then("did you mean %s?", ui.List(near, "or"))
	}
	return e.Then("it has %s", ui.List(names, "and"))
}
