package events_test

import (
	"bytes"
	"context"
	"maps"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hanse-go/hanse/events"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

func structured(text string) *events.Message {
	return &events.Message{ID: "stream/7", ContentType: "application/cloudevents+json; charset=UTF-8", Metadata: map[string]string{"x": "1"}, Data: []byte(text)}
}

func TestUnpack(t *testing.T) {
	const least = `"specversion":"1.0","id":"4711","source":"/till","type":"google.protobuf.StringValue"`
	metadata := map[string]string{"x": "1"}
	at := time.Date(2026, 11, 23, 10, 0, 0, 500e6, time.UTC)
	for name, c := range map[string]struct {
		json string
		want events.Message // besides what least says
	}{
		"least":       {`{` + least + `}`, events.Message{ContentType: "application/json", Data: []byte{}}},
		"JSON":        {`{` + least + `,"data":{"a": 1}}`, events.Message{ContentType: "application/json", Data: []byte(`{"a": 1}`)}},
		"JSON text":   {`{` + least + `,"data":"text"}`, events.Message{ContentType: "application/json", Data: []byte(`"text"`)}},
		"JSON null":   {`{` + least + `,"data":null}`, events.Message{ContentType: "application/json", Data: []byte(`null`)}},
		"other JSON":  {`{` + least + `,"data":"text","datacontenttype":"application/a+json"}`, events.Message{ContentType: "application/a+json", Data: []byte(`"text"`)}},
		"text":        {`{` + least + `,"data":"text","datacontenttype":"text/plain"}`, events.Message{ContentType: "text/plain", Data: []byte("text")}},
		"XML as JSON": {`{` + least + `,"data":[1],"datacontenttype":"text/xml"}`, events.Message{ContentType: "text/xml", Data: []byte("[1]")}},
		"binary": {`{` + least + `,"data_base64":"AAH/","datacontenttype":"application/protobuf"}`,
			events.Message{ContentType: "application/protobuf", Data: []byte{0, 1, 255}}},
		"attributes": {`{` + least + `,"subject":"it","time":"2026-11-23T10:00:00.5Z","dataschema":"urn:a","partitionkey":"k","tenant":"t1","number":7,"flag":true,"none":null}`,
			events.Message{ContentType: "application/json", Data: []byte{}, Subject: "it", Time: at, DataSchema: "urn:a", Key: "k",
				Extensions: map[string]string{"tenant": "t1", "number": "7", "flag": "true"}}},
		"tracing": {`{` + least + `,"traceparent":"00-1-2-01","tracestate":"a=b"}`, events.Message{ContentType: "application/json", Data: []byte{},
			Metadata: map[string]string{"x": "1", "traceparent": "00-1-2-01", "tracestate": "a=b"}}},
	} {
		t.Run(name, func(t *testing.T) {
			c.want.ID, c.want.Source, c.want.Type = "4711", "/till", "google.protobuf.StringValue"
			if c.want.Metadata == nil {
				c.want.Metadata = metadata
			}
			m := structured(c.json)
			got, err := m.Unpack()
			if err != nil || !reflect.DeepEqual(*got, c.want) {
				t.Errorf("got %+v, %v, want %+v", got, err, c.want)
			}
			if !maps.Equal(m.Metadata, metadata) || string(m.Data) != c.json {
				t.Error("it has changed the message")
			}
		})
	}
	for want, text := range map[string]string{
		"no event in JSON":         `[1]`,
		"unexpected end":           `{` + least,
		"no attribute id":          `{"specversion":"1.0","source":"/till","type":"t"}`,
		"no attribute source":      `{"specversion":"1.0","id":"1","source":null,"type":"t"}`,
		"no attribute type":        `{"specversion":"1.0","id":"1","source":"/till","type":""}`,
		"no attribute specversion": `{"id":"1","source":"/till","type":"t"}`,
		`"specversion": the version of CloudEvents is "0.3"`: `{"specversion":"0.3","id":"1","source":"/till","type":"t"}`,
		"is not that of RFC 3339":                            `{` + least + `,"time":"yesterday"}`,
		"no text, number or boolean":                         `{` + least + `,"tenant":{}}`,
		"the name is not of a-z and 0-9":                     `{` + least + `,"Tenant":"1"}`,
		"has a line break":                                   `{` + least + `,"tenant":"1\n2"}`,
		"data and data_base64":                               `{` + least + `,"data":1,"data_base64":""}`,
		"data_base64 cannot be read":                         `{` + least + `,"data_base64":"?"}`,
	} {
		if got, err := structured(text).Unpack(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %+v, %v, want an error with %q", text, got, err, want)
		}
	}
	for _, content := range []string{"", "application/json", "application/cloud", "text/plain"} {
		m := &events.Message{ContentType: content, Data: []byte(`{` + least + `}`)}
		if got, err := m.Unpack(); got != m || err != nil {
			t.Errorf("%q: got %+v, %v", content, got, err)
		}
	}
	for content, well := range map[string]bool{
		"APPLICATION/CloudEvents+JSON": true, "application/cloudevents": true,
		"application/cloudevents-batch+json": false, "application/cloudevents+avro": false,
	} {
		m := &events.Message{ContentType: content, Data: []byte(`{` + least + `}`)}
		if _, err := m.Unpack(); well != (err == nil) {
			t.Errorf("%q: %v", content, err)
		}
	}
}

// A handler gets events in structured mode as any others, in the order of their key, and those that cannot be read become dead letters.
func TestStructured(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		memory := new(events.Memory)
		b := newBus(memory)
		var got []string
		placed.Subscribe(b, "mailer", func(_ context.Context, e *events.Event[*wrapperspb.StringValue]) error {
			got = append(got, e.ID+" "+e.Source+" "+e.Key+" "+e.Data.GetValue())
			return nil
		})
		if err := b.Declare(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, text := range []string{
			`{"specversion":"1.0","id":"1","source":"/till","type":"google.protobuf.StringValue","partitionkey":"k","data":"tea"}`,
			`{"specversion":"1.0","id":"2"}`,
			`{"specversion":"1.0","id":"3","source":"/till","type":"google.protobuf.StringValue","partitionkey":"k","data_base64":"CgZjb2ZmZWU=","datacontenttype":"application/protobuf"}`,
		} {
			m := structured(text)
			m.ID += text
			memory.Publish(t.Context(), placed.Name(), m, func(err error) {
				if err != nil {
					t.Error(err)
				}
			})
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := b.Run(ctx); err != nil {
			t.Error(err)
		}
		if want := []string{"1 /till k tea", "3 /till k coffee"}; !reflect.DeepEqual(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
		if s := b.Stats().Subscriptions[0]; s.DeadLettered != 1 || !strings.Contains(s.LastError, "it has no attribute") {
			t.Errorf("%+v", s)
		}
	})
}

func FuzzUnpack(f *testing.F) {
	f.Add("application/cloudevents+json", []byte(`{"specversion":"1.0","id":"1","source":"/till","type":"t","time":"2026-11-23T10:00:00Z","data":{"a":1},"x":true}`))
	f.Add("application/cloudevents; a=b", []byte(`{"specversion":"1.0","id":"1","source":"/till","type":"t","datacontenttype":"text/plain","data":"a"}`))
	f.Add("application/cloudevents+json", []byte(`{"specversion":"1.0","id":"1","source":"/till","type":"t","data_base64":"AA=="}`))
	f.Fuzz(func(t *testing.T, content string, data []byte) {
		m := &events.Message{ContentType: content, Data: bytes.Clone(data)}
		got, err := m.Unpack()
		switch {
		case !bytes.Equal(m.Data, data):
			t.Error("it has changed the data")
		case err != nil && got != nil, err == nil && got == nil:
			t.Errorf("%v, %v", got, err)
		case err == nil && got != m && (got.ID == "" || got.Source == "" || got.Type == "" || got.Data == nil):
			t.Errorf("got %+v", got)
		}
	})
}
