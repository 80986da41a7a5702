package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"

	"google.golang.org/protobuf/proto"
)

// codec turns values of a bucket into bytes and back.
type codec[T any] struct {
	name   string // for BucketInfo.Type
	encode func(T) ([]byte, error)
	decode func([]byte) (T, error)
}

// newCodec finds the codec of a type.
func newCodec[T any]() (codec[T], error) {
	var zero T
	typ := reflect.TypeFor[T]()
	switch m := any(zero).(type) {
	case proto.Message:
		return messageCodec[T](m), nil
	case []byte:
		return codec[T]{
			name:   "bytes",
			encode: func(v T) ([]byte, error) { return any(v).([]byte), nil },
			decode: func(b []byte) (T, error) { return any(b).(T), nil },
		}, nil
	}
	if reflect.PointerTo(typ).Implements(reflect.TypeFor[proto.Message]()) {
		return codec[T]{}, fmt.Errorf("values of type %v cannot be copied: use *%v", typ, typ)
	}
	switch typ.Kind() {
	case reflect.Interface, reflect.Chan, reflect.Func, reflect.UnsafePointer, reflect.Complex64, reflect.Complex128:
		return codec[T]{}, fmt.Errorf("values of type %v cannot be stored: use a message of protobuf, []byte, or what encoding/json takes", typ)
	}
	return codec[T]{
		name:   "json",
		encode: func(v T) ([]byte, error) { return json.Marshal(v) },
		decode: func(b []byte) (v T, err error) { return v, json.Unmarshal(b, &v) },
	}, nil
}

func messageCodec[T any](zero proto.Message) codec[T] {
	typ := zero.ProtoReflect().Type()
	return codec[T]{
		name: string(typ.Descriptor().FullName()),
		encode: func(v T) ([]byte, error) {
			m := any(v).(proto.Message)
			if !m.ProtoReflect().IsValid() {
				return nil, errors.New("the message is nil")
			}
			return proto.Marshal(m)
		},
		decode: func(b []byte) (T, error) {
			m := typ.New().Interface()
			err := proto.Unmarshal(b, m)
			return m.(T), err
		},
	}
}
