package rpc

import (
	"fmt"
	"slices"
	"sync"
	"unicode/utf8"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/runtime/protoimpl"
)

// text says where in a message of one type the strings are that must be valid UTF-8. On a wire the encoder finds those that are not;
// a message that is copied without being encoded is checked by this.
type text struct {
	extensible bool // has extensions somewhere: only the encoder can check it
	fields     []textField
}

type textField struct {
	fd  protoreflect.FieldDescriptor
	sub *text // of a message, or of a map's values; nil: strings
	key bool  // of a map: check its keys
	val bool  // of a map: check its values
}

var texts sync.Map // *protoimpl.MessageInfo → *text; generated types are few and live for ever

func textOf(info *protoimpl.MessageInfo) *text {
	if t, ok := texts.Load(info); ok {
		return t.(*text)
	}
	t, _ := texts.LoadOrStore(info, newText(info.Desc))
	return t.(*text)
}

// newText walks the types that are reachable from md. Those without strings are left out, so most messages of numbers cost nothing.
func newText(md protoreflect.MessageDescriptor) *text {
	seen := make(map[protoreflect.MessageDescriptor]*text)
	var all []*text
	var walk func(md protoreflect.MessageDescriptor) *text
	extensible := false
	walk = func(md protoreflect.MessageDescriptor) *text {
		if t := seen[md]; t != nil {
			return t
		}
		t := &text{}
		seen[md] = t
		all = append(all, t)
		extensible = extensible || md.ExtensionRanges().Len() > 0
		for i := range md.Fields().Len() {
			fd := md.Fields().Get(i)
			f := textField{fd: fd}
			switch {
			case fd.IsMap():
				f.key, f.val = mustBeText(fd.MapKey()), mustBeText(fd.MapValue())
				if sub := fd.MapValue().Message(); sub != nil {
					f.sub = walk(sub)
				}
			case fd.Message() != nil:
				f.sub = walk(fd.Message())
			case !mustBeText(fd):
				continue
			}
			if fd.IsMap() && !f.key && !f.val && f.sub == nil {
				continue
			}
			t.fields = append(t.fields, f)
		}
		return t
	}
	root := walk(md)
	root.extensible = extensible

	for _, t := range all {
		t.fields = slices.DeleteFunc(t.fields, func(f textField) bool {
			return f.sub != nil && !f.key && !hasText(f.sub, make(map[*text]bool))
		})
	}
	return root
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

// check returns the error of the first string that is not UTF-8.
func (t *text) check(m protoreflect.Message) error {
	for i := range t.fields {
		f := &t.fields[i]
		switch {
		case f.fd.IsMap():
			if err := f.checkMap(m.Get(f.fd).Map()); err != nil {
				return err
			}
		case f.fd.IsList():
			if err := f.checkList(m.Get(f.fd).List()); err != nil {
				return err
			}
		case f.sub != nil:
			if !m.Has(f.fd) {
				continue
			}
			if err := f.sub.check(m.Get(f.fd).Message()); err != nil {
				return err
			}
		case !utf8.ValidString(m.Get(f.fd).String()):
			return f.invalid()
		}
	}
	return nil
}

func (f *textField) checkList(list protoreflect.List) error {
	for i := range list.Len() {
		if f.sub != nil {
			if err := f.sub.check(list.Get(i).Message()); err != nil {
				return err
			}
		} else if !utf8.ValidString(list.Get(i).String()) {
			return f.invalid()
		}
	}
	return nil
}

func (f *textField) checkMap(m protoreflect.Map) (err error) {
	m.Range(func(k protoreflect.MapKey, v protoreflect.Value) bool {
		switch {
		case f.key && !utf8.ValidString(k.String()), f.val && !utf8.ValidString(v.String()):
			err = f.invalid()
		case f.sub != nil:
			err = f.sub.check(v.Message())
		}
		return err == nil
	})
	return err
}

func (f *textField) invalid() error {
	return fmt.Errorf("string field contains invalid UTF-8: %s", f.fd.FullName())
}
