package redisevents

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hanse-go/hanse/events"
)

// sequenceField is the number of an event. The scripts add it.
const sequenceField = "hanse-sequence"

// fields writes an event as the fields of an entry, name after name and value.
func fields(m *events.Message) ([]any, error) {
	all := make([]any, 0, 2*(10+len(m.Extensions)+len(m.Metadata)))
	set := func(name, value string) {
		if value != "" {
			all = append(all, name, value)
		}
	}
	set("ce-specversion", "1.0")
	set("ce-id", m.ID)
	set("ce-source", m.Source)
	set("ce-type", m.Type)
	if !m.Time.IsZero() {
		set("ce-time", m.Time.UTC().Format(time.RFC3339Nano))
	}
	set("ce-subject", m.Subject)
	set("ce-dataschema", m.DataSchema)
	set("ce-partitionkey", m.Key)
	set("content-type", m.ContentType)
	// In order, for entries with the same names one after the other take less memory on the server.
	for _, name := range slices.Sorted(maps.Keys(m.Extensions)) {
		if known(name) {
			return nil, fmt.Errorf("extension %q: it is an attribute, set its field", name)
		}
		set("ce-"+name, m.Extensions[name])
	}
	for _, name := range slices.Sorted(maps.Keys(m.Metadata)) {
		if name == "data" || name == "content-type" || name == sequenceField || strings.HasPrefix(name, "ce-") {
			return nil, fmt.Errorf("metadata %q: the name is reserved", name)
		}
		all = append(all, name, m.Metadata[name])
	}
	if len(all) > mostFields {
		return nil, fmt.Errorf("%w: %d attributes and metadata, and %d are possible", events.ErrTooLarge, len(all)/2, mostFields/2)
	}
	return append(all, "data", m.Data), nil
}

// mostFields is what the server's Lua can take in one call, with room to spare.
const mostFields = 4000

func known(attribute string) bool {
	switch attribute {
	case "specversion", "id", "source", "type", "subject", "time", "dataschema", "datacontenttype", "partitionkey":
		return true
	}
	return false
}

// message reads what fields wrote, or what another program did: an entry that is no event of CloudEvents at all gets its place for an ID,
// and the time at which it was stored.
func message(lane, id string, fields []any) (m *events.Message, sequence uint64) {
	m = &events.Message{Data: []byte{}}
	for i := 0; i+1 < len(fields); i += 2 {
		name, _ := fields[i].(string)
		value, _ := fields[i+1].(string)
		switch name {
		case "ce-specversion":
		case "ce-id":
			m.ID = value
		case "ce-source":
			m.Source = value
		case "ce-type":
			m.Type = value
		case "ce-subject":
			m.Subject = value
		case "ce-dataschema":
			m.DataSchema = value
		case "ce-partitionkey":
			m.Key = value
		case "ce-time":
			m.Time, _ = time.Parse(time.RFC3339Nano, value) // of one that cannot be read, that of the server is taken
		case "content-type", "ce-datacontenttype":
			m.ContentType = value
		case sequenceField:
			sequence, _ = strconv.ParseUint(value, 10, 64) // another program may have written anything
		case "data":
			m.Data = []byte(value)
		default:
			to := &m.Metadata
			if attribute, ok := strings.CutPrefix(name, "ce-"); ok {
				name, to = attribute, &m.Extensions
			} else {
				name = strings.ToLower(name)
			}
			if *to == nil {
				*to = make(map[string]string)
			}
			(*to)[name] = value
		}
	}
	if m.Time.IsZero() {
		m.Time = time.UnixMilli(milliseconds(id)).UTC()
	}
	if m.ID == "" {
		m.ID = lane + "/" + id
	}
	return m, sequence
}

// milliseconds returns when an entry was stored.
func milliseconds(id string) int64 {
	at, _, _ := strings.Cut(id, "-")
	ms, _ := strconv.ParseInt(at, 10, 64) // the server makes it
	return ms
}
