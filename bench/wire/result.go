package wire

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/hanse-go/hanse/bench/sample"
	"github.com/hanse-go/hanse/bench/table"
)

// Report is what a Bench found out.
type Report struct {
	Rounds  int           `json:"rounds"`
	Turn    time.Duration `json:"turn"`
	Notes   []string      `json:"notes,omitempty"`
	Results []Result      `json:"results"`
}

// Result is what was found out about one cell.
type Result struct {
	Cell     Cell    `json:"cell"`
	Attempts int     `json:"attempts"`
	Entries  []Entry `json:"entries"`
}

// Entry is one contender's part in a cell.
type Entry struct {
	Contender string        `json:"contender"`
	Rounds    []Round       `json:"rounds"`
	P50       time.Duration `json:"p50"` // of the calls of all rounds
	P99       time.Duration `json:"p99"`
	Error     string        `json:"error,omitempty"`

	latency histogram
}

// Round is one turn of a contender.
type Round struct {
	Units  int           `json:"units"` // calls, or messages that were answered
	Took   time.Duration `json:"took"`
	Client Usage         `json:"client"`
	Server Usage         `json:"server"`

	latency histogram
}

func (e *Entry) add(r Round) {
	if e.latency == nil {
		e.latency = histogram{}
	}
	e.latency.merge(r.latency)
	e.P50, e.P99 = e.latency.percentile(0.5), e.latency.percentile(0.99)
	e.Rounds = append(e.Rounds, r)
}

// figure is a number that a round has.
type figure struct {
	name string
	of   func(Round) float64
}

var (
	speed  = figure{"calls/s", func(r Round) float64 { return float64(r.Units) / r.Took.Seconds() }}
	cpu    = figure{"CPU per call", func(r Round) float64 { return clientCPU.of(r) + serverCPU.of(r) }} // µs
	allocs = figure{"allocations", func(r Round) float64 { return clientAllocs.of(r) + serverAllocs.of(r) }}

	clientCPU = figure{"CPU of the client", func(r Round) float64 { return float64(r.Client.CPU.Nanoseconds()) / 1000 / float64(r.Units) }}
	serverCPU = figure{"CPU of the server", func(r Round) float64 { return float64(r.Server.CPU.Nanoseconds()) / 1000 / float64(r.Units) }}

	clientAllocs = figure{"allocations of the client", func(r Round) float64 { return float64(r.Client.Mallocs) / float64(r.Units) }}
	serverAllocs = figure{"allocations of the server", func(r Round) float64 { return float64(r.Server.Mallocs) / float64(r.Units) }}
)

// values returns a figure of each round.
func (e *Entry) values(f figure) []float64 {
	v := make([]float64, len(e.Rounds))
	for i, r := range e.Rounds {
		v[i] = f.of(r)
	}
	return v
}

// entry returns the part of a contender that finished, or nil.
func (r *Result) entry(contender string) *Entry {
	i := slices.IndexFunc(r.Entries, func(e Entry) bool { return e.Contender == contender && e.Error == "" })
	if i < 0 {
		return nil
	}
	return &r.Entries[i]
}

// ratios compares two contenders round by round. It returns nil if one of them has no result.
func (r *Result) ratios(f figure, contender, base string) []float64 {
	a, b := r.entry(contender), r.entry(base)
	if a == nil || b == nil {
		return nil
	}
	return sample.Ratios(a.values(f), b.values(f))
}

// beyond is how much more than base's a contender's figure is, round by round; nil if one of them has no result.
func (r *Result) beyond(f figure, contender, base string) []float64 {
	a, b := r.entry(contender), r.entry(base)
	if a == nil || b == nil {
		return nil
	}
	va, vb := a.values(f), b.values(f)
	more := make([]float64, min(len(va), len(vb)))
	for i := range more {
		more[i] = va[i] - vb[i]
	}
	return more
}

// Void reports whether the control pair differs so much that the cell means nothing. A cell without a control pair is not void.
func (r *Result) Void() bool {
	if r.entry(Control) == nil || r.entry(Base) == nil {
		return false
	}
	return sample.Void(r.ratios(speed, Control, Base)) || cpuKnown(r) && sample.Void(r.ratios(cpu, Control, Base))
}

func cpuKnown(r *Result) bool { return sample.Median(r.entry(Base).values(cpu)) > 0 }

// fractions are the control pair's, for the title of a table.
func (r *Result) controlText() string {
	if r.entry(Control) == nil || r.entry(Base) == nil {
		return "no control pair"
	}
	text := fmt.Sprintf("control %s in speed, %s in CPU", ratioText(r.ratios(speed, Control, Base)), ratioText(r.ratios(cpu, Control, Base)))
	if r.Void() {
		text += ": VOID"
	}
	return text
}

func ratioText(ratios []float64) string {
	if len(ratios) == 0 {
		return "–"
	}
	low, median, high := sample.Quartiles(ratios)
	return fmt.Sprintf("%.2f (%.2f–%.2f)", median, low, high)
}

// header and rows are the table of a cell.
func (r *Result) table() (header []string, rows [][]string) {
	base := r.Entries[0].Contender
	if r.entry(Base) != nil {
		base = Base
	}
	unit := "calls/s"
	if r.Cell.Kind == Chat {
		unit = "messages/s"
	}
	header = []string{"", unit, "× " + base, "CPU µs client + server", "× " + base, "p50", "p99", "allocations client + server"}
	for _, e := range r.Entries {
		if e.Error != "" {
			rows = append(rows, []string{e.Contender, "failed: " + e.Error})
			continue
		}
		m := func(f figure) float64 { return sample.Median(e.values(f)) }
		cpuText := fmt.Sprintf("%.1f + %.1f", m(clientCPU), m(serverCPU))
		allocText := fmt.Sprintf("%.1f + %.1f", m(clientAllocs), m(serverAllocs))
		if r.Cell.Network == "inprocess" {
			cpuText, allocText = fmt.Sprintf("%.1f", m(cpu)), fmt.Sprintf("%.1f", m(allocs))
		}
		rows = append(rows, []string{
			e.Contender, thousands(m(speed)), ratioText(r.ratios(speed, e.Contender, base)),
			cpuText, ratioText(r.ratios(cpu, e.Contender, base)),
			micros(e.P50), micros(e.P99), allocText,
		})
	}
	return header, rows
}

// Text returns the cell's table for a terminal.
func (r *Result) Text() string {
	return fmt.Sprintf("\n%s · %s\n%s", r.Cell.Name, r.controlText(), table.Text(r.table()))
}

func thousands(v float64) string {
	s := fmt.Sprintf("%.0f", v)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + " " + s[i:]
	}
	return s
}

func micros(d time.Duration) string {
	if d >= 10*time.Millisecond {
		return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000)
	}
	return fmt.Sprintf("%.0f µs", float64(d.Nanoseconds())/1000)
}

// result returns the result of a cell, or nil.
func (r *Report) result(cell string) *Result {
	i := slices.IndexFunc(r.Results, func(r Result) bool { return r.Cell.Name == cell })
	if i < 0 {
		return nil
	}
	return &r.Results[i]
}

// Failed returns what went wrong, one line for each contender of each cell.
func (r *Report) Failed() []string {
	var lines []string
	for _, res := range r.Results {
		for _, e := range res.Entries {
			if e.Error != "" {
				lines = append(lines, fmt.Sprintf("%s: %s: %s", res.Cell.Name, e.Contender, e.Error))
			}
		}
	}
	return slices.Compact(slices.SortedFunc(slices.Values(lines), cmp.Compare[string]))
}
