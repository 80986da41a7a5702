package kafkaevents

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/hanse-go/hanse/events"
	"github.com/twmb/franz-go/pkg/kgo"
)

// CloudEvents is the codec of the binding of CloudEvents to Kafka. It writes the binary mode: each attribute in a header that begins with ce_,
// datacontenttype in content-type, the data as the value, the key as the record's key. It reads that and the structured mode in
// JSON; of a record that is no event of CloudEvents it makes one without type.
type CloudEvents struct{}

const attributePrefix = "ce_"

// Encode implements [Codec].
func (CloudEvents) Encode(m *events.Message) (*kgo.Record, error) {
	r := &kgo.Record{Value: m.Data, Headers: make([]kgo.RecordHeader, 0, 9+len(m.Extensions)+len(m.Metadata))}
	if m.Key != "" {
		r.Key = []byte(m.Key)
	}
	set := func(name, value string) {
		r.Headers = append(r.Headers, kgo.RecordHeader{Key: name, Value: []byte(value)})
	}
	attribute := func(name, value string) {
		if value != "" {
			set(attributePrefix+name, value)
		}
	}
	attribute("specversion", "1.0")
	attribute("id", m.ID)
	attribute("source", m.Source)
	attribute("type", m.Type)
	attribute("subject", m.Subject)
	attribute("dataschema", m.DataSchema)
	attribute("partitionkey", m.Key)
	if !m.Time.IsZero() {
		attribute("time", m.Time.UTC().Format(time.RFC3339Nano))
	}
	if m.ContentType != "" {
		set("content-type", m.ContentType)
	}
	for name, value := range m.Extensions {
		if known(name) {
			return nil, fmt.Errorf("extension %q: it is an attribute, set its field", name)
		}
		attribute(name, value)
	}
	for name, value := range m.Metadata {
		if reserved(name) {
			return nil, fmt.Errorf("metadata %q: the name is reserved", name)
		}
		set(name, value)
	}
	return r, nil
}

func known(attribute string) bool {
	switch attribute {
	case "specversion", "id", "source", "type", "subject", "time", "dataschema", "datacontenttype", "partitionkey":
		return true
	}
	return false
}

func reserved(name string) bool {
	return name == "content-type" || strings.HasPrefix(name, attributePrefix)
}

// Decode implements [Codec].
func (CloudEvents) Decode(r *kgo.Record) (*events.Message, error) {
	m := &events.Message{Key: string(r.Key), Data: r.Value}
	for _, h := range r.Headers {
		name, value := strings.ToLower(h.Key), string(h.Value)
		switch attribute, is := strings.CutPrefix(name, attributePrefix); {
		case name == "content-type":
			m.ContentType = value
		case !is:
			add(&m.Metadata, name, value)
		default:
			if err := setAttribute(m, attribute, value); err != nil {
				return nil, err
			}
		}
	}
	switch kind, _, _ := strings.Cut(strings.ToLower(m.ContentType), ";"); strings.TrimSpace(kind) {
	case "application/cloudevents+json", "application/cloudevents":
		return m, structured(m)
	case "application/cloudevents-batch+json":
		return nil, errors.New("it is a batch of events, which the binding of CloudEvents to Kafka does not have")
	}
	return m, nil
}

func add(to *map[string]string, name, value string) {
	if *to == nil {
		*to = make(map[string]string)
	}
	(*to)[name] = value
}

// setAttribute sets what an attribute has a place in.
func setAttribute(m *events.Message, name, value string) error {
	if !utf8.ValidString(value) {
		return fmt.Errorf("its attribute %s is no UTF-8", name)
	}
	switch name {
	case "specversion":
		if !strings.HasPrefix(value, "1.") && value != "1" {
			return fmt.Errorf("it is of version %q of CloudEvents: 1.0 can be read", value)
		}
	case "id":
		m.ID = value
	case "source":
		m.Source = value
	case "type":
		m.Type = value
	case "subject":
		m.Subject = value
	case "dataschema":
		m.DataSchema = value
	case "datacontenttype":
		m.ContentType = value
	case "partitionkey":
		m.Key = value
	case "time":
		t, err := time.Parse(time.RFC3339Nano, value)
		if err != nil {
			return fmt.Errorf("its time %q is not that of RFC 3339", value)
		}
		m.Time = t
	default:
		add(&m.Extensions, name, value)
	}
	return nil
}

// structured reads an event that is all in the value.
func structured(m *events.Message) error {
	var all map[string]json.RawMessage
	if err := json.Unmarshal(m.Data, &all); err != nil {
		return fmt.Errorf("its value is no event in JSON: %w", err)
	}
	for _, name := range []string{"specversion", "id", "source", "type"} {
		if all[name] == nil {
			return fmt.Errorf("it has no attribute %s", name)
		}
	}
	data, base64 := all["data"], all["data_base64"]
	delete(all, "data")
	delete(all, "data_base64")
	m.Data, m.ContentType = nil, "application/json"
	names := make([]string, 0, len(all))
	for name := range all {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		value, err := scalar(all[name])
		if err != nil {
			return fmt.Errorf("its attribute %s: %w", name, err)
		}
		if value == nil {
			continue
		}
		if err := setAttribute(m, name, *value); err != nil {
			return err
		}
	}
	switch {
	case base64 != nil:
		if data != nil {
			return errors.New("it has both data and data_base64")
		}
		if err := json.Unmarshal(base64, &m.Data); err != nil {
			return fmt.Errorf("its data_base64: %w", err)
		}
	case data == nil:
	case data[0] == '"' && !isJSON(m.ContentType):
		var text string
		if err := json.Unmarshal(data, &text); err != nil {
			return fmt.Errorf("its data: %w", err)
		}
		m.Data = []byte(text)
	default:
		m.Data = bytes.Clone(data)
	}
	return nil
}

func isJSON(contentType string) bool {
	kind, _, _ := strings.Cut(strings.ToLower(contentType), ";")
	kind = strings.TrimSpace(kind)
	return kind == "application/json" || kind == "text/json" || strings.HasSuffix(kind, "+json")
}

// scalar returns the text of a value of an attribute, nil for null.
func scalar(raw json.RawMessage) (*string, error) {
	var value any
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if err := d.Decode(&value); err != nil {
		return nil, err
	}
	var text string
	switch v := value.(type) {
	case nil:
		return nil, nil
	case string:
		text = v
	case bool, json.Number:
		text = fmt.Sprint(v)
	default:
		return nil, errors.New("it is no string, number or boolean")
	}
	return &text, nil
}
