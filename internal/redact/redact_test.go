package redact_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/bufbuild/protocompile"
	"github.com/hanse-go/hanse/internal/redact"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

const source = `syntax = "proto3";
package bank;
import "google/protobuf/descriptor.proto";
import "google/protobuf/any.proto";
import "google/protobuf/timestamp.proto";
import "google/protobuf/struct.proto";

enum Sensitivity {
  OPEN = 0;
  SECRET = 1 [debug_redact = true];
}
message Rules { repeated Sensitivity levels = 1; }
extend google.protobuf.FieldOptions {
  Sensitivity sensitivity = 50001;
  Rules rules = 50002;
}
message Card {
  string number = 1 [debug_redact = true];
  string holder_name = 2;
  int32 cvc = 3 [debug_redact = true];
}
message Payment {
  int64 amount = 1;
  Card card = 2;
  repeated Card cards = 3;
  map<string, Card> by_name = 4;
  string note = 5 [(sensitivity) = SECRET];
  string title = 6 [(sensitivity) = OPEN];
  string diary = 7 [(rules).levels = OPEN, (rules).levels = SECRET];
  Card whole = 8 [debug_redact = true];
  google.protobuf.Any any = 9;
  google.protobuf.Timestamp at = 10;
  google.protobuf.Struct extra = 11;
  bytes raw = 12;
  double rate = 13;
  bool paid = 14;
  Sensitivity level = 15;
  map<string, string> tokens = 16 [debug_redact = true];
  oneof way { string cash = 17; string cheque = 18; }
  repeated string lines = 19;
  Payment next = 20;
  google.protobuf.Value value = 21;
}
`

// payment returns a message of the type, with the fields of the JSON.
func payment(t testing.TB, fields string) proto.Message {
	t.Helper()
	m := dynamicpb.NewMessage(compiled(t).Messages().ByName("Payment"))
	if err := protojson.Unmarshal([]byte(fields), m); err != nil {
		t.Fatal(err)
	}
	return m
}

func compiled(t testing.TB) protoreflect.FileDescriptor {
	t.Helper()
	c := protocompile.Compiler{Resolver: protocompile.WithStandardImports(&protocompile.SourceResolver{
		Accessor: protocompile.SourceAccessorFromMap(map[string]string{"bank.proto": source}),
	})}
	files, err := c.Compile(context.Background(), "bank.proto")
	if err != nil {
		t.Fatal(err)
	}
	return files[0]
}

// TestHidden holds which values are left out, wherever they are.
func TestHidden(t *testing.T) {
	for _, tt := range []struct{ name, fields, want string }{
		{"a string and a number", `{"card":{"number":"4111","holderName":"Ada","cvc":7}}`, `{"card":{"number":"[redacted]","holderName":"Ada","cvc":"[redacted]"}}`},
		{"not set", `{"card":{"holderName":"Ada"}}`, `{"card":{"holderName":"Ada"}}`},
		{"in a list", `{"cards":[{"number":"1"},{}]}`, `{"cards":[{"number":"[redacted]"},{}]}`},
		{"in a map", `{"byName":{"b":{"number":"1"},"a":{}}}`, `{"byName":{"a":{},"b":{"number":"[redacted]"}}}`},
		{"a whole map", `{"tokens":{"k":"v"}}`, `{"tokens":"[redacted]"}`},
		{"a whole message", `{"whole":{"holderName":"Ada"}}`, `{"whole":"[redacted]"}`},
		{"an option of its own", `{"note":"x","title":"y","diary":"z"}`, `{"note":"[redacted]","title":"y","diary":"[redacted]"}`},
		{"deep", `{"next":{"next":{"card":{"number":"1"}}}}`, `{"next":{"next":{"card":{"number":"[redacted]"}}}}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := redact.JSON(payment(t, tt.fields), 1<<20)
			if got.JSON != tt.want || got.Cut {
				t.Errorf("got %+v\nwant %s", got, tt.want)
			}
			if got.Redacted != strings.Contains(tt.want, redact.Mark) {
				t.Errorf("redacted: %v", got.Redacted)
			}
		})
	}
}

// TestPlain holds that what nobody hides is written as protojson does.
func TestPlain(t *testing.T) {
	for _, fields := range []string{
		`{}`,
		`{"amount":"9007199254740993","rate":0.1,"paid":true,"level":"SECRET","raw":"AQID","cash":"\u003c\u2028é\""}`,
		`{"at":"2026-01-02T03:04:05.5Z","extra":{"a":[1,null,"x"]},"value":null,"lines":["a",""]}`,
		`{"rate":"NaN","level":77}`, `{"rate":"-Infinity"}`, `{"rate":1e300}`,
	} {
		m := payment(t, fields)
		got := redact.JSON(m, 1<<20)
		back := m.ProtoReflect().New().Interface()
		if err := protojson.Unmarshal([]byte(got.JSON), back); err != nil {
			t.Fatalf("%s: %v", got.JSON, err)
		}
		want, _ := protojson.Marshal(m)
		if again, _ := protojson.Marshal(back); string(again) != string(want) || got.Cut || got.Redacted {
			t.Errorf("%+v is %s, want %s", got, again, want)
		}
	}
	if got := redact.JSON(nil, 10); got.JSON != "null" {
		t.Errorf("nil is %s", got.JSON)
	}
}

// TestAny holds that what is packed is looked into, and is not shown where nobody knows it.
func TestAny(t *testing.T) {
	pack := func(m proto.Message) *anypb.Any {
		a, err := anypb.New(m)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	for _, tt := range []struct {
		any  *anypb.Any
		want string
	}{
		{pack(durationpb.New(1500e6)), `{"@type":"type.googleapis.com/google.protobuf.Duration","value":"1.500s"}`},
		{pack(pack(wrapperspb.String("x"))), `{"@type":"type.googleapis.com/google.protobuf.Any","value":{"@type":"type.googleapis.com/google.protobuf.StringValue","value":"x"}}`},
		{pack(payment(t, `{"note":"x"}`)), `{"@type":"type.googleapis.com/bank.Payment","value":"[redacted]"}`},
		{&anypb.Any{}, `{"@type":""}`},
	} {
		if got := redact.JSON(tt.any, 1<<20); got.JSON != tt.want || got.Cut {
			t.Errorf("got %+v\nwant %s", got, tt.want)
		}
	}
}

// TestCut holds that what is long is valid JSON still, not much longer than asked for, and says that it was cut.
func TestCut(t *testing.T) {
	long := strings.Repeat("é", 5000)
	many := make([]any, 1000)
	for i := range many {
		many[i] = "line"
	}
	lines, _ := json.Marshal(many)
	extra, err := structpb.NewStruct(map[string]any{"list": many})
	if err != nil {
		t.Fatal(err)
	}
	extraJSON, _ := protojson.Marshal(extra)
	for name, fields := range map[string]string{
		"a string": `{"cash":"` + long + `","lines":["after"]}`,
		"bytes":    `{"raw":"` + strings.Repeat("AAAA", 5000) + `"}`,
		"a list":   `{"lines":` + string(lines) + `}`,
		"struct":   `{"extra":` + string(extraJSON) + `}`,
		"nested":   strings.Repeat(`{"next":`, 90) + `{"cash":"x"}` + strings.Repeat(`}`, 90),
		"hidden":   `{"note":"` + long + `","cash":"` + long + `"}`,
	} {
		for _, limit := range []int{0, 1, 10, 100, 1000} {
			got := redact.JSON(payment(t, fields), limit)
			if !json.Valid([]byte(got.JSON)) {
				t.Errorf("%s at %d: %s", name, limit, got.JSON)
			}
			if !got.Cut || len(got.JSON) > limit+300 {
				t.Errorf("%s at %d: %d bytes, cut %v", name, limit, len(got.JSON), got.Cut)
			}
		}
	}
}
