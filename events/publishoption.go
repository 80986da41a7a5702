package events

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// PublishOption varies one event: the result of [At], [ID], [Metadata], [Subject] or [Extension].
type PublishOption func(*Message) error

// At has the event delivered at a time, not before. Its order by key is that in which events become due. The topic must be declared with [Delayed]. A time
// that is past is at once.
func At(due time.Time) PublishOption {
	return func(m *Message) error {
		m.Due = due
		return nil
	}
}

// ID gives the event an ID of the program's own, unique among the events of the host in all topics, instead of one that is drawn. When an event is
// published twice with one ID within a short time, brokers that can keep one of them.
func ID(id string) PublishOption {
	return func(m *Message) error {
		if id == "" || len(id) > maxAttribute {
			return fmt.Errorf("its ID has %d bytes: 1 to %d will do", len(id), maxAttribute)
		}
		m.ID = id
		return checkText("the ID", id)
	}
}

// Subject says what the event is about, within its source: the attribute subject of CloudEvents.
func Subject(subject string) PublishOption {
	return func(m *Message) error {
		m.Subject = subject
		return checkText("the subject", subject)
	}
}

// Metadata adds a header. Names that begin with "hanse-" or "ce-", and content-type, are not the program's.
func Metadata(name, value string) PublishOption {
	return func(m *Message) error {
		if !headerName(name) || strings.HasPrefix(name, "hanse-") || strings.HasPrefix(name, "ce-") || name == "content-type" {
			return fmt.Errorf("metadata %q: a name consists of a-z, 0-9, '-', '_' and '.', and does not begin with hanse- or ce-", name)
		}
		m.SetMetadata(name, value)
		return checkText("metadata "+name, value)
	}
}

// Extension adds an attribute to those that CloudEvents has. A name consists of a-z and 0-9.
func Extension(name, value string) PublishOption {
	return func(m *Message) error {
		if !extensionName(name) {
			return fmt.Errorf("extension %q: a name consists of 1 to 20 of a-z and 0-9, and is none that CloudEvents has already", name)
		}
		if m.Extensions == nil {
			m.Extensions = make(map[string]string)
		}
		m.Extensions[name] = value
		return checkText("extension "+name, value)
	}
}

const maxAttribute = 256

// checkText refuses what no header can carry.
func checkText(what, s string) error {
	if strings.ContainsAny(s, "\r\n\x00") {
		return errors.New(what + " has a line break or a zero byte in it")
	}
	return nil
}

func headerName(s string) bool {
	return s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-_.") == ""
}

func extensionName(s string) bool {
	if s == "" || len(s) > 20 || strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789") != "" {
		return false
	}
	switch s {
	case "id", "source", "specversion", "type", "datacontenttype", "dataschema", "subject", "time", "data", "partitionkey":
		return false
	}
	return true
}
