package httprule_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/hanse-go/hanse/internal/httprule"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"
)

const everything = `syntax = "proto3";
package every;
import "google/api/annotations.proto";
import "google/protobuf/duration.proto";
import "google/protobuf/empty.proto";
import "google/protobuf/field_mask.proto";
import "google/protobuf/struct.proto";
import "google/protobuf/timestamp.proto";
import "google/protobuf/wrappers.proto";
enum Colour { COLOUR_NONE = 0; COLOUR_RED = 1; }
message Thing {
  string text = 1;
  bytes raw = 2;
  bool on = 3;
  int32 i32 = 4;
  sint64 s64 = 5;
  fixed32 u32 = 6;
  uint64 u64 = 7;
  float f32 = 8;
  double f64 = 9;
  Colour colour = 10;
  repeated string tags = 11;
  repeated int32 numbers = 12;
  repeated Colour colours = 13;
  map<string, string> labels = 14;
  google.protobuf.Timestamp when = 15;
  google.protobuf.Duration wait = 16;
  google.protobuf.FieldMask update_mask = 17;
  google.protobuf.Int64Value wrapped = 18;
  google.protobuf.StringValue wrapped_text = 19;
  google.protobuf.BytesValue wrapped_raw = 20;
  repeated google.protobuf.Timestamp times = 21;
  repeated google.protobuf.BoolValue answers = 22;
  google.protobuf.Struct any_json = 23;
  google.protobuf.Empty empty = 24;
  Thing sub_thing = 25;
  repeated Thing things = 26;
  oneof choice { string left = 27; Thing right = 28; }
  optional int32 maybe = 29;
}
service Things {
  rpc Get(Thing) returns (Thing) { option (google.api.http) = { get: "/v1/{text}/{sub_thing.i32}/{sub_thing.sub_thing.when}" }; }
  rpc Some(Thing) returns (Thing) { option (google.api.http) = { post: "/v1" body: "sub_thing" }; }
  rpc Post(Thing) returns (Thing) { option (google.api.http) = { post: "/v1/{text}" body: "*" }; }
  rpc All(Thing) returns (Thing) { option (google.api.http) = { get: "/v1" }; }
  rpc Path(Thing) returns (Thing) { option (google.api.http) = {
    get: "/{text}/{raw}/{on}/{i32}/{colour}/{wait}/{update_mask}/{wrapped}/{wrapped_text}/{left}/{sub_thing.maybe}/{f64}" }; }
}`

func ruleOf(t testing.TB, methods protoreflect.MethodDescriptors, name protoreflect.Name) (httprule.Rule, *dynamicpb.Message) {
	t.Helper()
	rules, err := httprule.Of(methods.ByName(name))
	if err != nil || len(rules) != 1 {
		t.Fatal(rules, err)
	}
	return rules[0], dynamicpb.NewMessage(methods.ByName(name).Input())
}

// wantMessage holds that a message is the same as another one in JSON.
func wantMessage(t *testing.T, what string, m *dynamicpb.Message, want string) {
	t.Helper()
	other := dynamicpb.NewMessage(m.Descriptor())
	if err := protojson.Unmarshal([]byte(want), other); err != nil {
		t.Fatalf("%s: %v", want, err)
	}
	a, err := protojson.Marshal(m)
	if err != nil {
		t.Errorf("%s: %v", what, err)
		return
	}
	b, err := protojson.Marshal(other)
	if err != nil {
		t.Fatal(err)
	}
	if string(a) != string(b) {
		t.Errorf("%s: %s, want %s", what, a, b)
	}
}

func TestSetQuery(t *testing.T) {
	methods := compile(t, everything)
	for _, tt := range []struct{ query, want string }{
		{"", `{}`},
		{"&&text=a&", `{"text":"a"}`},
		{"text", `{}`},
		{"text=a+b%20c%26;%3D=d", `{"text":"a b c&;==d"}`},
		{"te%78t=a", `{"text":"a"}`},
		{"raw=aGk", `{"raw":"aGk="}`},
		{"raw=-_-_", `{"raw":"+/+/"}`},
		{"on=true&maybe=0", `{"on":true,"maybe":0}`},
		{"on=1", `{"on":true}`},
		{"on=0", `{}`},
		{"i32=-5&s64=-9223372036854775808&u32=4294967295&u64=18446744073709551615", `{"i32":-5,"s64":"-9223372036854775808","u32":4294967295,"u64":"18446744073709551615"}`},
		{"f32=1.5&f64=-1e300", `{"f32":1.5,"f64":-1e300}`},
		{"f32=NaN&f64=-Infinity", `{"f32":"NaN","f64":"-Infinity"}`},
		{"colour=COLOUR_RED", `{"colour":"COLOUR_RED"}`},
		{"colour=1", `{"colour":"COLOUR_RED"}`},
		{"colour=77", `{"colour":77}`},
		{"tags=a&numbers=1&tags=&numbers=2&colours=1&colours=COLOUR_NONE", `{"tags":["a",""],"numbers":[1,2],"colours":[1,0]}`},
		{"when=2026-01-31T12:00:00.5Z&wait=1.5s", `{"when":"2026-01-31T12:00:00.500Z","wait":"1.5s"}`},
		{"update_mask=text,sub_thing.i32", `{"updateMask":"text,subThing.i32"}`},
		{"updateMask=anyJson,,subThing.updateMask", `{"updateMask":"anyJson,subThing.updateMask"}`},
		{"wrapped=0&wrapped_text=&wrappedRaw=aGk=", `{"wrapped":"0","wrappedText":"","wrappedRaw":"aGk="}`},
		{"times=2026-01-31T12:00:00Z&times=2027-01-31T12:00:00Z&answers=true&answers=0", `{"times":["2026-01-31T12:00:00Z","2027-01-31T12:00:00Z"],"answers":[true,false]}`},
		{"sub_thing.text=a&subThing.sub_thing.i32=4&sub_thing.tags=x&sub_thing.tags=y", `{"subThing":{"text":"a","subThing":{"i32":4},"tags":["x","y"]}}`},
		{"right.text=a&right.i32=1", `{"right":{"text":"a","i32":1}}`},
		{"left=a", `{"left":"a"}`},
	} {
		rule, m := ruleOf(t, methods, "All")
		if err := rule.SetQuery(m, tt.query, 100); err != nil {
			t.Errorf("%s: %v", tt.query, err)
			continue
		}
		wantMessage(t, tt.query, m, tt.want)
	}
}

func TestSetQueryMistakes(t *testing.T) {
	methods := compile(t, everything)
	for _, tt := range []struct {
		method       protoreflect.Name
		query, error string // exactly, up to an ellipsis
	}{
		{"All", "txet=a", `txet: every.Thing has no field "txet"; did you mean "text"?`},
		{"All", "=a", `: every.Thing has no field ""; …`},
		{"All", "somethingelse=a", `somethingelse: every.Thing has no field "somethingelse"; it has text, raw, …`},
		{"All", "empty.x=a", `empty.x: google.protobuf.Empty has no fields`},
		{"All", "sub_thing.=a", `sub_thing.: every.Thing has no field ""; …`},
		{"All", "sub_thing.txet=a", `sub_thing.txet: every.Thing has no field "txet"; …`},
		{"All", "i32=x", `i32: it is a whole number, which "x" is not`},
		{"All", "i32=", `i32: it is a whole number, which "" is not`},
		{"All", "i32=1.5", `i32: it is a whole number, which "1.5" is not`},
		{"All", "i32=2147483648", `i32: it is a whole number, which "2147483648" is not: it is out of range`},
		{"All", "u64=-1", `u64: it is a whole number from 0, which "-1" is not`},
		{"All", "u32=4294967296", `u32: it is a whole number from 0 to 4294967295, which "4294967296" is not: it is out of range`},
		{"All", "f32=1e40", `f32: it is a number, which "1e40" is not: it is out of range`},
		{"All", "on=yes", `on: it is true or false, which "yes" is not`},
		{"All", "raw=***", `raw: it is bytes in base64, which "***" is not`},
		{"All", "colour=RED", `colour: it has no value "RED"`},
		{"All", "colour=99999999999", `colour: it has no value "99999999999"`},
		{"All", "when=tomorrow", `when: it is a time like 2026-01-31T12:00:00Z, which "tomorrow" is not`},
		{"All", "wait=5", `wait: it is a duration like 1.5s, which "5" is not`},
		{"All", "wrapped=x", `wrapped: it is a whole number, which "x" is not`},
		{"All", "i32=" + strings.Repeat("x", 500), `i32: it is a whole number, which "` + strings.Repeat("x", 100) + `"… is not`},
		{"All", "labels=a", `labels: every.Thing.labels is a map, which a query cannot have`},
		{"All", "labels.a=b", `labels.a: every.Thing.labels is a map, which a query cannot have`},
		{"All", "labels[a]=b", `labels[a]: every.Thing has no field "labels[a]"; …`},
		{"All", "things=a", `things: every.Thing.things is a list of messages, which a query cannot have`},
		{"All", "things.text=a", `things.text: every.Thing.things is a list of messages, which a query cannot have`},
		{"All", "sub_thing=a", `sub_thing: every.Thing.sub_thing is a message; name a field of it, such as sub_thing.text=`},
		{"All", "empty=", `empty: every.Thing.empty is a message; name a field of it, such as empty.FIELD=`},
		{"All", "any_json=a", `any_json: every.Thing.any_json is a message; name a field of it, such as any_json.fields=`},
		{"All", "any_json.fields=a", `any_json.fields: google.protobuf.Struct.fields is a map, which a query cannot have`},
		{"All", "when.seconds=1", `when.seconds: every.Thing.when is one value; write when=`},
		{"All", "text.x=1", `text.x: every.Thing.text is no message and has no fields`},
		{"All", "text=a&text=b", `text: it is in the query twice and has one value only`},
		{"All", "sub_thing.text=a&subThing.text=", `subThing.text: it is in the query twice and has one value only`},
		{"All", "left=a&right.text=b", `right.text: left and right exclude each other`},
		{"All", "right.text=b&left=a", `left: right and left exclude each other`},
		{"All", "text=%zz", `text: the value is wrongly encoded: invalid URL escape "%zz"`},
		{"All", "te%zzxt=a", `query: the parameter "te%zzxt" is wrongly encoded`},
		{"All", "text%ff=a", `query: the parameter "text%ff" is wrongly encoded`},
		{"All", "text=%ff", `text: it is no valid UTF-8 text`},
		{"All", "when=%ff", `when: it is no valid UTF-8 text`},
		{"All", strings.Repeat("tags=a&", 1001), `query: it has more than 1000 parameters`},
		{"All", strings.Repeat("x", 513) + "=a", `query: the name of a parameter is longer than 512 bytes`},
		{"All", strings.Repeat("sub_thing.", 5) + "text=a", `sub_thing.sub_thing.sub_thing.sub_thing.sub_thing.text: it is nested more than 5 deep`},
		{"Get", "text=a", `text: it is given by the path`},
		{"Get", "subThing.i32=4", `subThing.i32: it is given by the path`},
		{"Get", "sub_thing.sub_thing.when=4", `sub_thing.sub_thing.when: it is given by the path`},
		{"Some", "sub_thing.text=a", `sub_thing.text: it is given by the body of the request`},
		{"Post", "i32=1", `i32: this route takes all fields from the path and the body, none from the query`},
	} {
		rule, m := ruleOf(t, methods, tt.method)
		err := rule.SetQuery(m, tt.query, 5)
		var of *httprule.FieldError
		if !errors.As(err, &of) {
			t.Errorf("%s %.100s: %v", tt.method, tt.query, err)
			continue
		}
		if start, long := strings.CutSuffix(tt.error, "…"); err.Error() != tt.error && !(long && strings.HasPrefix(err.Error(), start)) {
			t.Errorf("%s %.100s:\n%v\nwant\n%s", tt.method, tt.query, err, tt.error)
		}
	}
}

func TestSetPath(t *testing.T) {
	methods := compile(t, everything)
	rule, m := ruleOf(t, methods, "Path")
	if err := protojson.Unmarshal([]byte(`{"text":"old","u64":"7","right":{},"subThing":{"i32":5,"maybe":6}}`), m); err != nil {
		t.Fatal(err)
	}
	if err := rule.SetPath(m, []string{"ä/b", "aGk", "true", "-3", "COLOUR_RED", "2s", "text", "0", "", "l", "0", "2"}); err != nil {
		t.Fatal(err)
	}
	wantMessage(t, "path", m, `{"text":"ä/b","raw":"aGk=","on":true,"i32":-3,"u64":"7","colour":1,"wait":"2s","updateMask":"text",
		"wrapped":"0","wrappedText":"","left":"l","subThing":{"i32":5,"maybe":0},"f64":2}`)

	// A descriptor that was read from elsewhere.
	again := remade(t, methods.ByName("Get"), nil)
	rule, _ = ruleOf(t, methods, "Get")
	other := dynamicpb.NewMessage(again.Input())
	if err := rule.SetPath(other, []string{"a", "1", "2026-01-31T12:00:00Z"}); err != nil {
		t.Fatal(err)
	}
	wantMessage(t, "other descriptor", other, `{"text":"a","subThing":{"i32":1,"subThing":{"when":"2026-01-31T12:00:00Z"}}}`)

	for _, tt := range []struct{ value, want string }{
		{"x", `sub_thing.i32: the path has a value that is a whole number, which "x" is not`},
		{"\xff", `sub_thing.i32: the path has a value that is no valid UTF-8 text`},
	} {
		err := rule.SetPath(dynamicpb.NewMessage(again.Input()), []string{"a", tt.value, ""})
		if err == nil || err.Error() != tt.want {
			t.Errorf("%q: %v, want %s", tt.value, err, tt.want)
		}
	}
}

// FuzzQuery holds that no query makes a message that cannot be sent, or a panic.
func FuzzQuery(f *testing.F) {
	methods := compile(f, everything)
	for _, query := range []string{"text=a&i32=5", "sub_thing.sub_thing.when=2026-01-31T12:00:00Z", "left=a&right.left=b", "updateMask=a.b,cD&wait=1s", "labels=&things.x=&any_json.fields=%zz"} {
		f.Add(query, "x")
	}
	f.Fuzz(func(t *testing.T, query, value string) {
		rule, m := ruleOf(t, methods, "All")
		if err := rule.SetQuery(m, query, 10); err == nil {
			if _, err := protojson.Marshal(m); err != nil && !strings.Contains(err.Error(), "FieldMask") {
				t.Errorf("%q: %v", query, err)
			}
		}
		rule, m = ruleOf(t, methods, "Path")
		values := make([]string, len(rule.Fields))
		for i := range values {
			values[i] = value
		}
		rule.SetPath(m, values)
	})
}
