// Package logs keeps and shows what the processes of a system print.
package logs

import (
	"bytes"
	"encoding/json"
	"strings"
	"time"
)

// Line is one line of output: a record that a slog JSON handler wrote, or else any text.
type Line struct {
	Seq     uint64    `json:"seq"`
	Time    time.Time `json:"time"`
	Service string    `json:"service"`           // or the name of the process
	Replica int       `json:"replica,omitempty"` // from 1, where there are several
	PID     int       `json:"pid,omitempty"`
	Level   string    `json:"level,omitempty"` // of a record: DEBUG, INFO, WARN, ERROR
	Msg     string    `json:"msg"`             // or the text
	Attrs   []Attr    `json:"attrs,omitempty"`
	Dev     bool      `json:"dev,omitempty"` // hanse dev speaks about the service
}

// Attr is an attribute of a record. Value is a string as it is, and JSON of anything else.
type Attr struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// Parse reads a line of output that arrived at the time now. Attributes keep their order; groups are joined with dots.
func Parse(text string, now time.Time) Line {
	if l, ok := parseRecord(text); ok {
		if l.Time.IsZero() {
			l.Time = now
		}
		return l
	}
	return Line{Time: now, Msg: text}
}

// parseRecord reads an object with at least level and msg.
func parseRecord(text string) (l Line, ok bool) {
	if !strings.HasPrefix(text, "{") {
		return l, false
	}
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber()
	if _, err := dec.Token(); err != nil {
		return l, false
	}
	var hasLevel, hasMsg bool
	for dec.More() {
		t, err := dec.Token()
		if err != nil {
			return l, false
		}
		key, _ := t.(string)
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			return l, false
		}
		switch {
		case key == "time":
			if t, err := time.Parse(time.RFC3339Nano, unquote(raw)); err == nil {
				l.Time = t
				continue
			}
		case key == "level" && !hasLevel:
			l.Level, hasLevel = unquote(raw), true
			continue
		case key == "msg" && !hasMsg:
			l.Msg, hasMsg = unquote(raw), true
			continue
		case key == "service" && l.Service == "" && raw[0] == '"':
			l.Service = unquote(raw)
			continue
		}
		l.Attrs = flatten(l.Attrs, key, raw)
	}
	if _, err := dec.Token(); err != nil || dec.InputOffset() < int64(len(strings.TrimRight(text, " \t"))) {
		return l, false
	}
	return l, hasLevel && hasMsg
}

// flatten appends an attribute, or those of a group.
func flatten(attrs []Attr, key string, raw json.RawMessage) []Attr {
	if len(raw) < 2 || raw[0] != '{' || bytes.Equal(raw, []byte("{}")) {
		return append(attrs, Attr{Key: key, Value: unquote(raw)})
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	if _, err := dec.Token(); err != nil {
		return append(attrs, Attr{Key: key, Value: string(raw)})
	}
	for dec.More() {
		t, err := dec.Token()
		if err != nil {
			break
		}
		var inner json.RawMessage
		if err := dec.Decode(&inner); err != nil {
			break
		}
		name, _ := t.(string)
		attrs = flatten(attrs, key+"."+name, inner)
	}
	return attrs
}

func unquote(raw json.RawMessage) string {
	var s string
	if raw[0] == '"' && json.Unmarshal(raw, &s) == nil {
		return s
	}
	return string(raw)
}
