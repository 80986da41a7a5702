// Package waterfall draws a trace as text: a line for each span, below the one that caused it, with how long it took and a bar for when it was.
//
//	d := waterfall.Drawing{Width: u.Width()}
//	err := d.Write(u.Out, &trace)
package waterfall

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/hanse-go/hanse/cmd/hanse/internal/dev/logs"
	"github.com/hanse-go/hanse/cmd/hanse/internal/ui"
	"github.com/hanse-go/hanse/internal/duration"
	"github.com/hanse-go/hanse/telemetry/collector"
)

// Drawing says how traces are drawn. The zero value draws 100 columns and all spans.
type Drawing struct {
	// Width is how many columns there are. 0: 100; at least 40.
	Width int

	// Most is how many spans are shown; of the others there are only numbers. Those that failed, were waited for, or took long come before
	// others. 0: all.
	Most int

	// Critical leaves out all but the critical path, that is, what the request waited for.
	Critical bool

	// Said adds below each span what happened in it: its events, and those of Logs that were said in it.
	Said bool
	Logs []collector.Log
}

// What the status of a span says.
const (
	failed  = "error"
	refused = "refused" // by a fault of the caller
)

// took is how many columns a duration has.
const took = 9

// Write draws a trace. The error is that of w.
func (d Drawing) Write(w io.Writer, t *collector.Trace) error {
	width := d.Width
	if width == 0 {
		width = 100
	}
	width = max(width, 40)
	label := min(max(width*45/100, 24), 64)
	p := &picture{
		w: bufio.NewWriter(w), trace: t, width: width, label: label, said: map[string][]note{},
		bars: bars{start: t.Start, length: max(t.Duration, 1), cells: width - label - took - 2},
	}
	shown := make([]bool, len(t.Spans))
	for i := range t.Spans {
		shown[i] = !d.Critical || t.Spans[i].Critical
	}
	if d.Most > 0 && d.Most < len(t.Spans) && !d.Critical {
		shown = choose(t.Spans, d.Most)
	}
	if d.Said {
		p.listen(d.Logs)
	}
	p.shown, p.rows = shown, rowsOf(t.Spans, shown, !d.Critical)
	p.head()
	for i := range p.rows {
		if p.rows[i].left != nil {
			p.leftOut(i)
		} else {
			p.span(i)
		}
	}
	p.unheard()
	p.foot()
	return p.w.Flush()
}

// picture is a trace that is being drawn.
type picture struct {
	w     *bufio.Writer // keeps the first error
	trace *collector.Trace
	width int
	label int // columns of the tree
	bars  bars
	shown []bool // by span
	rows  []row
	said  map[string][]note // by span
}

func (p *picture) line(parts ...string) {
	p.w.WriteString(strings.TrimRight(strings.Join(parts, ""), " ") + "\n")
}

// text writes text on as many lines as it takes, up to some.
func (p *picture) text(text string, style ui.Style) {
	for _, line := range wrap(text, p.width, 12) {
		p.line(style.Sprint(line))
	}
}

// head says what the trace is.
func (p *picture) head() {
	t := p.trace
	if len(t.Spans) > 0 {
		root := &t.Spans[0]
		if root.Gap && len(t.Spans) > 1 {
			root = &t.Spans[1]
		}
		text := logs.Colour(root.Service, clean(root.Service)) + " " + ui.Strong.Sprint(clean(ui.Method(root.Name))) + "  " + duration.Text(t.Duration)
		if t.Spans[0].Status == failed {
			text += "  " + ui.Bad.Sprint("✗ "+cmp.Or(reason(&t.Spans[0]), "failed"))
		}
		if t.Spans[0].Status == refused {
			text += "  " + clean(t.Spans[0].Code)
		}
		p.text(text, ui.Plain)
	}
	facts := []string{t.Start.Local().Format("2006-01-02 15:04:05.000"), ui.Plural(len(t.Spans)-t.Gaps+t.Cut, "span") + " of " + ui.Plural(len(t.Services), "service")}
	if t.Errors > 0 {
		facts = append(facts, fmt.Sprintf("%d failed", t.Errors))
	}
	if t.Running {
		facts = append(facts, "running")
	}
	gaps := 0
	for i := range t.Spans {
		if t.Spans[i].Gap && !t.Spans[i].Running {
			gaps++
		}
	}
	if gaps > 0 {
		facts = append(facts, ui.Plural(gaps, "gap"))
	}
	if t.Cut > 0 {
		facts = append(facts, fmt.Sprintf("the last %d are not read", t.Cut))
	}
	p.line(ui.Faint.Sprint(t.TraceID))
	p.text(strings.Join(facts, " · "), ui.Faint)
	p.line()
	if t.Duration > 0 && p.bars.cells >= 12 {
		p.line(strings.Repeat(" ", p.label+took+2), ui.Faint.Sprint(p.bars.ruler()))
	}
}

// span draws one span, with why it failed and what was said in it.
func (p *picture) span(i int) {
	r := &p.rows[i]
	s := &p.trace.Spans[r.span]
	guide := p.guide(i, false)
	room := p.label - columns(guide)
	var name string
	switch {
	case s.Running:
		name = ui.Faint.Sprint(fit("(running)", room))
	case s.Gap:
		name = ui.Faint.Sprint(fit("(not recorded)", room))
	default:
		name = p.name(s, room)
	}
	long := fmt.Sprintf("%*s", took, duration.Text(s.Duration))
	if s.Status == failed {
		long = ui.Bad.Sprint(long)
	}
	p.line(ui.Faint.Sprint(guide), name, " ", long, " ", p.bars.span(s))
	if why := reason(s); why != "" && !p.toldBelow(r.span, why) {
		p.below(i, "✗ "+why, ui.Bad)
	}
	for _, n := range p.said[s.SpanID] {
		p.below(i, n.text(p.trace.Start), ui.Plain)
	}
	delete(p.said, s.SpanID)
}

// name is who does what, in so many columns.
func (p *picture) name(s *collector.Span, room int) string {
	service, what := clean(s.Service), clean(ui.Method(s.Name))
	switch s.Kind {
	case "client", "producer":
		what = "→ " + what
	}
	mark, style := "", ui.Bad
	switch s.Status {
	case failed:
		mark = " ✗"
	case refused:
		mark, style = " "+cut(clean(s.Code), room/3), ui.Faint
	}
	service = cut(service, max(room/2, room-columns(what)-columns(mark)-1))
	what = cut(what, max(room-columns(service)-1-columns(mark), 1))
	rest := max(room-columns(service)-1-columns(what)-columns(mark), 0)
	text := logs.Colour(s.Service, service) + " " + what
	if mark != "" {
		text += style.Sprint(mark)
	}
	return text + strings.Repeat(" ", rest)
}

// leftOut draws what is left out.
func (p *picture) leftOut(i int) {
	l := p.rows[i].left
	guide := p.guide(i, false)
	text := fmt.Sprintf("… %s", ui.Plural(l.spans, "more span"))
	if l.failed > 0 {
		text += fmt.Sprintf(", %d failed", l.failed)
	}
	if name := clean(ui.Method(l.commonest())); l.spans == 1 {
		text = "… " + name
	} else {
		text += ": " + name
	}
	p.line(ui.Faint.Sprint(guide+fit(text, p.label-columns(guide))), " ", ui.Faint.Sprint(fmt.Sprintf("%*s", took, "≤"+duration.Text(l.longest))), " ",
		ui.Faint.Sprint(p.bars.draw(l.from, l.to.Sub(l.from), "·")))
}

// guide is the lines of the tree before a row, or before what stands below it.
func (p *picture) guide(i int, under bool) string {
	var parts []string
	add := func(k int, own bool) {
		r := &p.rows[k]
		switch {
		case r.depth == 0:
		case own && r.last:
			parts = append(parts, "└ ")
		case own:
			parts = append(parts, "├ ")
		case r.last:
			parts = append(parts, "  ")
		default:
			parts = append(parts, "│ ")
		}
	}
	levels := p.label / 4 // what is deeper goes on at the same place
	if under {
		if p.rows[i].below {
			parts = append(parts, "│ ")
		} else {
			parts = append(parts, "  ")
		}
	}
	add(i, !under)
	for k := p.rows[i].parent; k >= 0 && len(parts) < levels; k = p.rows[k].parent {
		add(k, false)
	}
	slices.Reverse(parts)
	text := strings.Join(parts, "")
	if p.rows[i].depth > levels {
		text = "⋯ " + strings.Join(parts[1:], "")
	}
	return text
}

// below writes text below a row, on as many lines as it takes up to some.
func (p *picture) below(i int, text string, style ui.Style) {
	guide := ui.Faint.Sprint(p.guide(i, true))
	for _, line := range wrap(text, p.width-columns(guide), 12) {
		p.line(guide, style.Sprint(line))
	}
}

// reason is why a span failed.
func reason(s *collector.Span) string {
	if s.Status != failed {
		return ""
	}
	code, why := "", s.Message
	for _, a := range s.Attrs {
		switch a.Key {
		case "rpc.response.status_code", "http.response.status_code", "rpc.grpc.status_code":
			code = fmt.Sprint(a.Value)
		case "error.type":
			if code == "" {
				code = fmt.Sprint(a.Value)
			}
		}
	}
	if why == "" || strings.HasPrefix(why, code) {
		code, why = "", strings.TrimSpace(code+" "+strings.TrimPrefix(why, code))
	}
	if code != "" {
		why = code + ": " + why
	}
	return clean(why)
}

// toldBelow reports whether a span below another one failed for the same reason, and says so.
func (p *picture) toldBelow(span int, why string) bool {
	spans := p.trace.Spans
	for k := span + 1; k < len(spans) && spans[k].Depth > spans[span].Depth; k++ {
		if p.shown[k] && reason(&spans[k]) == why {
			return true
		}
	}
	return false
}

// foot explains the signs that were used, and whose the colours are.
func (p *picture) foot() {
	var signs []string
	critical, beside, gap, running := false, false, false, false
	for _, r := range p.rows {
		switch s := &p.trace.Spans[r.span]; {
		case r.left != nil:
		case s.Gap:
			gap, running = gap || !s.Running, running || s.Running
		case s.Critical:
			critical = true
		default:
			beside = true
		}
	}
	if critical && beside {
		signs = append(signs, waited+" what the request waited for", pale+" what was beside it")
	}
	switch {
	case gap && running:
		signs = append(signs, missing+" a span that nobody sent, or that has not ended")
	case gap:
		signs = append(signs, missing+" a span that nobody sent")
	case running:
		signs = append(signs, missing+" a span that has not ended")
	}
	if len(signs) > 0 {
		p.line()
		p.text(strings.Join(signs, "   "), ui.Faint)
	}
}

// since is how far into the trace something was.
func since(start, at time.Time) string { return "+" + duration.Text(max(at.Sub(start), 0)) }
