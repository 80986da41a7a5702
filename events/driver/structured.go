package driver

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hanse-go/hanse/events"
)

// Unfold reads a message that came in the structured mode of CloudEvents, whose data is the whole event: attributes and data become those of the event.
// Messages of other content types stay as they are, and so does what is no event, of which the error is.
func Unfold(m *events.Message) error {
	kind, _, _ := strings.Cut(strings.ToLower(m.ContentType), ";")
	switch strings.TrimSpace(kind) {
	case "application/cloudevents+json", "application/cloudevents":
		e := *m
		e.Extensions = maps.Clone(m.Extensions)
		if err := unfold(&e); err != nil {
			return err
		}
		*m = e
		return nil
	case "application/cloudevents-batch+json":
		return errors.New("it is a batch of events, and each must be a message of its own")
	}
	return nil
}

func unfold(m *events.Message) error {
	var all map[string]json.RawMessage
	if err := json.Unmarshal(m.Data, &all); err != nil {
		return fmt.Errorf("it is no event in JSON: %w", err)
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
		if err := SetAttribute(m, name, *value); err != nil {
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
