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
	if err := m.EachAttribute(func(name, value string) { all = append(all, "ce-"+name, value) }); err != nil {
		return nil, err
	}
	if m.ContentType != "" {
		all = append(all, "content-type", m.ContentType)
	}
	// In order, for entries with the same names one after the other take less memory on the server.
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

// message reads what fields wrote, or what another program did: an entry that is no event of CloudEvents at all gets its place for an ID,
// and the time at which it was stored.
func message(lane, id string, fields []any) (m *events.Message, sequence uint64) {
	m = &events.Message{Data: []byte{}}
	for i := 0; i+1 < len(fields); i += 2 {
		name, _ := fields[i].(string)
		value, _ := fields[i+1].(string)
		switch name {
		case "content-type":
			m.ContentType = value
		case sequenceField:
			sequence, _ = strconv.ParseUint(value, 10, 64) // another program may have written anything
		case "data":
			m.Data = []byte(value)
		default:
			if attribute, ok := strings.CutPrefix(name, "ce-"); ok {
				_ = m.SetAttribute(attribute, value) // of a time that cannot be read, that of the server is taken
			} else {
				m.SetMetadata(strings.ToLower(name), value)
			}
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
