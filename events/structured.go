package events

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// structuredPrefix is how the content type of a message begins that has all of its event in the data.
const structuredPrefix = "application/cloudevents"

// Unpack returns the event of a message in the structured mode of CloudEvents, whose data is the whole event in JSON
// (application/cloudevents+json), as other programs may publish it. Any other message is returned as it is. Subscriptions do this, so that a
// broker need not.
func (m *Message) Unpack() (*Message, error) {
	if len(m.ContentType) < len(structuredPrefix) || !strings.EqualFold(m.ContentType[:len(structuredPrefix)], structuredPrefix) {
		return m, nil
	}
	if kind := mediaType(m.ContentType); kind != structuredPrefix+"+json" && kind != structuredPrefix {
		return nil, fmt.Errorf("its content type is %q: of events in structured mode, %s+json can be read", m.ContentType, structuredPrefix)
	}
	var all map[string]json.RawMessage
	if err := json.Unmarshal(m.Data, &all); err != nil {
		return nil, fmt.Errorf("its data is no event in JSON: %w", err)
	}
	e := &Message{ContentType: contentJSON, Time: m.Time, Key: m.Key, Due: m.Due, Metadata: maps.Clone(m.Metadata)}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if name == "data" || name == "data_base64" {
			continue
		}
		value, err := attributeText(all[name])
		if err == nil && value != nil {
			err = e.setUnpacked(name, *value)
		}
		if err != nil {
			return nil, fmt.Errorf("its attribute %q: %w", name, err)
		}
	}
	for name, value := range map[string]string{"id": e.ID, "source": e.Source, "type": e.Type} {
		if value == "" {
			return nil, fmt.Errorf("it has no attribute %s", name)
		}
	}
	if all["specversion"] == nil {
		return nil, errors.New("it has no attribute specversion")
	}
	data, err := structuredData(all["data"], all["data_base64"], e.ContentType)
	if err != nil {
		return nil, err
	}
	e.Data = data
	return e, nil
}

// setUnpacked takes an attribute of an event in JSON.
func (m *Message) setUnpacked(name, value string) error {
	if err := checkText("its value", value); err != nil {
		return err
	}
	switch {
	case name == "traceparent" || name == "tracestate": // the extension for tracing: headers, elsewhere
		if m.Metadata[name] == "" {
			m.SetMetadata(name, value)
		}
		return nil
	case strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789") != "":
		return errors.New("the name is not of a-z and 0-9")
	}
	return m.SetAttribute(name, value)
}

// attributeText returns the text of an attribute in JSON, nil when it is not set.
func attributeText(raw json.RawMessage) (*string, error) {
	var value any
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if err := d.Decode(&value); err != nil {
		return nil, err
	}
	switch v := value.(type) {
	case nil:
		return nil, nil
	case string:
		return &v, nil
	case bool, json.Number:
		text := fmt.Sprint(v)
		return &text, nil
	}
	return nil, errors.New("it is no text, number or boolean")
}

// structuredData returns the data of an event in JSON.
func structuredData(data, base64 json.RawMessage, contentType string) ([]byte, error) {
	switch {
	case data != nil && base64 != nil:
		return nil, errors.New("it has data and data_base64")
	case base64 != nil:
		var bytes []byte
		if err := json.Unmarshal(base64, &bytes); err != nil {
			return nil, fmt.Errorf("its data_base64 cannot be read: %w", err)
		}
		return bytes, nil
	case data == nil:
		return []byte{}, nil
	case data[0] == '"' && !isJSON(contentType):
		var text string
		if err := json.Unmarshal(data, &text); err != nil {
			return nil, fmt.Errorf("its data cannot be read: %w", err)
		}
		return []byte(text), nil
	}
	return bytes.Clone(data), nil
}

func isJSON(contentType string) bool {
	kind := mediaType(contentType)
	return strings.HasSuffix(kind, "/json") || strings.HasSuffix(kind, "+json")
}

// mediaType returns a content type without its parameters.
func mediaType(contentType string) string {
	kind, _, _ := strings.Cut(contentType, ";")
	return strings.ToLower(strings.TrimSpace(kind))
}
