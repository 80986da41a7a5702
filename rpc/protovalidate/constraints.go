package protovalidate

import (
	"fmt"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"buf.build/go/protovalidate"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Constraints returns what the rules of a field demand of its value, as keywords of JSON Schema (draft 2020-12) that are added to the
// schema of the value as protobuf's JSON mapping writes it: such as {"minLength": 3, "maxLength": 32}. What those keywords cannot
// say is in the list of texts "x-rules". It returns nil for a field without rules. It may be called concurrently.
func Constraints(field protoreflect.FieldDescriptor) map[string]any {
	rules, err := protovalidate.ResolveFieldRules(field)
	if err != nil {
		return map[string]any{"x-rules": []string{"has rules that cannot be read: " + err.Error()}}
	}
	return keywords(field, rules)
}

// keywords translates the rules of a field, or of the items, keys or values of one.
func keywords(field protoreflect.FieldDescriptor, rules *validate.FieldRules) map[string]any {
	if rules == nil || rules.GetIgnore() == validate.Ignore_IGNORE_ALWAYS {
		return nil
	}
	t := &translation{field: field, schema: map[string]any{}}
	if rules.GetRequired() {
		t.word("is required")
	}
	for _, text := range rules.GetCelExpression() {
		t.word(text)
	}
	for _, rule := range rules.GetCel() {
		t.rule(rule)
	}
	r := rules.ProtoReflect()
	if typed := r.WhichOneof(r.Descriptor().Oneofs().ByName("type")); typed != nil {
		t.typed(string(typed.Name()), r.Get(typed).Message(), rules.GetIgnore() == validate.Ignore_IGNORE_IF_ZERO_VALUE)
	}
	if t.words != nil {
		t.schema["x-rules"] = t.words
	}
	if len(t.schema) == 0 {
		return nil
	}
	return t.schema
}

// translation is that of one field's rules.
type translation struct {
	field  protoreflect.FieldDescriptor
	schema map[string]any
	words  []string
}

func (t *translation) word(text string) { t.words = append(t.words, text) }

func (t *translation) rule(rule *validate.Rule) {
	text := rule.GetMessage()
	if text == "" {
		text = rule.GetExpression()
	}
	t.word(text)
}

// numbers are the rules of types that JSON writes as numbers.
var numbers = map[protoreflect.Name]string{"const": "const", "lt": "exclusiveMaximum", "lte": "maximum", "gt": "exclusiveMinimum", "gte": "minimum", "in": "enum"}

// terms are the keywords for rules, by the type that these are about. Those of 64-bit integers, of bytes, and of messages are about something else
// than what JSON has for them: text.
var terms = map[string]map[protoreflect.Name]string{
	"float": numbers, "double": numbers,
	"int32": numbers, "sint32": numbers, "sfixed32": numbers, "uint32": numbers, "fixed32": numbers,
	"bool":     {"const": "const"},
	"string":   {"const": "const", "min_len": "minLength", "max_len": "maxLength", "pattern": "pattern", "in": "enum"},
	"enum":     {"const": "const", "in": "enum"},
	"repeated": {"min_items": "minItems", "max_items": "maxItems", "unique": "uniqueItems"},
	"map":      {"min_pairs": "minProperties", "max_pairs": "maxProperties"},
}

// formats are those of JSON Schema for the well-known texts of buf.validate.
var formats = map[protoreflect.Name]string{
	"email": "email", "hostname": "hostname", "ipv4": "ipv4", "ipv6": "ipv6", "uri": "uri", "uri_ref": "uri-reference", "uuid": "uuid",
}

// typed translates the rules of a type. orZero: they do not hold for the zero value, which keywords cannot say.
func (t *translation) typed(kind string, rules protoreflect.Message, orZero bool) {
	keywords := terms[kind]
	if orZero || reversed(rules) {
		keywords = nil
	}
	fields := rules.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		if !rules.Has(f) || f.Name() == "example" {
			continue
		}
		value := rules.Get(f)
		switch name := f.Name(); {
		case kind == "repeated" && name == "items":
			t.inner("items", t.field, value)
		case kind == "map" && name == "keys":
			t.inner("propertyNames", t.field.MapKey(), value)
		case kind == "map" && name == "values":
			t.inner("additionalProperties", t.field.MapValue(), value)
		case kind == "enum" && name == "defined_only": // JSON has the names of what is defined
		case f.Kind() == protoreflect.BoolKind && !value.Bool(): // a rule that is switched off
			if keywords[name] == "const" {
				t.schema["const"] = false
			}
		case kind == "string" && name == "len" && keywords != nil:
			t.schema["minLength"], t.schema["maxLength"] = value.Uint(), value.Uint()
		case kind == "string" && formats[name] != "" && keywords != nil:
			t.schema["format"] = formats[name]
		case keywords[name] != "":
			t.schema[keywords[name]] = t.plain(f, value)
		default:
			text := kind + "." + string(name)
			if f.Kind() != protoreflect.BoolKind || kind == "bool" {
				text += fmt.Sprintf(": %v", t.spelled(f, value))
			}
			if orZero {
				text += ", or not set"
			}
			t.word(text)
		}
	}
}

// inner adds the rules of what is in a list or a map.
func (t *translation) inner(keyword string, of protoreflect.FieldDescriptor, value protoreflect.Value) {
	rules, _ := value.Message().Interface().(*validate.FieldRules)
	schema := keywords(of, rules)
	if keyword == "propertyNames" && of.Kind() != protoreflect.StringKind {
		schema = nil // JSON's keys are text
	}
	if schema != nil {
		t.schema[keyword] = schema
	}
}

// reversed reports whether the lower bound is above the upper one: then values must be outside.
func reversed(rules protoreflect.Message) bool {
	fields := rules.Descriptor().Fields()
	bound := func(names ...protoreflect.Name) (float64, bool) {
		for _, name := range names {
			f := fields.ByName(name)
			if f == nil || !rules.Has(f) {
				continue
			}
			switch v := rules.Get(f).Interface().(type) {
			case float32:
				return float64(v), true
			case float64:
				return v, true
			case int32:
				return float64(v), true
			case uint32:
				return float64(v), true
			}
		}
		return 0, false
	}
	lower, below := bound("gt", "gte")
	upper, above := bound("lt", "lte")
	return below && above && lower >= upper && !(lower == upper && rules.Has(fields.ByName("gte")) && rules.Has(fields.ByName("lte")))
}

// plain is a rule's value as JSON has it: enums by name.
func (t *translation) plain(f protoreflect.FieldDescriptor, value protoreflect.Value) any {
	if !f.IsList() {
		return t.single(f, value)
	}
	all := make([]any, value.List().Len())
	for i := range all {
		all[i] = t.single(f, value.List().Get(i))
	}
	return all
}

func (t *translation) single(f protoreflect.FieldDescriptor, value protoreflect.Value) any {
	if enum := t.field.Enum(); enum != nil && f.Kind() == protoreflect.Int32Kind {
		if v := enum.Values().ByNumber(protoreflect.EnumNumber(value.Int())); v != nil {
			return string(v.Name())
		}
	}
	return value.Interface()
}

// spelled is a rule's value in words.
func (t *translation) spelled(f protoreflect.FieldDescriptor, value protoreflect.Value) any {
	switch {
	case f.IsList() && f.Message() == nil:
		return t.plain(f, value)
	case f.IsList():
		all := make([]string, value.List().Len())
		for i := range all {
			all[i] = text(value.List().Get(i))
		}
		return all
	case f.Message() != nil:
		return text(value)
	case f.Kind() == protoreflect.BytesKind:
		return fmt.Sprintf("%q", value.Bytes())
	}
	return t.single(f, value)
}

// text is a message of a rule, such as a duration, in JSON.
func text(v protoreflect.Value) string {
	data, err := protojson.Marshal(v.Message().Interface())
	if err != nil {
		return fmt.Sprint(v.Message().Interface())
	}
	return string(data)
}
