package waterfall

import (
	"strings"
	"time"

	"github.com/hanse-go/hanse/cmd/hanse/internal/dev/logs"
	"github.com/hanse-go/hanse/cmd/hanse/internal/ui"
	"github.com/hanse-go/hanse/internal/duration"
	"github.com/hanse-go/hanse/telemetry/collector"
)

// What bars consist of. They can be told apart without colours.
const (
	waited  = "█" // on the critical path
	pale    = "░" // beside it
	missing = "╌" // nobody sent it
)

// bars is the part of the picture with the time.
type bars struct {
	start  time.Time
	length time.Duration
	cells  int
}

// draw returns a bar of a cell or more, behind the blanks before it.
func (b bars) draw(at time.Time, d time.Duration, cell string) string {
	from, to := b.cell(at.Sub(b.start), false), b.cell(at.Sub(b.start)+d, true)
	from = min(max(from, 0), b.cells-1)
	to = min(max(to, from+1), b.cells)
	return strings.Repeat(" ", from) + strings.Repeat(cell, to-from)
}

// cell is the cell in which a time is, or with up the first one behind it.
func (b bars) cell(at time.Duration, up bool) int {
	exact := float64(at) / float64(b.length) * float64(b.cells)
	if up {
		exact += 0.5 // a bar does not grow by a cell for a bit of it
	}
	return int(exact)
}

// span is the bar of a span.
func (b bars) span(s *collector.Span) string {
	switch {
	case s.Gap:
		return ui.Faint.Sprint(b.draw(s.Start, s.Duration, missing))
	case s.Critical:
		return logs.Colour(s.Service, b.draw(s.Start, s.Duration, waited))
	}
	return logs.Colour(s.Service, b.draw(s.Start, s.Duration, pale))
}

// ruler is times at the quarters, as far as there is room for them, and at the end.
func (b bars) ruler() string {
	end := duration.Text(b.length)
	last := b.cells - columns(end)
	line := "0"
	for i := 1; i < 4; i++ {
		at, text := b.cells*i/4, duration.Text(b.length*time.Duration(i)/4)
		if b.cells < 40 && i != 2 || columns(line)+2 > at || at+columns(text)+2 > last {
			continue
		}
		line += strings.Repeat(" ", at-columns(line)) + text
	}
	return line + strings.Repeat(" ", max(last-columns(line), 1)) + end
}
