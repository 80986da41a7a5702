package logs

import (
	"fmt"
	"hash/fnv"
	"strconv"
	"strings"
	"time"
	"unicode"

	"charm.land/lipgloss/v2"
	"github.com/hanse-go/hanse/cmd/hanse/internal/ui"
	"github.com/hanse-go/hanse/telemetry"
)

// Renderer turns lines into text with a coloured prefix of a fixed width. The zero value works.
type Renderer struct {
	// Width of the prefix in columns. It grows with the names that come; begin with that of the longest name.
	Width int
}

// palette is the colours of prefixes: those of the terminal's theme that mean nothing else here.
var palette = []lipgloss.Style{
	lipgloss.NewStyle().Foreground(lipgloss.Cyan),
	lipgloss.NewStyle().Foreground(lipgloss.Magenta),
	lipgloss.NewStyle().Foreground(lipgloss.Blue),
	lipgloss.NewStyle().Foreground(lipgloss.Green),
	lipgloss.NewStyle().Foreground(lipgloss.BrightCyan),
	lipgloss.NewStyle().Foreground(lipgloss.BrightMagenta),
	lipgloss.NewStyle().Foreground(lipgloss.BrightBlue),
	lipgloss.NewStyle().Foreground(lipgloss.BrightGreen),
}

// Colour returns text in the colour that belongs to name, which is the same everywhere.
func Colour(name, text string) string {
	h := fnv.New32a()
	h.Write([]byte(name))
	return palette[h.Sum32()%uint32(len(palette))].Render(text)
}

// Render returns the text of a line, which may be several lines, with a line end.
func (r *Renderer) Render(l Line) string {
	name := l.Service
	if l.Replica > 0 {
		name += "." + strconv.Itoa(l.Replica)
	}
	r.Width = max(r.Width, len(name))
	prefix := Colour(l.Service, name+strings.Repeat(" ", r.Width-len(name))) + " " + ui.Faint.Sprint("│") + " "

	stamp := ""
	if l.Level != "" || l.Dev {
		stamp = l.Time.Local().Format(time.TimeOnly)
	}
	var b strings.Builder
	for line := range strings.SplitSeq(l.Text(stamp), "\n") {
		b.WriteString(strings.TrimRight(prefix+line, " ") + "\n")
	}
	return b.String()
}

// Text returns what a line says behind the service's name, with a time before it unless that is empty: one line, or several, without an end.
func (l Line) Text(stamp string) string {
	var head, tail strings.Builder
	if stamp != "" {
		head.WriteString(ui.Faint.Sprint(stamp) + " ")
	}
	if l.Level != "" {
		head.WriteString(level(l.Level) + " ")
	}
	first, rest, _ := strings.Cut(clean(l.Msg), "\n")
	head.WriteString(styleOf(l).Sprint(first))
	writeLines(&tail, rest)
	for _, a := range l.Attrs {
		if a.Key == telemetry.LogSpanID || a.Key == instanceKey { // the trace and the replica say it shorter
			continue
		}
		value := clean(a.Value)
		if a.Key == telemetry.LogTraceID { // its first digits suffice to look for it
			head.WriteString(" " + ui.Faint.Sprint("trace="+value[:min(8, len(value))]))
			continue
		}
		if strings.Contains(value, "\n") { // a stack, a diff: below, as it is
			tail.WriteString("\n" + ui.Faint.Sprint(a.Key+":"))
			writeLines(&tail, value)
			continue
		}
		if value == "" || strings.ContainsAny(value, " \"=") && !strings.HasPrefix(value, "[") {
			value = strconv.Quote(value)
		}
		if a.Key == "error" || a.Key == "err" {
			value = ui.Bad.Sprint(value)
		}
		head.WriteString(" " + ui.Faint.Sprint(a.Key+"=") + value)
	}
	return head.String() + tail.String()
}

// writeLines writes text, which may be empty, each of its lines indented and behind a line break.
func writeLines(b *strings.Builder, text string) {
	if text = strings.TrimRight(text, "\n"); text == "" {
		return
	}
	for line := range strings.SplitSeq(text, "\n") {
		b.WriteString("\n    " + line)
	}
}

func styleOf(l Line) ui.Style {
	switch {
	case strings.HasPrefix(l.Level, "ERROR"):
		return ui.Bad
	case strings.HasPrefix(l.Level, "DEBUG"):
		return ui.Faint
	case l.Dev:
		return ui.Strong
	}
	return ui.Plain
}

// level shortens a level of slog, INFO+2 included, to three columns or a little more.
func level(s string) string {
	name, plus, _ := strings.Cut(s, "+")
	if plus != "" {
		plus = "+" + plus
	}
	switch name {
	case "DEBUG":
		return ui.Faint.Sprint("DBG" + plus)
	case "INFO":
		return ui.Good.Sprint("INF" + plus)
	case "WARN":
		return ui.Warning.Sprint("WRN" + plus)
	case "ERROR":
		return ui.Bad.Sprint("ERR" + plus)
	}
	return fmt.Sprintf("%.3s", s)
}

// clean removes what would move the cursor. Colours and tabs of the program's own stay.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' && r != '\t' && r != '\x1b' {
			return -1
		}
		return r
	}, s)
}
