package where_test

import (
	"strings"
	"testing"
	"time"

	"github.com/bufbuild/protocompile"
	"github.com/hanse-go/hanse/cmd/hanse/internal/where"
	"github.com/hanse-go/hanse/events"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"
)

const source = `syntax = "proto3";
package shop;
import "google/protobuf/timestamp.proto";
import "google/protobuf/duration.proto";
import "google/protobuf/wrappers.proto";
message Placed {
  string order_id = 1;
  Money total = 2;
  repeated Line lines = 3;
  map<string, Line> by_sku = 4;
  map<int32, string> names = 5;
  Size size = 6;
  google.protobuf.Timestamp at = 7;
  google.protobuf.Duration took = 8;
  google.protobuf.StringValue note = 9;
  bool paid = 10;
  double weight = 11;
  uint64 big = 12;
  bytes raw = 13;
  string key = 14;
  Empty empty = 15;
  optional int32 points = 16;
}
message Money { int64 units = 1; string currency = 2; }
message Line { string sku = 1; int32 count = 2; repeated string tags = 3; }
message Empty {}
enum Size { SIZE_UNKNOWN = 0; SIZE_SMALL = 1; SIZE_LARGE = 2; }
`

const text = `{"orderId":"4711","total":{"units":"150","currency":"EUR"},"lines":[{"sku":"a","count":1,"tags":["red"]},{"sku":"b","count":5}],
"bySku":{"x":{"sku":"x","count":7}},"names":{"3":"three"},"size":"SIZE_LARGE","at":"2026-02-03T04:05:06Z","took":"90s","note":"Hello",
"paid":true,"weight":1.5,"big":"18446744073709551615","raw":"YWJj","key":"of the message"}`

// placed returns the descriptor and a message.
func placed(t testing.TB) (protoreflect.MessageDescriptor, proto.Message) {
	t.Helper()
	compiler := protocompile.Compiler{Resolver: protocompile.WithStandardImports(&protocompile.SourceResolver{
		Accessor: protocompile.SourceAccessorFromMap(map[string]string{"placed.proto": source}),
	})}
	files, err := compiler.Compile(t.Context(), "placed.proto")
	if err != nil {
		t.Fatal(err)
	}
	md := files[0].Messages().ByName("Placed")
	m := dynamicpb.NewMessage(md)
	if err := protojson.Unmarshal([]byte(text), m); err != nil {
		t.Fatal(err)
	}
	return md, m
}

func stored() *events.Stored {
	at := time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC)
	return &events.Stored{Sequence: 17, Time: at.Add(time.Second), Message: &events.Message{
		ID: "id-1", Source: "hanse:///shop", Type: "shop.Placed", Subject: "it", Key: "k1", Time: at, Extensions: map[string]string{"tenant": "acme"},
		Metadata: map[string]string{
			"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "x.own-name": "v",
			"hanse-dead-topic": "t", "hanse-dead-id": "0", "hanse-dead-group": "mailer", "hanse-dead-attempts": "10", "hanse-dead-error": "No Address",
			"hanse-dead-time": "2026-02-03T05:00:00Z",
		},
	}}
}

func TestFilter(t *testing.T) {
	md, m := placed(t)
	for condition, want := range map[string]bool{
		"total.units>100": true, "total.units > 150": false, "total.units>=150": true, "total.units<150": false, "total.units<=150": true, "total.units=150": true, "total.units==150": true, "total.units!=150": false,
		"order_id=4711": true, "orderId=4711": true, "order_id=471": false, "order_id>4700": true, "order_id~71": true, "order_id=": false, "order_id!=": true,
		"lines.sku=b": true, "lines.sku=c": false, "lines.sku!=b": false, "lines.sku!=c": true, "lines.0.sku=b": false, "lines.1.sku=b": true, "lines.9.sku=b": false, "lines.count>4": true, "lines.tags=red": true, "lines.tags.0~RED": true,
		"by_sku.x.count=7": true, "bySku.y.count=0": false, "by_sku.y.count!=7": true, "names.3=three": true, "names.4=": false,
		"size=SIZE_LARGE": true, "size=large": true, "size=2": true, "size>small": true, "size~larg": true, "size!=large": false,
		"at>2026-02-03": true, "at<2026-02-03T04:05:06Z": false, "at=2026-02-03T04:05:06Z": true, "took>1m": true, "took=90s": true,
		"note=Hello": true, "note~hell": true, "paid=true": true, "paid=no": false, "paid!=true": false, "weight=1.5": true, "weight>1e0": true,
		"big=18446744073709551615": true, "big>18446744073709551614": true, "raw=abc": true, "raw~B": true,
		"points=0": true, "points>-1": true, // its default
		"data.key~message": true, "event.key=k1": true, "id=id-1": true, "id~ID": true, "source=hanse:///shop": true, "type~placed": true, "subject=it": true,
		"sequence=17": true, "sequence>#16": true, "sequence!=17": false, "time=2026-02-03T04:05:06Z": true, "stored>2026-02-03T04:05:06Z": true, "time<1m": true,
		"trace=0af7651916cd43dd8448eb211c80319c": true, "metadata.x.own-name=v": true, "metadata.X.Own-Name=v": true, "metadata.none=": true, "extension.tenant=acme": true,
		"dead.group=mailer": true, "dead.attempts>=10": true, "dead.error~address": true, "dead.id=0": true, "dead.time>2026-02-03T04:59:00Z": true,
		"data.order_id=4711": true, "order_id=a=b": false,
	} {
		f, err := where.Parse([]string{condition}, md)
		if err != nil {
			t.Errorf("%s: %v", condition, err)
			continue
		}
		if got := f.Attributes(stored()) && f.Data(m); got != want {
			t.Errorf("%s: %v, want %v", condition, got, want)
		}
	}
}

func TestFilterOfSeveral(t *testing.T) {
	md, m := placed(t)
	for want, conditions := range map[bool][]string{true: {"total.units>100", "id=id-1", "paid=true"}, false: {"total.units>100", "id=id-1", "paid=false"}} {
		f, err := where.Parse(conditions, md)
		if err != nil {
			t.Fatal(err)
		}
		if got := f.Attributes(stored()) && f.Data(m); got != want || !f.NeedsData() {
			t.Errorf("%v: %v", conditions, got)
		}
		if f.Data(nil) {
			t.Errorf("%v: met by data that cannot be read", conditions)
		}
	}
	all, err := where.Parse(nil, nil)
	if err != nil || !all.Attributes(stored()) || !all.Data(nil) || all.NeedsData() {
		t.Errorf("without conditions: %v", err)
	}
	only, err := where.Parse([]string{"key=k1"}, nil)
	if err != nil || !only.Attributes(stored()) || only.NeedsData() {
		t.Errorf("without a descriptor: %v", err)
	}
	dead := &events.Stored{Message: &events.Message{}}
	if f, err := where.Parse([]string{"trace=", "dead.group=", "dead.attempts=0"}, nil); err != nil || !f.Attributes(dead) {
		t.Errorf("of an event without anything: %v", err)
	}
}

func TestFilterMistakes(t *testing.T) {
	md, _ := placed(t)
	for condition, want := range map[string]string{
		"key":             "it is no condition; write PATH=VALUE",
		"=3":              "it is no condition",
		"":                "it is no condition",
		"a!3":             "it is no condition",
		"totl.units=3":    `Placed has no field "totl"; did you mean total?`,
		"sequnce=3":       "did you mean the attribute sequence?",
		"total=3":         "total is a message, not a value; name a field of it, such as total.units",
		"total.units.x=3": "units is a whole number and has no fields",
		"total.units=abc": "units is a whole number",
		"total.units~1":   "and ~ is for text",
		"by_sku=3":        "by_sku is a map: write by_sku.KEY",
		"names.x=3":       "the key ",
		"size=huge":       "size has no value",
		"paid>true":       "is true or false",
		"at~2026":         "at is a time, to be compared with one",
		"at=yesterday":    "at is a time, to be compared with one",
		"took=long":       "took is a duration",
		"empty=1":         "empty is a message without fields",
		"key=k1":          "key is an attribute of events and a field of Placed; write event.key or data.key",
		"event.nme=x":     `events have no attribute "nme"`,
		"sequence=x":      "sequence is a number",
		"time=soon":       "time is a time",
	} {
		_, err := where.Parse([]string{condition}, md)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "--where "+condition) {
			t.Errorf("%s: %v, want %s", condition, err, want)
		}
	}
	if _, err := where.Parse([]string{"total.units>1"}, nil); err == nil || !strings.Contains(err.Error(), "it is not known what the topic's events carry") {
		t.Errorf("without a descriptor: %v", err)
	}
}

func TestParseTime(t *testing.T) {
	now := time.Date(2026, 7, 8, 12, 0, 0, 0, time.FixedZone("", 7200))
	for text, want := range map[string]string{
		"2026-01-31T12:00:00Z": "2026-01-31T14:00:00+02:00", "2026-01-31": "2026-01-31T00:00:00+02:00", "2026-01-31 12:30": "2026-01-31T12:30:00+02:00", "2026-01-31 12:30:15": "2026-01-31T12:30:15+02:00",
		"09:15": "2026-07-08T09:15:00+02:00", "09:15:30": "2026-07-08T09:15:30+02:00", "90m": "2026-07-08T10:30:00+02:00",
	} {
		got, err := where.ParseTime(text, now)
		if err != nil || got.In(now.Location()).Format(time.RFC3339) != want {
			t.Errorf("%s: %v, %v; want %s", text, got, err, want)
		}
	}
	for _, text := range []string{"", "soon", "-5m", "12", "2026-13-01"} {
		if got, err := where.ParseTime(text, now); err == nil {
			t.Errorf("%q: %v", text, got)
		}
	}
}

func FuzzFilter(f *testing.F) {
	md, m := placed(f)
	for _, text := range []string{"total.units>100", "lines.1.tags~x", "by_sku.x.count!=7", "at>2026-02-03", "took<1s", "metadata.a=b", "size=large", "a.b.c=", "lines.=1", "names.3=", "=="} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		filter, err := where.Parse([]string{text}, md)
		if err != nil {
			return
		}
		met := filter.Attributes(stored()) && filter.Data(m)
		// What is asked for with = is met or not; with != it is the other way round.
		if path, value, ok := strings.Cut(text, "="); ok && !strings.ContainsAny(path, "!<>~") && !strings.HasPrefix(value, "=") {
			not, err := where.Parse([]string{path + "!=" + value}, md)
			if err != nil {
				t.Fatalf("%s!=%s: %v", path, value, err)
			}
			if met == (not.Attributes(stored()) && not.Data(m)) {
				t.Errorf("%s and its opposite are both %v", text, met)
			}
		}
		filter.Data(dynamicpb.NewMessage(md))
	})
}
