package driver

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/hanse-go/hanse/events"
)

// EachAttribute calls set with the attributes of CloudEvents that a message has, extensions last and by their names. The content type is not among
// them: each binding has a place of its own for it. The error is of an extension that is named like an attribute.
func EachAttribute(m *events.Message, set func(name, value string)) error {
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

// SetAttribute gives a message an attribute of CloudEvents, whose name is in lower case; one without a field of its own is an extension. The error is of a value
// that cannot be read, which leaves the message as it is: who takes what there is may ignore it.
func SetAttribute(m *events.Message, name, value string) error {
	if !utf8.ValidString(value) {
		return fmt.Errorf("its attribute %s is no UTF-8", name)
	}
	switch name {
	case "specversion":
		if value != "1" && !strings.HasPrefix(value, "1.") {
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
		at, err := time.Parse(time.RFC3339Nano, value)
		if err != nil {
			return fmt.Errorf("its time %q is not that of RFC 3339", value)
		}
		m.Time = at
	default:
		Add(&m.Extensions, name, value)
	}
	return nil
}

// Add puts a value into a map, which it makes if there is none.
func Add(to *map[string]string, name, value string) {
	if *to == nil {
		*to = make(map[string]string)
	}
	(*to)[name] = value
}
