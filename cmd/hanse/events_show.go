package main

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/hanse-go/hanse/cmd/hanse/internal/call"
	"github.com/hanse-go/hanse/cmd/hanse/internal/ui"
	"github.com/hanse-go/hanse/cmd/hanse/internal/where"
	"github.com/hanse-go/hanse/events"
	"google.golang.org/protobuf/proto"
)

// reader reads the events of a topic.
type reader struct {
	schema *events.Schema // nil: what they carry is not known
	filter *where.Filter
}

// newReader returns one for the events that meet the conditions.
func (at *eventsAt) newReader(ctx context.Context, topic string, conditions []string) (*reader, error) {
	schema, err := at.schema(ctx, topic)
	if err != nil {
		return nil, err
	}
	filter, err := where.Parse(conditions, message(schema))
	return &reader{schema, filter}, err
}

// decode returns the message of an event; nil, and why, when it cannot be read.
func (r *reader) decode(m *events.Message) (proto.Message, error) {
	if r.schema == nil {
		return nil, nil
	}
	msg, err := r.schema.Decode(m)
	if err != nil {
		return nil, err
	}
	return msg, nil
}

// passes reports whether an event meets the conditions.
func (r *reader) passes(s *events.Stored) bool {
	if !r.filter.Attributes(s) {
		return false
	}
	if !r.filter.NeedsData() {
		return true
	}
	msg, _ := r.decode(s.Message) // what cannot be read meets no condition about it
	return r.filter.Data(msg)
}

// read returns what is stored from a position on, up to a number and before a time (0 for none), and meets the conditions.
func (at *eventsAt) read(ctx context.Context, topic string, r *reader, from events.Start, last uint64, before time.Time) iter.Seq2[events.Stored, error] {
	return func(yield func(events.Stored, error) bool) {
		for s, err := range at.Read(ctx, topic, from) {
			if err != nil {
				yield(s, err)
				return
			}
			if last > 0 && s.Sequence > last || !before.IsZero() && !s.Time.Before(before) {
				return
			}
			if r.passes(&s) && !yield(s, nil) {
				return
			}
		}
	}
}

// eventReport is an event as JSON.
type eventReport struct {
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
	Dead        *deadReport       `json:"dead,omitempty"`
	ContentType string            `json:"contentType"`
	Data        json.RawMessage   `json:"data,omitempty"`
	DataBase64  []byte            `json:"dataBase64,omitempty"` // where it cannot be read
	Unreadable  string            `json:"unreadable,omitempty"` // and why
}

// deadReport is how an event became a dead letter.
type deadReport struct {
	Topic    string    `json:"topic"`
	Group    string    `json:"group"` // empty: one of SubscribeEach
	Attempts int       `json:"attempts"`
	Error    string    `json:"error"`
	ID       string    `json:"id"`
	Sequence uint64    `json:"sequence"`
	Time     time.Time `json:"time"`
}

func (r *reader) report(s events.Stored) eventReport {
	m := s.Message
	e := eventReport{
		Sequence: s.Sequence, Stored: some(s.Time), ID: m.ID, Source: m.Source, Type: m.Type, Subject: m.Subject, Time: m.Time, Key: m.Key, Trace: where.TraceID(m),
		Extensions: m.Extensions, Metadata: shown(m.Metadata), ContentType: m.ContentType,
	}
	if group, ok := m.OnlyFor(); ok {
		e.OnlyFor = &group
	}
	if d, ok := events.DeadLetterOf(m); ok {
		e.Dead = (*deadReport)(&d)
	}
	msg, err := r.decode(m)
	switch {
	case msg != nil:
		e.Data, err = call.FormatJSON(msg, nil, false)
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

// showEvent prints an event: on a terminal in two lines or more, elsewhere as JSON on one.
func showEvent(u *ui.UI, e eventReport) error {
	if u.JSON || !u.OutTerminal {
		var b strings.Builder
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(e); err != nil {
			return err
		}
		u.Printf("%s", b.String())
		return nil
	}
	u.Printf("%s", eventText(e, false))
	return nil
}

// printable leaves out what could make a terminal do something: what events say is not to be trusted.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' && r != '\t' {
			return '\uFFFD'
		}
		return r
	}, text)
}

// eventText is an event as people read it.
func eventText(e eventReport, whole bool) string {
	var b strings.Builder
	at := e.Time
	if e.Stored != nil {
		at = *e.Stored
	}
	parts := []string{ui.Faint.Sprint(at.Local().Format("15:04:05.000")), ui.Accent.Sprint(fmt.Sprintf("#%d", e.Sequence))}
	if e.Key != "" {
		parts = append(parts, ui.Strong.Sprint(printable(e.Key)))
	}
	parts = append(parts, printable(e.Type), ui.Faint.Sprint(printable("from "+e.Source)))
	if e.Trace != "" {
		parts = append(parts, ui.Faint.Sprint(printable("trace "+e.Trace)))
	}
	if e.OnlyFor != nil {
		parts = append(parts, ui.Warning.Sprint(printable("once more for "+groupLabel(*e.OnlyFor))))
	}
	fmt.Fprintln(&b, strings.Join(parts, "  "))
	styled := func(style ui.Style, name, value string) {
		if value != "" {
			fmt.Fprintf(&b, "  %s %s\n", ui.Faint.Sprint(printable(name)+":"), style.Sprint(printable(value)))
		}
	}
	field := func(name, value string) { styled(ui.Plain, name, value) }
	if whole {
		field("id", e.ID)
		field("subject", e.Subject)
		field("time", e.Time.Local().Format(time.RFC3339Nano))
	}
	if d := e.Dead; d != nil {
		styled(ui.Bad, "error", d.Error)
		field("group", fmt.Sprintf("%s, after %s", groupLabel(d.Group), plural(uint64(d.Attempts), "attempt")))
		if whole {
			field("event", fmt.Sprintf("%s, #%d of %s", d.ID, d.Sequence, d.Topic))
			field("dead since", d.Time.Local().Format(time.RFC3339))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(e.Extensions)) {
		field(name, e.Extensions[name])
	}
	for _, name := range slices.Sorted(maps.Keys(e.Metadata)) {
		field(name, e.Metadata[name])
	}
	field("unreadable", e.Unreadable)
	switch {
	case e.Data != nil && whole:
		text, err := json.MarshalIndent(e.Data, "  ", "  ")
		if err != nil {
			text = e.Data
		}
		fmt.Fprintf(&b, "  %s\n", printable(string(text)))
	case e.Data != nil:
		fmt.Fprintf(&b, "  %s\n", printable(string(e.Data)))
	case utf8.Valid(e.DataBase64) && printable(string(e.DataBase64)) == string(e.DataBase64):
		fmt.Fprintf(&b, "  %s\n", e.DataBase64)
	default:
		fmt.Fprintf(&b, "  %s\n", ui.Faint.Sprint(printable(fmt.Sprintf("%d bytes of %s", len(e.DataBase64), e.ContentType))))
	}
	return b.String()
}

func groupLabel(group string) string {
	if group == "" {
		return "each instance"
	}
	return group
}

// plural writes a number with what it counts.
func plural(n uint64, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
