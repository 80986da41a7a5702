package events_test

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/hanse-go/hanse/events"
)

func TestAttributes(t *testing.T) {
	m := &events.Message{
		ID: "1", Source: "/s", Type: "t", Subject: "sub", Time: time.Date(2026, 2, 3, 4, 5, 6, 789, time.UTC), DataSchema: "urn:x", Key: "k",
		Extensions: map[string]string{"b": "2", "a": "1", "empty": ""},
	}
	var names []string
	back := new(events.Message)
	err := m.EachAttribute(func(name, value string) {
		names = append(names, name)
		if err := back.SetAttribute(name, value); err != nil {
			t.Error(err)
		}
	})
	if got, want := strings.Join(names, " "), "specversion id source type subject dataschema partitionkey time a b"; err != nil || got != want {
		t.Errorf("attributes %q, %v; want %q", got, err, want)
	}
	m.Extensions = map[string]string{"a": "1", "b": "2"} // one that is empty is none
	if !reflect.DeepEqual(back, m) {
		t.Errorf("came back as %+v, want %+v", back, m)
	}
	err = (&events.Message{Extensions: map[string]string{"datacontenttype": "x"}}).EachAttribute(func(string, string) {})
	if err == nil || !strings.Contains(err.Error(), `"datacontenttype"`) {
		t.Errorf("an extension with the name of an attribute: %v", err)
	}
}

func TestSetAttribute(t *testing.T) {
	for _, c := range []struct{ name, value, err string }{
		{"specversion", "1", ""},
		{"specversion", "1.1", ""},
		{"specversion", "2.0", `the version of CloudEvents is "2.0": 1.0 can be read`},
		{"time", "yesterday", `the time "yesterday" is not that of RFC 3339`},
	} {
		m, got := new(events.Message), ""
		if err := m.SetAttribute(c.name, c.value); err != nil {
			got = err.Error()
		}
		if got != c.err || !reflect.DeepEqual(m, new(events.Message)) {
			t.Errorf("%s %q: %q, %+v; want %q", c.name, c.value, got, m, c.err)
		}
	}
}
