package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/hanse-go/hanse/cmd/hanse/internal/ui"
	"github.com/hanse-go/hanse/cmd/hanse/internal/where"
	"github.com/hanse-go/hanse/events"
	"github.com/hanse-go/hanse/events/desk"
)

// newReader returns one for the events of a topic that meet the conditions.
func (at *eventsAt) newReader(ctx context.Context, topic string, conditions []string) (*desk.Reader, error) {
	r, err := at.desk().Reader(ctx, topic)
	if err != nil {
		return nil, at.silent(err)
	}
	return r, choose(r, conditions)
}

// choose limits what is read to the events that meet the conditions.
func choose(r *desk.Reader, conditions []string) error {
	filter, err := where.Parse(conditions, message(r.Schema))
	if err != nil {
		return err
	}
	r.Passes = func(s events.Stored) bool {
		if !filter.Attributes(&s) {
			return false
		}
		if !filter.NeedsData() {
			return true
		}
		msg, _ := r.Decode(s.Message) // what cannot be read meets no condition about it
		return filter.Data(msg)
	}
	return nil
}

// showEvent prints an event: on a terminal in two lines or more, elsewhere as JSON on one.
func showEvent(u *ui.UI, e desk.Event) error {
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
func eventText(e desk.Event, whole bool) string {
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
