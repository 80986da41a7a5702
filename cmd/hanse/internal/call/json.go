package call

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/hanse-go/hanse/internal/reflection"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"
)

// ParseJSON reads a message in protobuf's JSON form.
func ParseJSON(data []byte, md protoreflect.MessageDescriptor, types *reflection.Types) (*dynamicpb.Message, error) {
	if err := checkNames(data, md); err != nil {
		return nil, err
	}
	m := dynamicpb.NewMessage(md)
	if err := (protojson.UnmarshalOptions{Resolver: types}).Unmarshal(data, m); err != nil {
		return nil, fmt.Errorf("the JSON is no %s: %s", md.Name(), protoMessage(err))
	}
	return m, nil
}

// checkNames reports the first key of a JSON object that the message does not have, with what it may have meant. Everything else
// that is wrong is left to protojson.
func checkNames(data []byte, md protoreflect.MessageDescriptor) error {
	var v any
	if err := json.Unmarshal(data, &v); err != nil {
		return fmt.Errorf("it is no JSON: %w", err)
	}
	return checkValue(v, md)
}

func checkValue(v any, md protoreflect.MessageDescriptor) error {
	object, ok := v.(map[string]any)
	if !ok || strings.HasPrefix(string(md.FullName()), "google.protobuf.") { // which have forms of their own
		return nil
	}
	keys := make([]string, 0, len(object))
	for key := range object {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	for _, key := range keys {
		if strings.HasPrefix(key, "[") { // an extension
			continue
		}
		fd := lookup(md, key)
		if fd == nil {
			return noField(md, key)
		}
		if err := checkField(object[key], fd); err != nil {
			return err
		}
	}
	return nil
}

func checkField(v any, fd protoreflect.FieldDescriptor) error {
	switch {
	case fd.IsMap():
		entries, _ := v.(map[string]any)
		if sub := fd.MapValue().Message(); sub != nil {
			for _, e := range entries {
				if err := checkValue(e, sub); err != nil {
					return err
				}
			}
		}
	case fd.Message() == nil:
	case fd.IsList():
		list, _ := v.([]any)
		for _, e := range list {
			if err := checkValue(e, fd.Message()); err != nil {
				return err
			}
		}
	default:
		return checkValue(v, fd.Message())
	}
	return nil
}

// protoMessage is the text of an error of protojson without its prefix, in which it varies blanks at random.
func protoMessage(err error) string {
	text := strings.ReplaceAll(err.Error(), "\u00a0", " ")
	return strings.TrimSpace(strings.TrimPrefix(text, "proto:"))
}

func quoteJSON(s string) string {
	b, err := json.Marshal(s)
	if err != nil { // strings can always be marshalled
		panic(err)
	}
	return string(b)
}

func isJSON(s string) bool { return json.Valid([]byte(s)) }

func isArray(s string) bool {
	var list []any
	return json.Unmarshal([]byte(s), &list) == nil
}
