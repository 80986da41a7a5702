package waterfall

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hanse-go/hanse/cmd/hanse/internal/dev/logs"
	"github.com/hanse-go/hanse/cmd/hanse/internal/ui"
	"github.com/hanse-go/hanse/telemetry/collector"
)

// note is a line of a log, or an event of a span.
type note struct {
	time  time.Time
	log   *collector.Log
	event *collector.SpanEvent
}

// listen notes what was said in each span, by time.
func (p *picture) listen(lines []collector.Log) {
	for i := range lines {
		l := &lines[i]
		p.said[l.SpanID] = append(p.said[l.SpanID], note{time: l.Time, log: l})
	}
	for i := range p.trace.Spans {
		s := &p.trace.Spans[i]
		for k := range s.Events {
			if e := &s.Events[k]; e.Name != "hanse.request" && e.Name != "hanse.response" { // what a call carried is for the page
				p.said[s.SpanID] = append(p.said[s.SpanID], note{time: e.Time, event: e})
			}
		}
	}
	for _, list := range p.said {
		slices.SortStableFunc(list, func(a, b note) int { return a.time.Compare(b.time) })
	}
}

// text is what a note says, and when. start is that of the trace.
func (n note) text(start time.Time) string {
	stamp := since(start, n.time)
	if n.log != nil {
		l := *n.log
		l.TraceID, l.SpanID, l.Instance = "", "", "" // it stands in its span
		return logs.FromStored(l).Text(stamp)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s", ui.Faint.Sprint(stamp), ui.Warning.Sprint("• "+clean(n.event.Name)))
	for _, a := range n.event.Attrs {
		if a.Key != "exception.stacktrace" {
			fmt.Fprintf(&b, " %s%s", ui.Faint.Sprint(clean(a.Key)+"="), clean(fmt.Sprint(a.Value)))
		}
	}
	return b.String()
}

// unheard writes the lines that stand below no span: theirs is left out or not known.
func (p *picture) unheard() {
	var rest []note
	for _, list := range p.said {
		for _, n := range list {
			if n.log != nil {
				rest = append(rest, n)
			}
		}
	}
	if len(rest) == 0 {
		return
	}
	slices.SortFunc(rest, func(a, b note) int { return cmp.Or(a.time.Compare(b.time), cmp.Compare(a.log.ID, b.log.ID)) })
	p.line()
	p.line(ui.Faint.Sprint("said by spans that are not shown:"))
	for _, n := range rest {
		p.text(logs.Colour(n.log.Service, clean(n.log.Service))+" "+n.text(p.trace.Start), ui.Plain)
	}
}
