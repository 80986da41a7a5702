package redact

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"
)

// maxDepth bounds messages within messages; deeper ones are cut.
const maxDepth = 64

// maxElements bounds what one list, or one map, is looked at for.
const maxElements = 10_000

// writer writes JSON until it is full, and then only what closes what is open.
type writer struct {
	out      []byte
	limit    int
	cut      bool
	redacted bool
}

// full reports whether no more fits, and notes that something was to come.
func (w *writer) full() bool {
	if len(w.out) < w.limit {
		return false
	}
	w.cut = true
	return true
}

func (w *writer) raw(s string) { w.out = append(w.out, s...) }

// text writes a JSON string, of which as much as fits.
func (w *writer) text(s string) {
	if room := max(w.limit-len(w.out), 0); len(s) > room {
		end := room
		for end > 0 && !utf8.RuneStart(s[end]) {
			end--
		}
		s, w.cut = s[:end]+"…", true
	}
	quoted, _ := json.Marshal(s) // invalid UTF-8 becomes the replacement character
	w.out = append(w.out, quoted...)
}

func (w *writer) message(m protoreflect.Message, depth int) {
	name := m.Descriptor().FullName()
	switch {
	case depth > maxDepth:
		w.cut = true
		w.raw("{}")
		return
	case name == "google.protobuf.Any":
		w.any(m, depth)
		return
	case wellKnown(name):
		w.standard(m)
		return
	}
	w.raw("{")
	w.fields(m, depth, true)
	w.raw("}")
}

// fields writes the fields that are set, in the order of the .proto file, then extensions by name.
func (w *writer) fields(m protoreflect.Message, depth int, first bool) {
	field := func(name string, fd protoreflect.FieldDescriptor) bool {
		if w.full() {
			return false
		}
		if !first {
			w.raw(",")
		}
		first = false
		quoted, _ := json.Marshal(name)
		w.out = append(w.out, quoted...)
		w.raw(":")
		if Hidden(fd) {
			w.redacted = true
			w.raw(`"` + Mark + `"`)
			return true
		}
		w.value(fd, m.Get(fd), depth)
		return true
	}
	known := m.Descriptor().Fields()
	for i := range known.Len() {
		if fd := known.Get(i); m.Has(fd) && !field(fd.JSONName(), fd) {
			return
		}
	}
	var extensions []protoreflect.FieldDescriptor
	m.Range(func(fd protoreflect.FieldDescriptor, _ protoreflect.Value) bool {
		if fd.IsExtension() {
			extensions = append(extensions, fd)
		}
		return true
	})
	slices.SortFunc(extensions, func(a, b protoreflect.FieldDescriptor) int {
		return strings.Compare(string(a.FullName()), string(b.FullName()))
	})
	for _, fd := range extensions {
		if !field("["+string(fd.FullName())+"]", fd) {
			return
		}
	}
}

// value writes the value of a field.
func (w *writer) value(fd protoreflect.FieldDescriptor, v protoreflect.Value, depth int) {
	switch {
	case fd.IsList():
		w.raw("[")
		list := v.List()
		for i := range list.Len() {
			if w.full() {
				break
			}
			if i > 0 {
				w.raw(",")
			}
			w.single(fd, list.Get(i), depth)
		}
		w.raw("]")
	case fd.IsMap():
		w.entries(fd, v.Map(), depth)
	default:
		w.single(fd, v, depth)
	}
}

// entries writes a map, by key.
func (w *writer) entries(fd protoreflect.FieldDescriptor, entries protoreflect.Map, depth int) {
	w.raw("{")
	defer w.raw("}")
	if Hidden(fd.MapValue()) || Hidden(fd.MapKey()) {
		w.redacted = true
		return
	}
	var keys []protoreflect.MapKey
	entries.Range(func(k protoreflect.MapKey, _ protoreflect.Value) bool {
		keys = append(keys, k)
		return len(keys) < maxElements
	})
	w.cut = w.cut || len(keys) < entries.Len()
	slices.SortFunc(keys, func(a, b protoreflect.MapKey) int { return strings.Compare(a.String(), b.String()) })
	for i, k := range keys {
		if w.full() {
			return
		}
		if i > 0 {
			w.raw(",")
		}
		w.text(k.String())
		w.raw(":")
		w.single(fd.MapValue(), entries.Get(k), depth)
	}
}

// single writes one value.
func (w *writer) single(fd protoreflect.FieldDescriptor, v protoreflect.Value, depth int) {
	switch fd.Kind() {
	case protoreflect.MessageKind, protoreflect.GroupKind:
		w.message(v.Message(), depth+1)
	case protoreflect.StringKind:
		w.text(v.String())
	case protoreflect.BytesKind:
		b := v.Bytes()
		if room := max(w.limit-len(w.out), 0) / 4 * 3; len(b) > room {
			b, w.cut = b[:room], true
		}
		w.raw(`"` + base64.StdEncoding.EncodeToString(b) + `"`)
	case protoreflect.EnumKind:
		if value := fd.Enum().Values().ByNumber(v.Enum()); value != nil {
			if fd.Enum().FullName() == "google.protobuf.NullValue" {
				w.raw("null")
				return
			}
			w.text(string(value.Name()))
			return
		}
		w.out = strconv.AppendInt(w.out, int64(v.Enum()), 10)
	case protoreflect.BoolKind:
		w.out = strconv.AppendBool(w.out, v.Bool())
	case protoreflect.FloatKind:
		w.float(v.Float(), 32)
	case protoreflect.DoubleKind:
		w.float(v.Float(), 64)
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind, protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		w.raw(`"` + v.String() + `"`) // JSON's numbers are too small for them
	default:
		w.raw(v.String())
	}
}

func (w *writer) float(f float64, bits int) {
	switch {
	case math.IsNaN(f):
		w.raw(`"NaN"`)
	case math.IsInf(f, 1):
		w.raw(`"Infinity"`)
	case math.IsInf(f, -1):
		w.raw(`"-Infinity"`)
	default:
		w.out = strconv.AppendFloat(w.out, f, 'g', -1, bits)
	}
}

// any writes what is packed, for that may have fields to hide.
func (w *writer) any(m protoreflect.Message, depth int) {
	packed := new(anypb.Any)
	if raw, err := proto.Marshal(m.Interface()); err == nil {
		_ = proto.Unmarshal(raw, packed) // they are the same type, or one made from the same descriptor
	}
	w.raw(`{"@type":`)
	w.text(packed.GetTypeUrl())
	inner, err := packed.UnmarshalNew()
	switch {
	case err != nil: // what it has nobody here can tell, so it may have something to hide
		if len(packed.GetValue()) > 0 {
			w.redacted = true
			w.raw(`,"value":"` + Mark + `"`)
		}
	case wellKnown(inner.ProtoReflect().Descriptor().FullName()) || packed.MessageIs(new(anypb.Any)):
		w.raw(`,"value":`)
		w.message(inner.ProtoReflect(), depth+1)
	default:
		w.fields(inner.ProtoReflect(), depth+1, false)
	}
	w.raw("}")
}

// wellKnown reports whether JSON has a form of its own for the type.
func wellKnown(name protoreflect.FullName) bool {
	switch name {
	case "google.protobuf.Timestamp", "google.protobuf.Duration", "google.protobuf.FieldMask", "google.protobuf.Struct",
		"google.protobuf.Value", "google.protobuf.ListValue", "google.protobuf.DoubleValue", "google.protobuf.FloatValue",
		"google.protobuf.Int64Value", "google.protobuf.UInt64Value", "google.protobuf.Int32Value", "google.protobuf.UInt32Value",
		"google.protobuf.BoolValue", "google.protobuf.StringValue", "google.protobuf.BytesValue":
		return true
	}
	return false
}

// standard writes a well-known type as protojson does.
func (w *writer) standard(m protoreflect.Message) {
	if size := proto.Size(m.Interface()); size > max(w.limit-len(w.out), 64) {
		w.cut = true
		w.raw(strconv.Quote(fmt.Sprintf("… %d bytes", size)))
		return
	}
	text, err := protojson.Marshal(m.Interface())
	if err != nil { // such as a time before the year 1
		w.text(err.Error())
		return
	}
	w.out = append(w.out, text...)
}
