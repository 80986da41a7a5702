// Package scalar reads the value of a protobuf field from plain text, as it stands in a URL or on a command line.
package scalar

import (
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"strconv"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// Parse reads a number, a truth value (true, false, 1 or 0), text, bytes in base64 of any kind, or an enum's name or number. The field
// may be a list, of which this is an element. The error continues a sentence that begins with the field. The caller sees to it that
// text is valid UTF-8.
func Parse(fd protoreflect.FieldDescriptor, text string) (v protoreflect.Value, err error) {
	switch fd.Kind() {
	case protoreflect.StringKind:
		return protoreflect.ValueOfString(text), nil
	case protoreflect.BytesKind:
		for _, enc := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding, base64.RawStdEncoding, base64.RawURLEncoding} {
			if b, err := enc.DecodeString(text); err == nil {
				return protoreflect.ValueOfBytes(b), nil
			}
		}
		return v, Wrong(fd, text)
	case protoreflect.BoolKind:
		switch text {
		case "true", "1":
			return protoreflect.ValueOfBool(true), nil
		case "false", "0":
			return protoreflect.ValueOfBool(false), nil
		}
		return v, Wrong(fd, text)
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		n, err := strconv.ParseInt(text, 10, 32)
		return protoreflect.ValueOfInt32(int32(n)), badNumber(fd, text, err)
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		n, err := strconv.ParseInt(text, 10, 64)
		return protoreflect.ValueOfInt64(n), badNumber(fd, text, err)
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		n, err := strconv.ParseUint(text, 10, 32)
		return protoreflect.ValueOfUint32(uint32(n)), badNumber(fd, text, err)
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		n, err := strconv.ParseUint(text, 10, 64)
		return protoreflect.ValueOfUint64(n), badNumber(fd, text, err)
	case protoreflect.FloatKind:
		n, err := strconv.ParseFloat(text, 32)
		return protoreflect.ValueOfFloat32(float32(n)), badNumber(fd, text, err)
	case protoreflect.DoubleKind:
		n, err := strconv.ParseFloat(text, 64)
		return protoreflect.ValueOfFloat64(n), badNumber(fd, text, err)
	case protoreflect.EnumKind:
		return parseEnum(fd.Enum(), text)
	}
	return v, Wrong(fd, text)
}

func parseEnum(ed protoreflect.EnumDescriptor, text string) (v protoreflect.Value, err error) {
	if value := ed.Values().ByName(protoreflect.Name(text)); value != nil {
		return protoreflect.ValueOfEnum(value.Number()), nil
	}
	if n, err := strconv.ParseInt(text, 10, 32); err == nil {
		number := protoreflect.EnumNumber(n)
		if !ed.IsClosed() || ed.Values().ByNumber(number) != nil {
			return protoreflect.ValueOfEnum(number), nil
		}
	}
	return v, &EnumError{ed, text}
}

// EnumError says that an enum has no such value.
type EnumError struct {
	Enum protoreflect.EnumDescriptor
	Text string
}

func (e *EnumError) Error() string { return "has no value " + quote(e.Text) }

// Names are those of the values that there are.
func (e *EnumError) Names() []string {
	names := make([]string, e.Enum.Values().Len())
	for i := range names {
		names[i] = string(e.Enum.Values().Get(i).Name())
	}
	return names
}

func badNumber(fd protoreflect.FieldDescriptor, text string, err error) error {
	if err == nil {
		return nil
	}
	bad := Wrong(fd, text)
	if errors.Is(err, strconv.ErrRange) {
		return fmt.Errorf("%w: it is out of range", bad)
	}
	return bad
}

// Wrong is the error for a text that is no value of the field's type.
func Wrong(fd protoreflect.FieldDescriptor, text string) error {
	return fmt.Errorf("is %s, which %s is not", Kind(fd), quote(text))
}

// quote returns a text in quotation marks, and of a long one the beginning.
func quote(text string) string {
	const most = 100
	if len(text) > most {
		return strconv.Quote(text[:most]) + "…"
	}
	return strconv.Quote(text)
}

// Kind names the type of a field for people.
func Kind(fd protoreflect.FieldDescriptor) string {
	switch fd.Kind() {
	case protoreflect.BoolKind:
		return "true or false"
	case protoreflect.StringKind:
		return "text"
	case protoreflect.BytesKind:
		return "bytes in base64"
	case protoreflect.EnumKind:
		return "one of " + string(fd.Enum().Name())
	case protoreflect.FloatKind, protoreflect.DoubleKind:
		return "a number"
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		return "a whole number from 0 to " + strconv.FormatUint(math.MaxUint32, 10)
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return "a whole number from 0"
	case protoreflect.MessageKind, protoreflect.GroupKind:
		switch fd.Message().FullName() {
		case "google.protobuf.Timestamp":
			return "a time like 2026-01-31T12:00:00Z"
		case "google.protobuf.Duration":
			return "a duration like 1.5s"
		}
		return "a " + string(fd.Message().Name())
	}
	return "a whole number"
}
