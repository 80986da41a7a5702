package events

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// EachAttribute calls set with the attributes of CloudEvents that m has, extensions last and by their names. It is for brokers. The content type is not
// among them, for each binding has a place of its own for it. The error is of an extension that is named like an attribute.
func (m *Message) EachAttribute(set func(name, value string)) error {
	set("specversion", "1.0")
	for _, a := range [...]struct{ name, value string }{
		{"id", m.ID}, {"source", m.Source}, {"type", m.Type}, {"subject", m.Subject}, {"dataschema", m.DataSchema}, {"partitionkey", m.Key},
	} {
		if a.value != "" {
			set(a.name, a.value)
		}
	}
	if !m.Time.IsZero() {
		set("time", m.Time.UTC().Format(time.RFC3339Nano))
	}
	if len(m.Extensions) == 0 {
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(m.Extensions)) {
		switch name {
		case "specversion", "id", "source", "type", "subject", "time", "dataschema", "datacontenttype", "partitionkey":
			return fmt.Errorf("extension %q: it is an attribute, set its field", name)
		}
		if value := m.Extensions[name]; value != "" {
			set(name, value)
		}
	}
	return nil
}

// SetAttribute gives m an attribute of CloudEvents by its name in lower case; one without a field of its own is an extension. It is for brokers. The error is
// of a value that cannot be read, which leaves m as it is, so who takes what there is may ignore it.
func (m *Message) SetAttribute(name, value string) error {
	switch name {
	case "specversion":
		if value != "1" && !strings.HasPrefix(value, "1.") {
			return fmt.Errorf("the version of CloudEvents is %q: 1.0 can be read", value)
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
			return fmt.Errorf("the time %q is not that of RFC 3339", value)
		}
		m.Time = t
	default:
		if m.Extensions == nil {
			m.Extensions = make(map[string]string)
		}
		m.Extensions[name] = value
	}
	return nil
}

// SetMetadata gives m a value of metadata by its name in lower case.
func (m *Message) SetMetadata(name, value string) {
	if m.Metadata == nil {
		m.Metadata = make(map[string]string)
	}
	m.Metadata[name] = value
}
