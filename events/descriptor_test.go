package events

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/dynamicpb"
)

// everything has one of all that a message can have, in types that need each other across names.
const everything = `syntax = "proto3";
package shop.orders;
import "google/protobuf/timestamp.proto";
import "google/protobuf/struct.proto";
import "google/protobuf/wrappers.proto";
message Placed {
  string order_id = 1;
  Money total = 2;
  repeated Line lines = 3;
  map<string, Line> by_sku = 4;
  map<int32, Size> sizes = 5;
  Size size = 6;
  oneof how { string card = 7; Money cash = 8; }
  google.protobuf.Timestamp at = 9;
  optional int64 points = 10;
  bytes note = 11 [json_name = "remark"];
  Placed earlier = 12;
  message Line { string sku = 1; repeated sint32 counts = 2; Kind kind = 3; enum Kind { ANY = 0; GIFT = 5; } message Deep { Money m = 1; } Deep deep = 4; }
  google.protobuf.Struct extra = 13;
  google.protobuf.BoolValue paid = 14;
  double weight = 15;
  fixed64 mark = 16;
}
message Money { int64 units = 1; uint32 nanos = 2; string currency_code = 3; }
enum Size { SIZE_UNKNOWN = 0; SIZE_SMALL = 1; SIZE_NEGATIVE = -3; }
`

const everythingJSON = `{"orderId":"4711","total":{"units":"12","currencyCode":"EUR"},"lines":[{"sku":"a","counts":[1,-2],"kind":"GIFT","deep":{"m":{"nanos":7}}},{}],
"bySku":{"b":{"sku":"b"}},"sizes":{"3":"SIZE_SMALL"},"size":"SIZE_NEGATIVE","cash":{"units":"1"},"at":"2026-02-03T04:05:06Z","points":"0","remark":"AAE=",
"earlier":{"orderId":"1"},"extra":{"x":[1,null,{"y":true}]},"paid":false,"weight":1.5,"mark":"18446744073709551615"}`

func described(t *testing.T, d *declaration) *Schema {
	t.Helper()
	text, err := json.Marshal(newSchema(d))
	if err != nil {
		t.Fatal(err)
	}
	s, err := ParseSchema(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// compact is a message as JSON without blanks, which protojson puts at random.
func compact(t *testing.T, m proto.Message) string {
	t.Helper()
	text, err := protojson.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	var any any
	if err := json.Unmarshal(text, &any); err != nil {
		t.Fatal(err)
	}
	text, err = json.Marshal(any)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestSchemaReadsData holds that a message which the program's type wrote is read as the same by what is registered of the type, and the other way
// round, as protobuf and as JSON.
func TestSchemaReadsData(t *testing.T) {
	for _, asJSON := range []bool{false, true} {
		d := declared(t, everything, asJSON)
		was := d.typ.New().Interface()
		if err := protojson.Unmarshal([]byte(everythingJSON), was); err != nil {
			t.Fatal(err)
		}
		s := described(t, d)
		data, content, err := d.encode(was)
		if err != nil {
			t.Fatal(err)
		}
		m := &Message{Type: "shop.orders.Placed", ContentType: content, Data: data}
		is, err := s.Decode(m)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := compact(t, is), compact(t, was); got != want {
			t.Errorf("read as\n%s\nwant\n%s", got, want)
		}
		if len(is.ProtoReflect().GetUnknown()) > 0 {
			t.Error("some of it is unknown")
		}
		back := d.typ.New().Interface()
		m.Data, m.ContentType, err = s.Encode(is)
		if err != nil || m.ContentType != content {
			t.Errorf("encoded as %q, %v; want %q", m.ContentType, err, content)
		}
		if err := d.decode(m, back); err != nil || !proto.Equal(was, back) {
			t.Errorf("back again: %v\n%s", err, compact(t, back))
		}
		if name := s.Message().FullName(); name != "shop.orders.Placed" {
			t.Errorf("it is called %s", name)
		}
	}
}

func TestSchemaReadsSome(t *testing.T) {
	const proto2 = `syntax = "proto2"; package shop; message Placed { required string id = 1; optional Kind kind = 2; optional group Item = 3 { optional int32 n = 1; } enum Kind { A = 7; B = 2; } }`
	for name, c := range map[string]struct{ source, json string }{
		"proto2":             {proto2, `{"id":"1","kind":"B","item":{"n":3}}`},
		"without a package":  {"syntax = \"proto3\"; message Placed { Other other = 1; } message Other { string a = 1; }", `{"other":{"a":"x"}}`},
		"a leading _":        {`message Placed { string _id__x = 1; string a1_b2 = 2; }`, `{"IdX":"1","a1B2":"2"}`},
		"without any fields": {"message Placed {}", "{}"},
	} {
		t.Run(name, func(t *testing.T) {
			d := declared(t, c.source, false)
			was := d.typ.New().Interface()
			if err := protojson.Unmarshal([]byte(c.json), was); err != nil {
				t.Fatal(err)
			}
			data, content, err := d.encode(was)
			if err != nil {
				t.Fatal(err)
			}
			is, err := described(t, d).Decode(&Message{Type: d.name, ContentType: content, Data: data})
			if err != nil {
				t.Fatal(err)
			}
			if got, want := compact(t, is), compact(t, was); got != want {
				t.Errorf("read as %s, want %s", got, want)
			}
		})
	}
	if _, err := described(t, declared(t, everything, false)).Decode(&Message{Type: "shop.Other", ContentType: contentProto}); err == nil || !strings.Contains(err.Error(), "shop.Other") {
		t.Errorf("another type is read: %v", err)
	}
}

// TestSchemaOfAll holds that fields of all versions are read, and that a name which came back with another number is that of the newer field.
func TestSchemaOfAll(t *testing.T) {
	s := newSchema(declared(t, "message Placed { string email = 1; string phone = 2; }", false))
	s.merge(newSchema(declared(t, "message Placed { string id = 3; int32 email = 4; }", false)))
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	all, err := ParseSchema(text)
	if err != nil {
		t.Fatal(err)
	}
	m := dynamicpb.NewMessage(all.Message())
	if err := protojson.Unmarshal([]byte(`{"email":7,"id":"1","phone":"2","email1":"a@b"}`), m); err != nil {
		t.Error(err)
	}
}

func TestSchemaOfWellKnownType(t *testing.T) {
	s, err := ParseSchema([]byte(`{"version":1,"type":"google.protobuf.StringValue","messages":{"google.protobuf.StringValue":{"fields":{"1":{"name":"value","kind":"string"}}}}}`))
	if err != nil {
		t.Fatal(err)
	}
	m, err := s.Decode(&Message{Type: "google.protobuf.StringValue", ContentType: contentProto, Data: []byte("\n\x01v")})
	if err != nil || compact(t, m) != `"v"` {
		t.Errorf("%v, %v", m, err)
	}
}

func FuzzParseSchema(f *testing.F) {
	for _, text := range []string{
		`{"version":1,"type":"a.B","messages":{"a.B":{"fields":{"1":{"name":"x","kind":"string"}}}}}`,
		`{"version":1,"type":"a.B","messages":{"a.B":{"fields":{"1":{"name":"x","kind":"message","type":"a.B.XEntry","map":true}}},"a.B.XEntry":{"fields":{"1":{"name":"key","kind":"string"},"2":{"name":"value","kind":"enum","type":"a.E"}}}},"enums":{"a.E":{"values":{"0":"Z"}}}}`,
		`{"version":1,"type":"google.protobuf.Timestamp","messages":{"google.protobuf.Timestamp":null}}`,
		`{"version":1,"type":"..","messages":{"":{},"..":{}}}`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := ParseSchema(text)
		if err != nil {
			if !errors.Is(err, ErrSchema) && json.Valid(text) {
				t.Errorf("%v is no ErrSchema", err)
			}
			return
		}
		if _, _, err := s.Encode(dynamicpb.NewMessage(s.Message())); err != nil && s.Message().RequiredNumbers().Len() == 0 {
			t.Error(err)
		}
	})
}
