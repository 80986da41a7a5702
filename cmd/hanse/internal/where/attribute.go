package where

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hanse-go/hanse/cmd/hanse/internal/ui"
	"github.com/hanse-go/hanse/events"
	"github.com/hanse-go/hanse/events/desk"
)

// attribute is what is known of an event without its message: one of the functions is set.
type attribute struct {
	text   func(*events.Stored) string
	number func(*events.Stored) uint64
	time   func(*events.Stored) time.Time
}

func deadLetter(s *events.Stored) events.DeadLetter {
	d, _ := events.DeadLetterOf(s.Message)
	return d
}

var attributes = map[string]attribute{
	"id":            {text: func(s *events.Stored) string { return s.Message.ID }},
	"source":        {text: func(s *events.Stored) string { return s.Message.Source }},
	"type":          {text: func(s *events.Stored) string { return s.Message.Type }},
	"subject":       {text: func(s *events.Stored) string { return s.Message.Subject }},
	"key":           {text: func(s *events.Stored) string { return s.Message.Key }},
	"time":          {time: func(s *events.Stored) time.Time { return s.Message.Time }},
	"stored":        {time: func(s *events.Stored) time.Time { return s.Time }},
	"sequence":      {number: func(s *events.Stored) uint64 { return s.Sequence }},
	"trace":         {text: func(s *events.Stored) string { return desk.TraceID(s.Message) }},
	"dead.group":    {text: func(s *events.Stored) string { return deadLetter(s).Group }},
	"dead.error":    {text: func(s *events.Stored) string { return deadLetter(s).Error }},
	"dead.id":       {text: func(s *events.Stored) string { return deadLetter(s).ID }},
	"dead.attempts": {number: func(s *events.Stored) uint64 { return uint64(deadLetter(s).Attempts) }},
	"dead.time":     {time: func(s *events.Stored) time.Time { return deadLetter(s).Time }},
}

func attributeOf(name string) (attribute, bool) {
	if header, ok := strings.CutPrefix(name, "metadata."); ok && header != "" {
		header = strings.ToLower(header)
		return attribute{text: func(s *events.Stored) string { return s.Message.Metadata[header] }}, true
	}
	if extension, ok := strings.CutPrefix(name, "extension."); ok && extension != "" {
		return attribute{text: func(s *events.Stored) string { return s.Message.Extensions[extension] }}, true
	}
	a, ok := attributes[name]
	return a, ok
}

func attributeNames() []string {
	return append(slices.Sorted(maps.Keys(attributes)), "metadata.NAME", "extension.NAME")
}

func noAttribute(name string) error {
	return ui.Errorf("events have no attribute %q", name).Then("there are %s", ui.List(attributeNames(), "and"))
}

// matcher returns what decides by the attribute. Its error continues a sentence that begins with the name.
func (a attribute) matcher(op operator, value string) (func(*events.Stored) bool, error) {
	switch {
	case a.number != nil:
		want, err := strconv.ParseUint(strings.TrimPrefix(value, "#"), 10, 64)
		if err != nil || op == "~" {
			return nil, errors.New("is a number, to be compared with one")
		}
		holds := ordered(op, want)
		return func(s *events.Stored) bool { return holds(a.number(s)) }, nil
	case a.time != nil:
		want, err := ParseTime(value, time.Now())
		if err != nil || op == "~" {
			return nil, fmt.Errorf("is a time, to be compared with one: %s", TimeForms)
		}
		return func(s *events.Stored) bool { return op.holds(a.time(s).Compare(want)) }, nil
	case op == "~":
		has := contains(value)
		return func(s *events.Stored) bool { return has(a.text(s)) }, nil
	}
	holds := ordered(op, value)
	return func(s *events.Stored) bool { return holds(a.text(s)) }, nil
}

// TimeForms says how people write a time.
const TimeForms = "2026-01-31T12:00:00Z, 2026-01-31, \"2026-01-31 12:00\", 12:00, or 90m for so long ago"

// ParseTime reads a time as people write it. One without a zone is of the zone of now.
func ParseTime(text string, now time.Time) (time.Time, error) {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02T15:04", "2006-01-02 15:04", time.DateOnly} {
		if t, err := time.ParseInLocation(layout, text, now.Location()); err == nil {
			return t, nil
		}
	}
	for _, layout := range []string{"15:04:05", "15:04"} {
		if t, err := time.Parse(layout, text); err == nil {
			y, m, d := now.Date()
			return time.Date(y, m, d, t.Hour(), t.Minute(), t.Second(), 0, now.Location()), nil
		}
	}
	if d, err := time.ParseDuration(text); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	return time.Time{}, fmt.Errorf("%q is no time: write %s", text, TimeForms)
}
