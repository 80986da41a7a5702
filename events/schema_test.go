package events

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/bufbuild/protocompile"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"
)

// declared returns the declaration of a topic that carries shop.Placed of a .proto file.
func declared(t *testing.T, source string, json bool) *declaration {
	t.Helper()
	if !strings.HasPrefix(source, "syntax") {
		source = "syntax = \"proto3\";\npackage shop;\n" + source
	}
	compiler := protocompile.Compiler{Resolver: protocompile.WithStandardImports(&protocompile.SourceResolver{
		Accessor: protocompile.SourceAccessorFromMap(map[string]string{"placed.proto": source}),
	})}
	files, err := compiler.Compile(t.Context(), "placed.proto")
	if err != nil {
		t.Fatal(err)
	}
	var md protoreflect.MessageDescriptor = files[0].Messages().ByName("Placed")
	return &declaration{info: TopicInfo{Name: "orders.placed"}, typ: dynamicpb.NewMessageType(md), name: string(md.FullName()), json: json}
}

func TestSchema(t *testing.T) {
	const base = `message Placed { string id = 1; int32 amount = 2; repeated Line lines = 3; State state = 4; map<string, int64> tags = 5;
		oneof how { string card = 6; string cash = 7; } optional bool gift = 8; }
		message Line { string sku = 1; Line part = 2; } enum State { NEW = 0; PAID = 1; }`
	for _, tt := range []struct {
		name     string
		old, new string // replaced in base
		json     bool
		want     string // "" is no break
	}{
		{"same", "", "", true, ""},
		{"new field", "optional bool gift = 8;", "optional bool gift = 8; string note = 9;", true, ""},
		{"field gone", "int32 amount = 2;", "", true, ""},
		{"new value", "PAID = 1;", "PAID = 1; SENT = 2;", true, ""},
		{"new type", "optional bool gift = 8;", "optional bool gift = 8; Extra extra = 9;} message Extra { string x = 1;", true, ""},
		{"kind of the same bytes", "int32 amount = 2", "int64 amount = 2", false, ""},
		{"kind of the same bytes as JSON", "int32 amount = 2", "int64 amount = 2", true, "shop.Placed: field 2 was int32 amount and is int64 amount: use a number that is free"},
		{"other kind", "int32 amount = 2", "string amount = 2", false, "field 2 was int32 amount and is string amount"},
		{"zigzag", "int32 amount = 2", "sint32 amount = 2", false, "field 2 was int32 amount and is sint32 amount"},
		{"text as bytes", "string id = 1", "bytes id = 1", false, "field 1 was string id and is bytes id"},
		{"renamed", "int32 amount = 2", "int32 total = 2", false, ""},
		{"renamed in JSON", "int32 amount = 2", "int32 total = 2", true, "field 2 was named amount and is named total, and names count in JSON"},
		{"renumbered in JSON", "int32 amount = 2", "int32 amount = 9", true, "the name amount, which counts in JSON, was that of field 2 and is now that of 9"},
		{"repeated", "int32 amount = 2", "repeated int32 amount = 2", false, "was int32 amount and is repeated int32 amount"},
		{"single", "repeated Line lines = 3", "Line lines = 3", false, "was repeated shop.Line lines and is shop.Line lines"},
		{"other message", "repeated Line lines = 3", "repeated Item lines = 3", false, "was repeated shop.Line lines and is repeated shop.Item lines"},
		{"deep", "string sku = 1;", "int32 sku = 1;", false, "shop.Line: field 1 was string sku and is int32 sku"},
		{"map", "map<string, int64> tags", "map<string, string> tags", false, "shop.Placed.TagsEntry: field 2 was int64 value and is string value"},
		{"no map", "map<string, int64> tags", "string tags", false, "field 5 was map of shop.Placed.TagsEntry tags and is string tags"},
		{"out of a oneof", "oneof how { string card = 6; string cash = 7; }", "string card = 6; oneof how { string cash = 7; }", false, "field 6 (card) moved into or out of a oneof"},
		{"optional", "optional bool gift", "bool gift", true, ""},
		{"value renumbered", "PAID = 1;", "SENT = 1; PAID = 2;", false, "shop.State: PAID was 1 and is 2: give back its number"},
		{"value renamed", "PAID = 1;", "PAYED = 1;", false, ""},
		{"value renamed in JSON", "PAID = 1;", "PAYED = 1;", true, "shop.State: 1 was PAID and is PAYED"},
	} {
		for _, forwards := range []bool{true, false} { // what breaks in one direction breaks in the other
			old, newer := base, strings.Replace(base, tt.old, tt.new, 1)
			if tt.name == "other message" {
				old, newer = old+" message Item { string sku = 1; }", newer+" message Item { string sku = 1; }"
			}
			if tt.old != "" && newer == base {
				t.Fatalf("%s: %q is not there", tt.name, tt.old)
			}
			if !forwards {
				if tt.want == "" {
					old, newer = newer, old
				} else {
					continue
				}
			}
			b := new(Memory)
			d := declared(t, old, tt.json)
			if err := b.Declare(t.Context(), d.info); err != nil {
				t.Fatal(err)
			}
			if err := d.register(t.Context(), b); err != nil {
				t.Fatal(err)
			}
			err := declared(t, newer, tt.json).register(t.Context(), b)
			switch {
			case tt.want == "" && err != nil:
				t.Errorf("%s, forwards %v: %v", tt.name, forwards, err)
			case tt.want != "" && (!errors.Is(err, ErrSchema) || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("%s: %v, want ErrSchema with %q", tt.name, err, tt.want)
			}
		}
	}
}

// TestSchemaRemembers holds that a number does not come back with another meaning, however long it was away, and that older versions are let in.
func TestSchemaRemembers(t *testing.T) {
	b := new(Memory)
	if err := b.Declare(t.Context(), TopicInfo{Name: "orders.placed"}); err != nil {
		t.Fatal(err)
	}
	register := func(source string) error {
		return declared(t, source, false).register(t.Context(), b)
	}
	for _, source := range []string{
		`message Placed { string id = 1; int32 amount = 2; }`,
		`message Placed { string id = 1; }`,
		`message Placed { string id = 1; string note = 3; }`,
		`message Placed { string id = 1; int32 amount = 2; }`,
	} {
		if err := register(source); err != nil {
			t.Errorf("%s: %v", source, err)
		}
	}
	_, revision, err := b.LoadSchema(t.Context(), "orders.placed")
	if err != nil || revision != 2 {
		t.Errorf("revision %d, %v: want 2, for one version brought something", revision, err)
	}
	if err := register(`message Placed { string id = 1; string amount = 2; }`); !errors.Is(err, ErrSchema) {
		t.Errorf("a number with another meaning: %v", err)
	}
	if err := register(`message Placed { string id = 1; bytes note = 3; }`); !errors.Is(err, ErrSchema) {
		t.Errorf("a number with another meaning: %v", err)
	}
	if err := register("syntax = \"proto3\";\npackage other;\nmessage Placed { string id = 1; }"); err == nil || !strings.Contains(err.Error(), "the topic carries shop.Placed, and this program's declaration says other.Placed") {
		t.Errorf("another type: %v", err)
	}
	if err := register("syntax = \"proto2\";\npackage shop;\nmessage Placed { optional string id = 1; required string more = 9; }"); err == nil || !strings.Contains(err.Error(), "field 9 (more) is new and required") {
		t.Errorf("a new required field: %v", err)
	}
	if err := register("syntax = \"proto2\";\npackage shop;\nmessage Placed { required string id = 1; }"); err == nil || !strings.Contains(err.Error(), "is required in one version and not in the other") {
		t.Errorf("a field that has become required: %v", err)
	}
}

// conflicting loses the first races for the schema.
type conflicting struct {
	*Memory
	races int
	other []byte
}

func (c *conflicting) StoreSchema(ctx context.Context, topic string, schema []byte, revision uint64) (bool, error) {
	if c.races > 0 {
		c.races--
		if ok, err := c.Memory.StoreSchema(ctx, topic, c.other, revision); err != nil || !ok {
			return ok, err
		}
	}
	return c.Memory.StoreSchema(ctx, topic, schema, revision)
}

func TestSchemaRace(t *testing.T) {
	other := new(Memory)
	d := declared(t, `message Placed { string id = 1; string other = 2; }`, false)
	if err := other.Declare(t.Context(), d.info); err != nil {
		t.Fatal(err)
	}
	if err := d.register(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	text, _, err := other.LoadSchema(t.Context(), "orders.placed")
	if err != nil {
		t.Fatal(err)
	}
	c := &conflicting{new(Memory), 3, text}
	if err := c.Declare(t.Context(), d.info); err != nil {
		t.Fatal(err)
	}
	if err := declared(t, `message Placed { string id = 1; string mine = 3; }`, false).register(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	text, _, err = c.LoadSchema(t.Context(), "orders.placed")
	s, parseErr := parseSchema(text)
	if err := errors.Join(err, parseErr); err != nil {
		t.Fatal(err)
	}
	fields := s.Messages["shop.Placed"].Fields
	if names := []string{fields[1].Name, fields[2].Name, fields[3].Name}; !slices.Equal(names, []string{"id", "other", "mine"}) {
		t.Errorf("after a race both are registered: %v", names)
	}
}

func TestSchemaThatCannotBeRead(t *testing.T) {
	for text, want := range map[string]string{
		"{": "cannot be read", `{"version":2}`: "in version 2 of the form",
		`{"version":1,"type":"shop.Placed","messages":{"shop.Placed":null}}`: "empty message",
		`{"version":1,"type":"shop.Placed","enums":{"shop.State":{}}}`:       "empty enum",
	} {
		b := new(Memory)
		d := declared(t, `message Placed { string id = 1; }`, false)
		if err := b.Declare(t.Context(), d.info); err != nil {
			t.Fatal(err)
		}
		if _, err := b.StoreSchema(t.Context(), "orders.placed", []byte(text), 0); err != nil {
			t.Fatal(err)
		}
		if err := d.register(t.Context(), b); !errors.Is(err, ErrSchema) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
	b := new(Memory)
	d := declared(t, `message Placed { string id = 1; }`, false)
	if err := b.Declare(t.Context(), d.info); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{`{"version":1,"type":"shop.Placed"}`, `{"version":1,"type":"shop.Placed","messages":{"shop.Placed":{}}}`} {
		_, revision, _ := b.LoadSchema(t.Context(), "orders.placed")
		if _, err := b.StoreSchema(t.Context(), "orders.placed", []byte(text), revision); err != nil {
			t.Fatal(err)
		}
		if err := d.register(t.Context(), b); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
}
