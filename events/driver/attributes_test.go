package driver_test

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/hanse-go/hanse/events"
	"github.com/hanse-go/hanse/events/driver"
)

var full = &events.Message{
	ID: "1", Source: "/s", Type: "t", Subject: "sub", Time: time.Date(2026, 2, 3, 4, 5, 6, 789, time.UTC), DataSchema: "urn:x", Key: "k",
	Extensions: map[string]string{"b": "2", "a": "1", "empty": ""},
}

func TestAttributes(t *testing.T) {
	var names []string
	back := new(events.Message)
	err := driver.EachAttribute(full, func(name, value string) {
		names = append(names, name)
		if err := driver.SetAttribute(back, name, value); err != nil {
			t.Error(err)
		}
	})
	if got, want := strings.Join(names, " "), "specversion id source type subject dataschema partitionkey time a b"; err != nil || got != want {
		t.Errorf("attributes %q, %v; want %q", got, err, want)
	}
	want := *full
	want.Extensions = map[string]string{"a": "1", "b": "2"} // one that is empty is none
	if !reflect.DeepEqual(back, &want) {
		t.Errorf("came back as %+v, want %+v", back, want)
	}
	err = driver.EachAttribute(&events.Message{Extensions: map[string]string{"datacontenttype": "x"}}, func(string, string) {})
	if err == nil || !strings.Contains(err.Error(), `"datacontenttype"`) {
		t.Errorf("an extension with the name of an attribute: %v", err)
	}
}

func TestSetAttribute(t *testing.T) {
	for _, c := range []struct{ name, value, err string }{
		{"specversion", "1", ""},
		{"specversion", "1.1", ""},
		{"specversion", "2.0", `it is of version "2.0" of CloudEvents: 1.0 can be read`},
		{"time", "yesterday", `its time "yesterday" is not that of RFC 3339`},
		{"subject", "a\xff", "its attribute subject is no UTF-8"},
	} {
		m := new(events.Message)
		err := driver.SetAttribute(m, c.name, c.value)
		if got := ""; err != nil {
			got = err.Error()
			if got != c.err {
				t.Errorf("%s %q: %v, want %q", c.name, c.value, err, c.err)
			}
		} else if c.err != "" {
			t.Errorf("%s %q was taken", c.name, c.value)
		}
		if !reflect.DeepEqual(m, new(events.Message)) {
			t.Errorf("%s %q made it %+v", c.name, c.value, m)
		}
	}
}

const structured = "application/cloudevents+json; charset=utf-8"

func TestUnfold(t *testing.T) {
	at := time.Date(2026, 2, 3, 4, 5, 6, 789, time.UTC)
	for name, c := range map[string]struct {
		kind, data string
		want       *events.Message
		err        string
	}{
		"binary mode": {"application/json", `{"a":1}`, &events.Message{ContentType: "application/json", Data: []byte(`{"a":1}`)}, ""},
		"json": {
			structured, `{"specversion":"1.0","id":"1","source":"/s","type":"t","time":"2026-02-03T04:05:06.000000789Z","subject":null,"n":17,"b":true,"data":{"a": 1}}`,
			&events.Message{ID: "1", Source: "/s", Type: "t", Time: at, ContentType: "application/json", Extensions: map[string]string{"n": "17", "b": "true"}, Data: []byte(`{"a": 1}`)}, "",
		},
		"bytes": {
			structured, `{"specversion":"1.0","id":"1","source":"/s","type":"t","datacontenttype":"application/protobuf","partitionkey":"p","data_base64":"AAH/"}`,
			&events.Message{ID: "1", Source: "/s", Type: "t", Key: "p", ContentType: "application/protobuf", Data: []byte{0, 1, 255}}, "",
		},
		"text": {
			structured, `{"specversion":"1.0","id":"1","source":"/s","type":"t","datacontenttype":"text/plain","data":"a\nb"}`,
			&events.Message{ID: "1", Source: "/s", Type: "t", ContentType: "text/plain", Data: []byte("a\nb")}, "",
		},
		"nothing":      {structured, `{"specversion":"1.0","id":"1","source":"/s","type":"t"}`, &events.Message{ID: "1", Source: "/s", Type: "t", ContentType: "application/json"}, ""},
		"no JSON":      {structured, `<event/>`, nil, "it is no event in JSON: "},
		"no type":      {structured, `{"specversion":"1.0","id":"1","source":"/s"}`, nil, "it has no attribute type"},
		"twice":        {structured, `{"specversion":"1.0","id":"1","source":"/s","type":"t","data":1,"data_base64":"AA=="}`, nil, "it has both data and data_base64"},
		"no base64":    {structured, `{"specversion":"1.0","id":"1","source":"/s","type":"t","data_base64":"%"}`, nil, "its data_base64: "},
		"an object":    {structured, `{"specversion":"1.0","id":{},"source":"/s","type":"t"}`, nil, "its attribute id: it is no string, number or boolean"},
		"other format": {"application/cloudevents-batch+json", `[]`, nil, "it is a batch of events"},
	} {
		t.Run(name, func(t *testing.T) {
			m := &events.Message{ContentType: c.kind, Data: []byte(c.data)}
			err := driver.Unfold(m)
			switch {
			case c.err != "":
				if err == nil || !strings.HasPrefix(err.Error(), c.err) {
					t.Errorf("%v, want %q", err, c.err)
				}
				if want := (&events.Message{ContentType: c.kind, Data: []byte(c.data)}); !reflect.DeepEqual(m, want) {
					t.Errorf("it became %+v", m)
				}
			case err != nil:
				t.Error(err)
			case !reflect.DeepEqual(m, c.want):
				t.Errorf("%+v, want %+v", m, c.want)
			}
		})
	}
}

// FuzzUnfold holds that whatever comes is an event or an error.
func FuzzUnfold(f *testing.F) {
	f.Add(`{"specversion":"1.0","id":"1","source":"/s","type":"t","n":17,"data":{"a": 1}}`)
	f.Add(`{"specversion":"1.0","id":"1","source":"/s","type":"t","datacontenttype":"application/protobuf","data_base64":"AAH/"}`)
	f.Add(`{"specversion":"1.0","id":null,"source":"/s","type":"t","time":"x"}`)
	f.Fuzz(func(t *testing.T, data string) {
		m := &events.Message{ContentType: structured, Data: []byte(data)}
		if driver.Unfold(m) != nil {
			return
		}
		if err := driver.EachAttribute(m, func(name, value string) {
			if err := driver.SetAttribute(new(events.Message), name, value); err != nil {
				t.Error(err)
			}
		}); err != nil {
			t.Error(err)
		}
	})
}
