package kafkaevents_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/hanse-go/hanse/events"
	"github.com/hanse-go/hanse/events/eventstest"
	"github.com/hanse-go/hanse/events/kafkaevents"
	"github.com/twmb/franz-go/pkg/kgo"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

func header(key, value string) kgo.RecordHeader {
	return kgo.RecordHeader{Key: key, Value: []byte(value)}
}

// TestPlain has records of another program read by a codec and written back: the bytes of key, value and headers are the same.
func TestPlain(t *testing.T) {
	c := newCluster(t)
	plain := kafkaevents.Plain{Type: "shop.v1.Order", Source: "legacy:", ID: "X-Id"}
	b := c.declared(func(o *kafkaevents.Options) {
		o.Topics = map[string]kafkaevents.Topic{"t": {Codec: plain, Partitions: 1}}
	})
	records := []*kgo.Record{
		{Key: []byte("customer-1"), Value: []byte(`{"order": "4711"}`), Headers: []kgo.RecordHeader{header("X-Id", "id-1"), header("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")}},
		{Value: []byte{}},
		{Key: []byte{0, 0xff, 1}, Value: nil, Headers: []kgo.RecordHeader{header("z", "1"), header("a", "2"), header("a", "3"), header("A", ""), {Key: "nil"}, header("bytes", "\x00\xff")}},
		{Key: []byte("k"), Value: bytes.Repeat([]byte("x"), 10_000), Headers: []kgo.RecordHeader{header("kafka-headers", "their own"), header("", "nameless")}},
		{Key: []byte("k"), Value: []byte("y"), Headers: []kgo.RecordHeader{header("ce_id", "no CloudEvent"), header("content-type", "text/plain")}},
	}
	other := c.client(kgo.ConsumeTopics("test.t"))
	for _, r := range records {
		r.Topic = "test.t"
		if err := other.ProduceSync(t.Context(), r).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	got := eventstest.Take(t, eventstest.Subscribe(t, b, subscription("g", "1", eventstest.Ordered)), len(records))
	first := got[0].Message()
	if first.ID != "id-1" || first.Type != "shop.v1.Order" || first.Source != "legacy:" || first.Key != "customer-1" || first.ContentType != "application/json" ||
		first.Metadata["traceparent"] == "" || first.Time.IsZero() {
		t.Errorf("read as %+v", first)
	}
	if id := got[1].Message().ID; id != "test.t/0/1" {
		t.Errorf("without an ID it is %s, want its place", id)
	}
	for _, d := range got {
		if err := eventstest.Send(eventstest.Within(t, 10*time.Second), b, "t", d.Message()); err != nil {
			t.Fatal(err)
		}
		eventstest.Ack(t, d)
	}
	var all []*kgo.Record
	for len(all) < 2*len(records) {
		fetches := other.PollFetches(eventstest.Within(t, 10*time.Second))
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		all = append(all, fetches.Records()...)
	}
	for i := range records {
		before, after := all[i], all[i+len(records)]
		if i == 1 { // it has an ID now
			before.Headers = []kgo.RecordHeader{header("X-Id", "test.t/0/1")}
		}
		if id := header("X-Id", fmt.Sprintf("test.t/0/%d", i)); i == 4 {
			before.Headers = append([]kgo.RecordHeader{id}, before.Headers...)
		} else if i > 1 {
			before.Headers = append(before.Headers, id)
		}
		if !bytes.Equal(before.Key, after.Key) || !bytes.Equal(before.Value, after.Value) || !reflect.DeepEqual(before.Headers, after.Headers) && len(before.Headers)+len(after.Headers) > 0 {
			t.Errorf("record %d: wrote %q %q %q, it was %q %q %q", i, after.Key, after.Value, after.Headers, before.Key, before.Value, before.Headers)
		}
	}
}

// TestPlainEvents has typed events on a topic of bare JSON.
func TestPlainEvents(t *testing.T) {
	c := newCluster(t)
	b := c.broker(func(o *kafkaevents.Options) {
		o.Topics = map[string]kafkaevents.Topic{"orders.placed": {Name: "Orders", Codec: kafkaevents.Plain{Type: "google.protobuf.StringValue"}}}
	})
	topic := events.NewTopic[*wrapperspb.StringValue]("orders.placed", events.JSON(), events.Key(func(m *wrapperspb.StringValue) string { return "key-" + m.GetValue() }))
	got := make(chan *events.Event[*wrapperspb.StringValue], 2)
	bus := &events.Bus{Broker: b, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))}
	topic.Subscribe(bus, "mailer", func(_ context.Context, e *events.Event[*wrapperspb.StringValue]) error {
		got <- e
		return nil
	})
	run(t, bus)
	if err := topic.Publish(t.Context(), bus, wrapperspb.String("ours"), events.Metadata("x", "y")); err != nil {
		t.Fatal(err)
	}
	if e := <-got; e.Data.GetValue() != "ours" || e.Key != "key-ours" || e.Metadata["x"] != "y" {
		t.Errorf("got %+v", e)
	}
	if err := c.client().ProduceSync(t.Context(), &kgo.Record{Topic: "Orders", Key: []byte("k"), Value: []byte(`"theirs"`)}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	if e := <-got; e.Data.GetValue() != "theirs" || e.Key != "k" || !strings.HasPrefix(e.ID, "Orders/") {
		t.Errorf("got %+v", e)
	}
	proto := eventstest.Event("1", "")
	if err := eventstest.Send(t.Context(), b, "orders.placed", proto); err == nil {
		t.Error("protobuf is published where all is JSON")
	}
}

// run runs a bus until the test ends.
func run(t *testing.T, bus *events.Bus) {
	t.Helper()
	if err := bus.Declare(eventstest.Within(t, 20*time.Second)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- bus.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}

// TestUndecodable has records that no codec reads among events of their partition: they become dead letters with their bytes, and hold up nothing.
func TestUndecodable(t *testing.T) {
	c := newCluster(t)
	for name, keyed := range map[string][]events.TopicOption{
		"Ordered":   {events.Key(func(m *wrapperspb.StringValue) string { return "k" })},
		"Unordered": nil,
	} {
		t.Run(name, func(t *testing.T) {
			c := &cluster{c.Cluster, t}
			b := c.broker(func(o *kafkaevents.Options) { o.System, o.Partitions = strings.ToLower(name), 1 })
			topic := events.NewTopic[*wrapperspb.StringValue]("t", keyed...)
			handled := make(chan string, 10)
			bus := &events.Bus{Broker: b, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))}
			topic.Subscribe(bus, "mailer", func(_ context.Context, e *events.Event[*wrapperspb.StringValue]) error {
				handled <- e.Data.GetValue()
				return nil
			})
			run(t, bus)
			dead := c.broker(func(o *kafkaevents.Options) { o.System, o.Partitions = strings.ToLower(name), 1 })
			eventstest.Declare(t, dead, "t.dead")
			letters := eventstest.Subscribe(t, dead, subscription("watch", "1", func(s *events.SubscriptionInfo) { s.Topic = "t.dead" }))
			raw := c.client()
			for _, r := range []*kgo.Record{
				{Key: []byte("k"), Value: []byte("{\x00 no JSON"), Headers: []kgo.RecordHeader{header("content-type", "application/cloudevents+json; charset=utf-8"), header("X-Own", "1")}},
				{Key: []byte("k"), Value: []byte("\xff\x00bytes"), Headers: []kgo.RecordHeader{header("ce_id", "1"), header("ce_time", "yesterday"), header("hanse-group", "other")}},
			} {
				r.Topic = strings.ToLower(name) + ".t"
				if err := topic.Publish(t.Context(), bus, wrapperspb.String("good")); err != nil {
					t.Fatal(err)
				}
				if err := raw.ProduceSync(t.Context(), r).FirstErr(); err != nil {
					t.Fatal(err)
				}
				if err := topic.Publish(t.Context(), bus, wrapperspb.String("good")); err != nil {
					t.Fatal(err)
				}
				<-handled
				<-handled
				d := eventstest.Take(t, letters, 1)[0]
				letter, ok := events.DeadLetterOf(d.Message())
				if !ok || string(d.Message().Data) != string(r.Value) || letter.Attempts != 1 || d.Message().Metadata["kafka-error"] == "" || !strings.Contains(letter.Error, "kafka.undecodable") {
					t.Errorf("the dead letter is %+v of %+v", letter, d.Message())
				}
				eventstest.Ack(t, d)
			}
		})
	}
}

func TestCloudEvents(t *testing.T) {
	at := time.Date(2026, 2, 3, 4, 5, 6, 789, time.UTC)
	for _, test := range []struct {
		name    string
		key     string
		value   string
		headers []kgo.RecordHeader
		want    *events.Message // nil: an error
	}{
		{
			"Binary", "k", "data", []kgo.RecordHeader{header("ce_specversion", "1.0"), header("CE_ID", "1"), header("ce_source", "/s"), header("ce_type", "t"), header("ce_time", at.Format(time.RFC3339Nano)), header("Content-Type", "text/plain"), header("ce_own", "ü"), header("traceparent", "x")},
			&events.Message{ID: "1", Source: "/s", Type: "t", Time: at, ContentType: "text/plain", Key: "k", Data: []byte("data"), Extensions: map[string]string{"own": "ü"}, Metadata: map[string]string{"traceparent": "x"}},
		},
		{"PartitionKey", "record", "d", []kgo.RecordHeader{header("ce_id", "1"), header("ce_partitionkey", "attribute")}, &events.Message{ID: "1", Key: "attribute", Data: []byte("d")}},
		{
			"Structured", "k", `{"specversion":"1.0","id":"1","source":"/s","type":"t","time":"2026-02-03T04:05:06.000000789Z","subject":null,"n":17,"b":true,"data":{"a": 1}}`,
			[]kgo.RecordHeader{header("content-type", "application/cloudevents+json; charset=UTF-8"), header("x", "y")},
			&events.Message{ID: "1", Source: "/s", Type: "t", Time: at, ContentType: "application/json", Key: "k", Data: []byte(`{"a": 1}`), Extensions: map[string]string{"n": "17", "b": "true"}, Metadata: map[string]string{"x": "y"}},
		},
		{
			"StructuredBytes", "", `{"specversion":"1.0","id":"1","source":"/s","type":"t","datacontenttype":"application/protobuf","partitionkey":"p","data_base64":"AAH/"}`,
			[]kgo.RecordHeader{header("content-type", "application/cloudevents+json")},
			&events.Message{ID: "1", Source: "/s", Type: "t", ContentType: "application/protobuf", Key: "p", Data: []byte{0, 1, 0xff}},
		},
		{
			"StructuredText", "", `{"specversion":"1.0","id":"1","source":"/s","type":"t","datacontenttype":"text/plain","data":"a\nb"}`,
			[]kgo.RecordHeader{header("content-type", "application/cloudevents+json")},
			&events.Message{ID: "1", Source: "/s", Type: "t", ContentType: "text/plain", Data: []byte("a\nb")},
		},
		{"NoEvent", "k", "v", []kgo.RecordHeader{header("X-Own", "1")}, &events.Message{Key: "k", Data: []byte("v"), Metadata: map[string]string{"x-own": "1"}}},
		{"Version", "", "", []kgo.RecordHeader{header("ce_specversion", "2.0")}, nil},
		{"Text", "", "", []kgo.RecordHeader{header("ce_subject", "\xff")}, nil},
		{"Batch", "", "[]", []kgo.RecordHeader{header("content-type", "application/cloudevents-batch+json")}, nil},
		{"NoID", "", `{"specversion":"1.0","source":"/s","type":"t"}`, []kgo.RecordHeader{header("content-type", "application/cloudevents+json")}, nil},
		{"Object", "", `{"specversion":"1.0","id":"1","source":"/s","type":"t","own":{}}`, []kgo.RecordHeader{header("content-type", "application/cloudevents+json")}, nil},
		{"BothData", "", `{"specversion":"1.0","id":"1","source":"/s","type":"t","data":1,"data_base64":""}`, []kgo.RecordHeader{header("content-type", "application/cloudevents+json")}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := &kgo.Record{Value: []byte(test.value), Headers: test.headers}
			if test.key != "" {
				r.Key = []byte(test.key)
			}
			got, err := kafkaevents.CloudEvents{}.Decode(r)
			if test.want == nil {
				if err == nil {
					t.Errorf("read as %+v", got)
				}
				return
			}
			if err != nil || !reflect.DeepEqual(got, test.want) {
				t.Errorf("got  %+v, %v\nwant %+v", got, err, test.want)
			}
		})
	}
	for _, m := range []*events.Message{
		{ID: "1", Extensions: map[string]string{"partitionkey": "k"}},
		{ID: "1", Metadata: map[string]string{"ce_id": "2"}},
		{ID: "1", Metadata: map[string]string{"content-type": "x"}},
	} {
		if _, err := (kafkaevents.CloudEvents{}).Encode(m); err == nil {
			t.Errorf("%+v becomes a record", m)
		}
	}
}

// bad is a codec that fails.
type bad struct{ kafkaevents.CloudEvents }

func (bad) Encode(*events.Message) (*kgo.Record, error) { return nil, errors.New("no schema") }

func TestEncodeFails(t *testing.T) {
	b := newCluster(t).declared(func(o *kafkaevents.Options) { o.Topics = map[string]kafkaevents.Topic{"t": {Codec: bad{}}} })
	if err := eventstest.Send(t.Context(), b, "t", eventstest.Event("1", "")); err == nil || !strings.Contains(err.Error(), "no schema") {
		t.Errorf("publish: %v", err)
	}
}

// FuzzCloudEvents holds that any record is read or refused, and that what was read is written and read as the same.
func FuzzCloudEvents(f *testing.F) {
	f.Add([]byte("k"), []byte("data"), "ce_id", "1", "content-type", "text/plain")
	f.Add([]byte(nil), []byte(`{"specversion":"1.0","id":"1","source":"/s","type":"t","data":{}}`), "content-type", "application/cloudevents+json", "x", "y")
	f.Add([]byte("\xff"), []byte(`{"specversion":"1.0","id":"","source":"","type":"","data_base64":"AA=="}`), "Content-Type", "application/cloudevents+json", "ce_partitionkey", "")
	f.Add([]byte(""), []byte(nil), "ce_time", "2026-02-03T04:05:06Z", "ce_", "x")
	f.Fuzz(func(t *testing.T, key, value []byte, name1, value1, name2, value2 string) {
		codec := kafkaevents.CloudEvents{}
		m, err := codec.Decode(&kgo.Record{Key: key, Value: value, Headers: []kgo.RecordHeader{header(name1, value1), header(name2, value2)}})
		if err != nil {
			return
		}
		r, err := codec.Encode(m)
		if err != nil {
			t.Fatalf("%+v is read and not written: %v", m, err)
		}
		again, err := codec.Decode(r)
		if err != nil {
			if strings.HasPrefix(strings.ToLower(m.ContentType), "application/cloudevents") {
				return // data that is an event itself
			}
			t.Fatalf("%+v is written and not read: %v", m, err)
		}
		if strings.HasPrefix(strings.ToLower(m.ContentType), "application/cloudevents") {
			return
		}
		m.Time = m.Time.UTC()
		again.Time = again.Time.UTC()
		if len(m.Data) == 0 {
			m.Data, again.Data = nil, nil
		}
		for name, v := range m.Extensions {
			if v == "" { // no attribute
				delete(m.Extensions, name)
			}
		}
		if len(m.Extensions) == 0 {
			m.Extensions = nil
		}
		if !reflect.DeepEqual(m, again) {
			t.Errorf("wrote %+v\nread  %+v", m, again)
		}
	})
}

// FuzzPlain holds that any record is written as it was read.
func FuzzPlain(f *testing.F) {
	f.Add([]byte("k"), []byte("v"), "a", []byte("1"), "b", []byte("2"))
	f.Add([]byte("k"), []byte("v"), "b", []byte("1"), "a", []byte("2"))
	f.Add([]byte("k"), []byte("v"), "a", []byte("1"), "a", []byte("1"))
	f.Add([]byte("k"), []byte(nil), "kafka-headers", []byte("AWEA"), "a", []byte(nil))
	f.Fuzz(func(t *testing.T, key, value []byte, name1 string, value1 []byte, name2 string, value2 []byte) {
		if len(key) == 0 {
			key = nil
		}
		r := &kgo.Record{Key: key, Value: value, Headers: []kgo.RecordHeader{{Key: name1, Value: value1}, {Key: name2, Value: value2}}}
		codec := kafkaevents.Plain{Type: "t"}
		m, err := codec.Decode(r)
		if err != nil {
			t.Fatal(err)
		}
		again, err := codec.Encode(m)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(again.Key, r.Key) || !bytes.Equal(again.Value, r.Value) || !reflect.DeepEqual(again.Headers, r.Headers) {
			t.Errorf("wrote %+v, it was %+v", again, r)
		}
	})
}
