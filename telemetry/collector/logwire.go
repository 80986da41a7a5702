package collector

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// logHead is what of a log record is looked at when it comes, and first when it is looked for.
type logHead struct {
	time     int64 // nanoseconds since 1970
	severity int32
	trace    []byte // or empty
	span     []byte
	raw      []byte
}

// readLogHead reads the head of a LogRecord.
func readLogHead(raw []byte, h *logHead) error {
	*h = logHead{raw: raw}
	var observed int64
	f := fields{rest: raw}
	for f.next() {
		switch f.num {
		case 1:
			h.time = int64(f.val)
		case 2:
			h.severity = int32(min(f.val, 24))
		case 9:
			h.trace = f.data
		case 10:
			h.span = f.data
		case 11:
			observed = int64(f.val)
		}
	}
	h.time = cmp.Or(h.time, observed)
	return f.err
}

// readLog reads all of a log record.
func readLog(h *logHead, o *origin) Log {
	l := Log{
		Time: time.Unix(0, h.time).UTC(), Service: o.service, Instance: o.instance, Severity: int(h.severity),
		TraceID: hexID(h.trace), SpanID: hexID(h.span), Resource: o.attrs, Scope: o.scope,
	}
	f := fields{rest: h.raw}
	for f.next() {
		switch {
		case f.message(3):
			l.Level = levelText(string(f.data))
		case f.message(5):
			if v, err := readValue(f.data, 0); err == nil {
				l.Message = valueText(v)
			}
		case f.message(6):
			if a, err := readAttr(f.data); err == nil {
				l.Attrs = append(l.Attrs, a)
			}
		case f.message(12) && len(f.data) > 0:
			l.Attrs = append(l.Attrs, Attr{Key: "event.name", Value: string(f.data)})
		}
	}
	if _, ok := severities[baseLevel(l.Level)]; !ok && l.Severity > 0 {
		l.Level = severityLevel(l.Severity)
	}
	return l
}

// appendLog writes a line as a LogRecord.
func appendLog(b []byte, l Log) []byte {
	if l.Severity == 0 {
		l.Severity = levelSeverity(l.Level)
	}
	b = appendFixed64(b, 1, uint64(l.Time.UnixNano()))
	b = appendVarint(b, 2, uint64(l.Severity))
	b = appendString(b, 3, l.Level)
	b = appendMessage(b, 5, func(b []byte) []byte { return appendValue(b, l.Message) })
	for _, a := range l.Attrs {
		b = appendAttr(b, 6, a)
	}
	for num, id := range map[protowire.Number]string{9: l.TraceID, 10: l.SpanID} {
		if raw := parseID(id); len(raw) > 0 {
			b = protowire.AppendBytes(protowire.AppendTag(b, num, protowire.BytesType), raw)
		}
	}
	return b
}

// severities are the first severity numbers of levels.
var severities = map[string]int{"TRACE": 1, "DEBUG": 5, "INFO": 9, "WARN": 13, "ERROR": 17, "FATAL": 21}

// levelText writes a level of any library as slog does.
func levelText(s string) string {
	s = strings.ToUpper(s)
	name, plus, found := strings.Cut(s, "+")
	switch name {
	case "WARNING":
		name = "WARN"
	case "ERR":
		name = "ERROR"
	case "CRITICAL", "PANIC", "EMERGENCY", "ALERT":
		name = "FATAL"
	case "NOTICE", "INFORMATION":
		name = "INFO"
	}
	if found {
		name += "+" + plus
	}
	return name
}

func baseLevel(level string) string {
	name, _, _ := strings.Cut(level, "+")
	return name
}

// levelSeverity is the severity number of a level as slog writes it; 0 for what is none.
func levelSeverity(level string) int {
	name, plus, _ := strings.Cut(levelText(level), "+")
	n := severities[name]
	if more, err := strconv.Atoi(plus); err == nil && n > 0 {
		n += more
	}
	return min(n, 24)
}

// severityLevel is the level of a severity number.
func severityLevel(n int) string {
	names := [...]string{"TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"}
	n = min(max(n, 1), 24) - 1
	if more := n % 4; more > 0 {
		return fmt.Sprintf("%s+%d", names[n/4], more)
	}
	return names[n/4]
}
