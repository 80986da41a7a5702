package rabbitevents

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/hanse-go/hanse/events"
	amqp "github.com/rabbitmq/amqp091-go"
)

func TestParseURL(t *testing.T) {
	for url, want := range map[string]string{
		"amqp://u:p@a":                      "amqp://u:p@a a",
		"amqp://u:p@a:1,b:2/v":              "amqp://u:p@a:1/v a:1|amqp://u:p@b:2/v b:2",
		"amqps://u:p%40,x@a,b/?heartbeat=5": "amqps://u:p%40,x@a/?heartbeat=5 a|amqps://u:p%40,x@b/?heartbeat=5 b",
		"amqp://[::1]:5672,a/v":             "amqp://[::1]:5672/v [::1]:5672|amqp://a/v a",
	} {
		all, err := parseURL(url)
		var got []string
		for _, s := range all {
			got = append(got, s.url+" "+s.host)
		}
		if err != nil || strings.Join(got, "|") != want {
			t.Errorf("%s: %v, %v, want %s", url, got, err, want)
		}
	}
	for _, url := range []string{"", "amqp:", "a:5672", "http://a", "amqp://", "amqp://u:p@", "amqp://u:p@a,,b", "amqp://u:p@a:port", "amqp://u:p%zz@a", "amqp://u:p@a#x"} {
		if all, err := parseURL(url); !errors.Is(err, errURL) {
			t.Errorf("%q: %v, %v, want an error", url, all, err)
		}
	}
}

func TestOptions(t *testing.T) {
	for want, opts := range map[string]Options{
		"System":     {System: strings.Repeat("x", 50)},
		"Partitions": {Partitions: 65},
		"Lease":      {Lease: time.Millisecond},
		"MaxPending": {MaxPending: -1},
	} {
		b := New("amqp://localhost", opts)
		if err := b.Declare(t.Context(), events.TopicInfo{Name: "t"}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want an error about %s", opts, err, want)
		}
		b.Close()
	}
}

// TestRecordKeeps holds that what a newer version has written into a record stays, and that one of another form is refused.
func TestRecordKeeps(t *testing.T) {
	r, err := parseRecord([]byte(`{"version":1,"topic":"t","partitions":8,"limits":{"max_age":5},"groups":{"g":{"ordered":true}},"new":{"x":1}}`))
	if err != nil {
		t.Fatal(err)
	}
	if r.Limits.MaxAge != 5 || !r.Groups["g"].Ordered {
		t.Errorf("read %+v", r)
	}
	delete(r.Groups, "g")
	r.Partitions = 9
	text, err := r.encode()
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	if got["partitions"] != 9.0 || got["groups"] != nil || got["new"] == nil {
		t.Errorf("wrote %s", text)
	}
	for _, bad := range []string{``, `{`, `{"version":2}`, `[]`} {
		if r, err := parseRecord([]byte(bad)); err == nil {
			t.Errorf("%q is read as %+v", bad, r)
		}
	}
}

func TestHeaderRefuses(t *testing.T) {
	for want, m := range map[string]*events.Message{
		"is an attribute": {Extensions: map[string]string{"time": "x"}},
		"extension":       {Extensions: map[string]string{strings.Repeat("x", 250): "x"}},
		"is reserved":     {Metadata: map[string]string{"x-death": "x"}},
		"reserved":        {Metadata: map[string]string{"cloudEvents:id": "x"}},
		"CC":              {Metadata: map[string]string{"CC": "x"}},
		"metadata":        {Metadata: map[string]string{strings.Repeat("x", 256): "x"}},
		"content type":    {ContentType: strings.Repeat("x", 256)},
	} {
		if _, err := publishing(m); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want an error with %q", m, err, want)
		}
	}
	long := strings.Repeat("x", 300) // which fits into a header, and into no property
	p, err := publishing(&events.Message{ID: long, Type: long})
	if err != nil || p.MessageId != "" || p.Type != "" {
		t.Fatalf("%+v: %v", p, err)
	}
	if m := message(&amqp.Delivery{Headers: p.Headers}); m.ID != long || m.Type != long {
		t.Errorf("got %+v", m)
	}
}

// FuzzMessage holds that whatever comes is an event with an ID and a time.
func FuzzMessage(f *testing.F) {
	f.Add("cloudEvents:id", "1", int64(2), "mid")
	f.Add("cloudEvents_time", "2026-01-01T00:00:00Z", int64(-1), "")
	f.Add("x-delivery-count", "x", int64(1<<40), "")
	f.Fuzz(func(t *testing.T, name, value string, number int64, id string) {
		for _, v := range []any{value, []byte(value), number, number > 0, time.Unix(number%(1<<33), 0), nil, []any{value}, amqp.Table{name: value}} {
			d := &amqp.Delivery{Headers: amqp.Table{name: v}, MessageId: id}
			if m := message(d); m.ID == "" && !strings.HasSuffix(strings.ToLower(name), "id") || m.Time.IsZero() && v != any("0001-01-01T00:00:00Z") {
				t.Errorf("%q: %v becomes %+v", name, v, m)
			}
			_ = attempt(d)
		}
	})
}
