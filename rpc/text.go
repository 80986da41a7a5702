package rpc

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/runtime/protoimpl"
)

// text says where in a message of one type the strings are that must be valid UTF-8. On a wire the encoder finds those that are not;
// a message that is copied without being encoded is checked by this.
type text struct {
	extensible bool         // has extensions somewhere: only the encoder can check it
	goType     reflect.Type // pointer to a struct; nil: only protobuf reflection reads such messages
	fields     []textField
}

type textField struct {
	fd    protoreflect.FieldDescriptor
	kind  textKind
	index int   // of the struct's field, or -1: protobuf reflection reads it
	sub   *text // of messages, also as a map's values
	key   bool  // of a map: check its keys
	val   bool  // of a map: check its values
}

type textKind uint8

const (
	textString textKind = iota
	textMessage
	textList
	textMap
)

var texts sync.Map // *protoimpl.MessageInfo → *text; generated types are few and live for ever

func textOf(info *protoimpl.MessageInfo) *text {
	if t, ok := texts.Load(info); ok {
		return t.(*text)
	}
	t, _ := texts.LoadOrStore(info, newText(info.Desc, info.GoReflectType))
	return t.(*text)
}

// newText walks the types that are reachable from md. Fields that lead to no strings are left out, so messages of numbers cost nothing.
func newText(md protoreflect.MessageDescriptor, goType reflect.Type) *text {
	type key struct {
		md     protoreflect.MessageDescriptor
		goType reflect.Type
	}
	seen := make(map[key]*text)
	extensible := false
	var walk func(md protoreflect.MessageDescriptor, goType reflect.Type) *text
	walk = func(md protoreflect.MessageDescriptor, goType reflect.Type) *text {
		if t := seen[key{md, goType}]; t != nil {
			return t
		}
		t := &text{goType: goType}
		seen[key{md, goType}] = t
		extensible = extensible || md.ExtensionRanges().Len() > 0
		for i := range md.Fields().Len() {
			fd := md.Fields().Get(i)
			f := textField{fd: fd, index: fieldIndex(goType, fd)}
			var sub reflect.Type // of the messages in the field
			if f.index >= 0 {
				if sub = goType.Elem().Field(f.index).Type; sub.Kind() != reflect.Pointer {
					sub = elem(sub)
				}
			}
			switch {
			case fd.IsMap():
				f.kind = textMap
				f.key, f.val = mustBeText(fd.MapKey()), mustBeText(fd.MapValue())
				if m := fd.MapValue().Message(); m != nil {
					f.sub = walk(m, sub)
				}
				if !f.key && !f.val && f.sub == nil {
					continue
				}
			case fd.Message() != nil:
				f.kind = textMessage
				f.sub = walk(fd.Message(), sub)
			case !mustBeText(fd):
				continue
			}
			if fd.IsList() {
				f.kind = textList
			}
			t.fields = append(t.fields, f)
		}
		return t
	}
	root := walk(md, goType)
	root.extensible = extensible
	for _, t := range seen {
		t.fields = slices.DeleteFunc(t.fields, func(f textField) bool {
			return f.sub != nil && !f.key && !hasText(f.sub, make(map[*text]bool))
		})
	}
	return root
}

// fieldIndex finds the field of a generated struct that holds fd, of the shapes that check knows; else -1.
func fieldIndex(goType reflect.Type, fd protoreflect.FieldDescriptor) int {
	if goType == nil {
		return -1
	}
	for i := range goType.Elem().NumField() {
		f := goType.Elem().Field(i)
		tag := strings.Split(f.Tag.Get("protobuf"), ",") // "bytes,1,opt,name=text,proto3"
		if !f.IsExported() || len(tag) < 2 || tag[1] != strconv.Itoa(int(fd.Number())) {
			continue
		}
		t, message := f.Type, fd.Message() != nil
		if fd.IsMap() {
			message = fd.MapValue().Message() != nil
		}
		switch {
		case fd.IsMap() != (t.Kind() == reflect.Map), fd.IsList() != (t.Kind() == reflect.Slice):
			return -1
		case fd.IsMap(), fd.IsList():
			t = elem(t)
		case !message && t.Kind() == reflect.Pointer: // has presence
			t = t.Elem()
		}
		switch {
		case message && t.Kind() == reflect.Pointer && t.Elem().Kind() == reflect.Struct && t.Implements(reflect.TypeFor[proto.Message]()):
			return i
		case !message && t.Kind() == reflect.String, fd.IsMap() && !message:
			return i
		}
		return -1
	}
	return -1
}

func elem(t reflect.Type) reflect.Type {
	if k := t.Kind(); k == reflect.Slice || k == reflect.Map {
		return t.Elem()
	}
	return t
}

// hasText reports whether strings can be reached from t.
func hasText(t *text, seen map[*text]bool) bool {
	if seen[t] {
		return false
	}
	seen[t] = true
	for _, f := range t.fields {
		if f.sub == nil || f.key || hasText(f.sub, seen) {
			return true
		}
	}
	return false
}

// mustBeText reports whether the encoder refuses strings in fd that are not UTF-8.
func mustBeText(fd protoreflect.FieldDescriptor) bool {
	if fd.Kind() != protoreflect.StringKind {
		return false
	}
	if fd.Syntax() == protoreflect.Editions {
		if fd, ok := fd.(interface{ EnforceUTF8() bool }); ok {
			return fd.EnforceUTF8()
		}
	}
	return fd.Syntax() == protoreflect.Proto3
}

// check returns the error of the first string of m, a pointer to a generated struct, that is not UTF-8. Go's reflection is several
// times faster than protobuf's, and serves the usual fields of the usual messages.
func (t *text) check(m reflect.Value) error {
	if t.goType == nil || m.Type() != t.goType {
		return t.checkMessage(m.Interface().(proto.Message).ProtoReflect())
	}
	if m.IsNil() {
		return nil
	}
	for i := range t.fields {
		f := &t.fields[i]
		if f.index < 0 {
			if err := f.check(m.Interface().(proto.Message).ProtoReflect()); err != nil {
				return err
			}
			continue
		}
		v := m.Elem().Field(f.index)
		switch f.kind {
		case textString:
			if v.Kind() == reflect.Pointer {
				if v.IsNil() {
					continue
				}
				v = v.Elem()
			}
			if !utf8.ValidString(v.String()) {
				return f.invalid()
			}
		case textMessage:
			if err := f.sub.check(v); err != nil {
				return err
			}
		case textList:
			for i := range v.Len() {
				if f.sub != nil {
					if err := f.sub.check(v.Index(i)); err != nil {
						return err
					}
				} else if !utf8.ValidString(v.Index(i).String()) {
					return f.invalid()
				}
			}
		case textMap:
			if v.Len() == 0 {
				continue
			}
			for it := v.MapRange(); it.Next(); {
				if f.key && !utf8.ValidString(it.Key().String()) || f.val && !utf8.ValidString(it.Value().String()) {
					return f.invalid()
				}
				if f.sub != nil {
					if err := f.sub.check(it.Value()); err != nil {
						return err
					}
				}
			}
		}
	}
	return nil
}

// checkMessage is check by protobuf's reflection.
func (t *text) checkMessage(m protoreflect.Message) error {
	for i := range t.fields {
		if err := t.fields[i].check(m); err != nil {
			return err
		}
	}
	return nil
}

// check looks at one field of m.
func (f *textField) check(m protoreflect.Message) (err error) {
	if !m.Has(f.fd) {
		return nil
	}
	switch v := m.Get(f.fd); f.kind {
	case textString:
		if !utf8.ValidString(v.String()) {
			return f.invalid()
		}
	case textMessage:
		return f.sub.checkMessage(v.Message())
	case textList:
		for i := range v.List().Len() {
			if f.sub != nil {
				err = f.sub.checkMessage(v.List().Get(i).Message())
			} else if !utf8.ValidString(v.List().Get(i).String()) {
				err = f.invalid()
			}
			if err != nil {
				return err
			}
		}
	case textMap:
		v.Map().Range(func(k protoreflect.MapKey, v protoreflect.Value) bool {
			switch {
			case f.key && !utf8.ValidString(k.String()), f.val && !utf8.ValidString(v.String()):
				err = f.invalid()
			case f.sub != nil:
				err = f.sub.checkMessage(v.Message())
			}
			return err == nil
		})
	}
	return err
}

func (f *textField) invalid() error {
	return fmt.Errorf("string field contains invalid UTF-8: %s", f.fd.FullName())
}
