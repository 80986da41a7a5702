package natsevents

import (
	"fmt"
	"strings"
	"time"

	"github.com/hanse-go/hanse/events"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// The names of headers. Those of NATS are as the server wants them, for it compares the bytes.
const (
	headerID             = "Nats-Msg-Id"
	headerSchedule       = "Nats-Schedule"
	headerScheduleTarget = "Nats-Schedule-Target"
	headerScheduleTTL    = "Nats-Schedule-TTL"
	headerStatus         = "Status"
	headerPending        = "Nats-Pending-Messages"
)

// header writes the attributes of an event as the binding of CloudEvents to NATS wants them.
func header(m *events.Message) (nats.Header, error) {
	n := 9 + len(m.Extensions) + len(m.Metadata)
	h := make(nats.Header, n)
	values := make([]string, 0, n) // one object for all values
	set := func(name, value string) {
		values = append(values, value)
		h[name] = values[len(values)-1 : len(values) : len(values)]
	}
	attribute := func(name, value string) {
		if value != "" {
			set(name, escape(value))
		}
	}
	set("ce-specversion", "1.0")
	attribute("ce-id", m.ID)
	attribute("ce-source", m.Source)
	attribute("ce-type", m.Type)
	attribute("ce-subject", m.Subject)
	attribute("ce-dataschema", m.DataSchema)
	attribute("ce-partitionkey", m.Key)
	if !m.Time.IsZero() {
		set("ce-time", m.Time.UTC().Format(time.RFC3339Nano))
	}
	if m.ContentType != "" {
		set("content-type", m.ContentType)
	}
	for name, value := range m.Extensions {
		if known(name) {
			return nil, fmt.Errorf("extension %q: it is an attribute, set its field", name)
		}
		attribute("ce-"+name, value)
	}
	for name, value := range m.Metadata {
		if reserved(name) {
			return nil, fmt.Errorf("metadata %q: the name is reserved", name)
		}
		set(name, value)
	}
	if m.ID != "" {
		h[headerID] = []string{escape(m.Identity())}
	}
	return h, nil
}

func known(attribute string) bool {
	switch attribute {
	case "specversion", "id", "source", "type", "subject", "time", "dataschema", "datacontenttype", "partitionkey":
		return true
	}
	return false
}

func reserved(name string) bool {
	return name == "content-type" || strings.HasPrefix(name, "ce-") || strings.HasPrefix(name, "nats-")
}

// message reads into e what header wrote, or what another program did: names in any case, and a message that is no event of CloudEvents at all,
// which gets its place in the stream for an ID.
func message(e *events.Message, m *nats.Msg, stored place) {
	e.Data = m.Data
	for name, values := range m.Header {
		if len(values) == 0 || strings.HasPrefix(name, "Nats-") || read(e, name, values[0]) {
			continue
		}
		lower := strings.ToLower(name)
		if _, twice := m.Header[lower]; lower != name && (twice || read(e, lower, values[0])) {
			continue
		}
		if strings.HasPrefix(lower, "nats-") {
			continue
		}
		to := &e.Metadata
		value := values[0]
		if attribute, ok := strings.CutPrefix(lower, "ce-"); ok {
			lower, value, to = attribute, unescape(value), &e.Extensions
		}
		if *to == nil {
			*to = make(map[string]string)
		}
		(*to)[lower] = value
	}
	if e.Time.IsZero() {
		e.Time = stored.time
	}
	if e.ID == "" {
		e.ID = fmt.Sprintf("%s/%d", stored.stream, stored.sequence)
	}
}

// stored reads a message that was asked for with the client's own functions.
func stored(m jetstream.Msg, meta *jetstream.MsgMetadata) *events.Message {
	e := new(events.Message)
	message(e, &nats.Msg{Header: m.Headers(), Data: m.Data()}, place{stream: meta.Stream, time: meta.Timestamp, sequence: meta.Sequence.Stream})
	return e
}

// read takes a header that has a field of its own.
func read(e *events.Message, name, value string) bool {
	switch name {
	case "ce-specversion":
	case "ce-id":
		e.ID = unescape(value)
	case "ce-source":
		e.Source = unescape(value)
	case "ce-type":
		e.Type = unescape(value)
	case "ce-subject":
		e.Subject = unescape(value)
	case "ce-dataschema":
		e.DataSchema = unescape(value)
	case "ce-partitionkey":
		e.Key = unescape(value)
	case "ce-time":
		e.Time, _ = time.Parse(time.RFC3339Nano, value) // of one that cannot be read, the time of the server is taken
	case "content-type", "ce-datacontenttype":
		e.ContentType = value
	default:
		return false
	}
	return true
}
