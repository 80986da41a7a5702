package wire

import (
	"fmt"
	"math"
	"slices"

	"github.com/hanse-go/hanse/bench/sample"
	"github.com/hanse-go/hanse/bench/table"
)

// goal is a figure that is to be reached.
type goal struct {
	row       string // what the row of the table says
	cell      string
	figure    figure
	contender string
	base      string  // "": the figure itself, not a ratio
	beyond    bool    // not the ratio, but how much more than base's it is
	bound     float64 // at least, for speed; at most, for all else
	median    bool    // the median must reach it; else the worse quartile
}

// goals are the bounds of this project. A ratio's bound holds for the quartile that is worse for us: the lower one of speed, the upper
// one of what a call costs. A difference is much smaller than the figures it is made of, and their noise: of it the median counts.
func goals() []goal {
	var g []goal
	versus := func(row, cell string, faster, cheaper float64) {
		g = append(g,
			goal{row: row, cell: cell, figure: speed, contender: Subject, base: Base, bound: faster},
			goal{row: row, cell: cell, figure: cpu, contender: Subject, base: Base, bound: cheaper})
	}
	versus("c=1, 100 B", "unary/tcp/100B/c1", 1.15, 0.85)
	versus("c=1, 1 KiB", "unary/tcp/1KiB/c1", 1.15, 0.85)
	versus("c=16, 100 B", "unary/tcp/100B/c16", 2.5, 1.0/3)
	versus("c=16, 1 KiB", "unary/tcp/1KiB/c16", 2.5, 1.0/3)
	versus("c=64, 100 B", "unary/tcp/100B/c64", 5, 1.0/5)
	versus("c=64, 1 KiB", "unary/tcp/1KiB/c64", 6, 1.0/6)
	versus("c=512, 1 KiB", "unary/tcp/1KiB/c512", 6, 1.0/6)
	versus("c=1, 64 KiB", "unary/tcp/64KiB/c1", 1.7, 0.6)
	versus("c=64, 64 KiB", "unary/tcp/64KiB/c64", 3, 1.0/3)
	versus("16 streams, ping-pong, 100 B", "chat/tcp/100B/pingpong", 1.3, 0.75)
	versus("16 streams, 64 in flight, 100 B", "chat/tcp/100B/inflight", 2, 0.5)
	versus("TLS, c=64, 1 KiB", "unary/tls/1KiB/c64", 3, 1.0/3)
	versus("mutual TLS, c=64, 1 KiB", "unary/mtls/1KiB/c64", 3, 1.0/3)
	versus("interceptor and 3 metadata keys each side, c=64, 1 KiB", "dressed/tcp/1KiB/c64", 4, 1.0/4)
	for _, c := range []string{"100B/c64", "1KiB/c64", "100B/c512", "1KiB/c512"} {
		g = append(g, goal{row: "near the floor, " + c, cell: "unary/tcp/" + c, figure: cpu, contender: Subject, base: Floor, bound: 1.25})
	}
	g = append(g,
		goal{row: "one unary call, 1 KiB", cell: "unary/tcp/1KiB/c64", figure: clientAllocs, contender: Subject, bound: 4},
		goal{row: "one unary call, 1 KiB", cell: "unary/tcp/1KiB/c64", figure: serverAllocs, contender: Subject, bound: 5})
	const policies = "what the default policies add, c=64, 1 KiB"
	g = append(g,
		goal{row: policies, cell: "unary/tcp/1KiB/c64", figure: cpu, contender: Subject, base: Bare, beyond: true, bound: 1, median: true},
		goal{row: policies, cell: "unary/tcp/1KiB/c64", figure: allocs, contender: Subject, base: Bare, beyond: true, bound: 2, median: true})
	for _, c := range []string{"c1", "c64"} {
		for _, who := range []string{"hanse calls grpc-go", "grpc-go calls hanse"} {
			g = append(g, goal{row: who + ", 1 KiB, " + c, cell: "mixed/tcp/1KiB/" + c, figure: speed, contender: who, base: Base, bound: 0.97, median: true})
		}
	}
	return g
}

func hasGoal(cell string) bool {
	return slices.ContainsFunc(goals(), func(g goal) bool { return g.cell == cell })
}

func (g goal) atLeast() bool { return g.figure.name == speed.name }

func (g goal) boundText() string {
	sign, unit := "≤", ""
	if g.atLeast() {
		sign = "≥"
	}
	switch {
	case g.beyond && g.figure.name == cpu.name:
		unit = " µs"
	case g.base != "" && !g.beyond:
		unit = "×"
	}
	return fmt.Sprintf("%s %.3g%s", sign, g.bound, unit)
}

// verdict is what a report says about a goal.
type verdict struct {
	goal   goal
	values []float64 // ratios, or figures; empty: not measured
	void   bool
}

// deciding returns the value that must reach the bound.
func (v verdict) deciding() float64 {
	low, median, high := sample.Quartiles(v.values)
	switch {
	case v.goal.base == "", v.goal.beyond && v.goal.figure.name == allocs.name: // a count: what the runtime allocates now and then is no part of a call
		return math.Round(median*10) / 10
	case v.goal.median:
		return median
	case v.goal.atLeast():
		return low
	}
	return high
}

func (v verdict) reached() bool {
	if len(v.values) == 0 || v.void {
		return false
	}
	if v.goal.atLeast() {
		return v.deciding() >= v.goal.bound
	}
	return v.deciding() <= v.goal.bound
}

func (v verdict) mark() string {
	switch {
	case v.void:
		return "void"
	case v.reached():
		return "✓"
	}
	return "✗"
}

// verdicts returns those of the goals whose cells were measured.
func (r *Report) verdicts() []verdict {
	var all []verdict
	for _, g := range goals() {
		res := r.result(g.cell)
		if res == nil {
			continue
		}
		v := verdict{goal: g, void: res.Void()}
		if g.beyond {
			v.values = res.beyond(g.figure, g.contender, g.base)
		} else if g.base != "" {
			v.values = res.ratios(g.figure, g.contender, g.base)
		} else if e := res.entry(g.contender); e != nil {
			v.values = e.values(g.figure)
		}
		if len(v.values) > 0 {
			all = append(all, v)
		}
	}
	return all
}

// GoalTable returns the figures to reach, those whose cells were measured.
func (r *Report) GoalTable() (header []string, rows [][]string) {
	header = []string{"", "figure", "bound", "decides", "median (quartiles)", ""}
	last := ""
	for _, v := range r.verdicts() {
		row := v.goal.row
		if row == last {
			row = ""
		}
		last = v.goal.row
		what := v.goal.figure.name
		switch {
		case v.goal.beyond:
			what += " beyond " + v.goal.base
		case v.goal.base != "":
			what += " ÷ " + v.goal.base
		}
		rows = append(rows, []string{row, what, v.goal.boundText(), fmt.Sprintf("%.3g", v.deciding()), ratioText(v.values), v.mark()})
	}
	return header, rows
}

// Goals returns the table of the goals for a terminal, or "" if no cell of theirs was measured.
func (r *Report) Goals() string {
	header, rows := r.GoalTable()
	if len(rows) == 0 {
		return ""
	}
	return "\nfigures to reach\n" + table.Text(header, rows)
}
