package desk

import (
	"context"
	"encoding/json"
	"iter"
	"strings"
	"time"

	"github.com/hanse-go/hanse/events"
	"github.com/hanse-go/hanse/internal/reflection"
	"google.golang.org/protobuf/proto"
)

// Reader reads the events of a topic.
type Reader struct {
	Topic  string
	Schema *events.Schema // nil: what they carry is not known

	// Passes limits what is read to the events for which it is true. nil: all.
	Passes func(events.Stored) bool

	desk Desk
}

// Reader returns one for a topic. The error is a [NotFoundError] when there is none of the name.
func (d Desk) Reader(ctx context.Context, topic string) (*Reader, error) {
	if _, err := d.Topic(ctx, topic); err != nil {
		return nil, err
	}
	return d.reader(ctx, topic)
}

func (d Desk) reader(ctx context.Context, topic string) (*Reader, error) {
	schema, err := d.Schema(ctx, topic)
	return &Reader{Topic: topic, Schema: schema, desk: d}, err
}

// Decode returns the message of an event; nil when what it carries is not known.
func (r *Reader) Decode(m *events.Message) (proto.Message, error) {
	if r.Schema == nil {
		return nil, nil
	}
	msg, err := r.Schema.Decode(m)
	if err != nil {
		return nil, err
	}
	return msg, nil
}

// Read returns what is stored from a position on, up to a number and before a time (0 for none), and passes.
func (r *Reader) Read(ctx context.Context, from events.Start, last uint64, before time.Time) iter.Seq2[events.Stored, error] {
	return func(yield func(events.Stored, error) bool) {
		for s, err := range r.desk.Read(ctx, r.Topic, from) {
			if err != nil {
				yield(s, err)
				return
			}
			if last > 0 && s.Sequence > last || !before.IsZero() && !s.Time.Before(before) {
				return
			}
			if (r.Passes == nil || r.Passes(s)) && !yield(s, nil) {
				return
			}
		}
	}
}

// Event is a stored event, for people and as JSON.
type Event struct {
	Sequence    uint64            `json:"sequence"`
	Stored      *time.Time        `json:"stored,omitempty"`
	ID          string            `json:"id"`
	Source      string            `json:"source"`
	Type        string            `json:"type"`
	Subject     string            `json:"subject,omitempty"`
	Time        time.Time         `json:"time"`
	Key         string            `json:"key,omitempty"`
	Trace       string            `json:"trace,omitempty"`
	OnlyFor     *string           `json:"onlyFor,omitempty"` // the group that gets it once more
	Extensions  map[string]string `json:"extensions,omitempty"`
	Metadata    map[string]string `json:"metadata,omitempty"`
	Dead        *Dead             `json:"dead,omitempty"`
	ContentType string            `json:"contentType"`
	Data        json.RawMessage   `json:"data,omitempty"`
	DataBase64  []byte            `json:"dataBase64,omitempty"` // where it cannot be read
	Unreadable  string            `json:"unreadable,omitempty"` // and why
}

// Dead is how an event became a dead letter.
type Dead struct {
	Topic    string    `json:"topic"`
	Group    string    `json:"group"` // empty: one of SubscribeEach
	Attempts int       `json:"attempts"`
	Error    string    `json:"error"`
	ID       string    `json:"id"`
	Sequence uint64    `json:"sequence"`
	Time     time.Time `json:"time"`
}

// Event decodes an event.
func (r *Reader) Event(s events.Stored) Event {
	m := s.Message
	e := Event{
		Sequence: s.Sequence, Stored: some(s.Time), ID: m.ID, Source: m.Source, Type: m.Type, Subject: m.Subject, Time: m.Time, Key: m.Key, Trace: TraceID(m),
		Extensions: m.Extensions, Metadata: shown(m.Metadata), ContentType: m.ContentType,
	}
	if group, ok := m.OnlyFor(); ok {
		e.OnlyFor = &group
	}
	if d, ok := events.DeadLetterOf(m); ok {
		e.Dead = (*Dead)(&d)
	}
	msg, err := r.Decode(m)
	switch {
	case msg != nil:
		e.Data, err = reflection.FormatJSON(msg, nil, false)
	case err == nil && strings.HasPrefix(m.ContentType, "application/json") && json.Valid(m.Data):
		e.Data = m.Data
	}
	if err != nil {
		e.Unreadable = err.Error()
	}
	if e.Data == nil {
		e.DataBase64 = m.Data
	}
	return e
}

// shown leaves out the metadata that is told in other ways.
func shown(metadata map[string]string) map[string]string {
	rest := make(map[string]string)
	for name, value := range metadata {
		if !strings.HasPrefix(name, "hanse-") && name != "traceparent" {
			rest[name] = value
		}
	}
	return rest
}

// TraceID returns the ID of the trace that an event belongs to, "" for none.
func TraceID(m *events.Message) string {
	parts := strings.Split(m.Metadata["traceparent"], "-")
	if len(parts) < 4 || len(parts[1]) != 32 {
		return ""
	}
	return parts[1]
}
