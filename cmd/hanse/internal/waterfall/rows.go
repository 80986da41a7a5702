package waterfall

import (
	"cmp"
	"slices"
	"time"

	"github.com/hanse-go/hanse/telemetry/collector"
)

// row is a line of the tree: a span, or some that are left out.
type row struct {
	span   int // index in Trace.Spans; of what is left out, of the first
	left   *left
	parent int // index of a row; -1: none
	depth  int
	last   bool // nothing with the same parent follows
	below  bool // something hangs on it
}

// left is spans that are left out, one after the other below one parent.
type left struct {
	spans, failed int
	from, to      time.Time
	longest       time.Duration
	names         map[string]int // with how many
}

// rowsOf is the tree of those spans that are shown, of which each has its parent. With gather what is not shown is counted in rows of its own.
func rowsOf(spans []collector.Span, shown []bool, gather bool) []row {
	rows := make([]row, 0, len(spans))
	at := make([]int, len(spans)) // the row of a span, or of the one above that is shown
	for i := range spans {
		s := &spans[i]
		parent := -1
		if s.Parent >= 0 {
			parent = at[s.Parent]
		}
		if shown[i] {
			r := row{span: i, parent: parent}
			if parent >= 0 {
				r.depth = rows[parent].depth + 1
			}
			at[i] = len(rows)
			rows = append(rows, r)
			continue
		}
		at[i] = parent
		if !gather {
			continue
		}
		if n := len(rows) - 1; n < 0 || rows[n].left == nil || rows[n].parent != parent {
			r := row{span: i, parent: parent, left: &left{from: s.Start, to: s.Start, names: make(map[string]int)}}
			if parent >= 0 {
				r.depth = rows[parent].depth + 1
			}
			rows = append(rows, r)
		}
		rows[len(rows)-1].left.add(s)
	}
	last := make([]bool, len(rows)+1) // whether the last row of a parent was met; the last of them is that of the roots
	for i := len(rows) - 1; i >= 0; i-- {
		p := rows[i].parent
		if p < 0 {
			p = len(rows)
		}
		rows[i].last = !last[p]
		last[p] = true
		rows[i].below = last[i]
	}
	return rows
}

func (l *left) add(s *collector.Span) {
	l.spans++
	if s.Status == failed {
		l.failed++
	}
	if s.Start.Before(l.from) {
		l.from = s.Start
	}
	if end := s.Start.Add(s.Duration); end.After(l.to) {
		l.to = end
	}
	l.longest = max(l.longest, s.Duration)
	l.names[s.Name]++
}

// commonest is the name that most of the spans have.
func (l *left) commonest() (name string) {
	most := 0
	for n, k := range l.names {
		if k > most || k == most && n < name {
			name, most = n, k
		}
	}
	return name
}

// choose says which spans are shown where not all are: with their parents those that failed, then those that were waited for, then the longest.
func choose(spans []collector.Span, most int) []bool {
	order := make([]int, len(spans))
	for i := range order {
		order[i] = i
	}
	rank := func(s *collector.Span) int {
		switch {
		case s.Parent < 0:
			return 0
		case s.Status == failed:
			return 1
		case s.Critical:
			return 2
		}
		return 3
	}
	slices.SortStableFunc(order, func(a, b int) int {
		return cmp.Or(cmp.Compare(rank(&spans[a]), rank(&spans[b])), cmp.Compare(spans[b].Duration, spans[a].Duration))
	})
	shown := make([]bool, len(spans))
	var line []int
	for _, i := range order {
		line = line[:0]
		for k := i; k >= 0 && !shown[k] && len(line) <= most; k = spans[k].Parent {
			line = append(line, k)
		}
		if len(line) > most {
			continue
		}
		most -= len(line)
		for _, k := range line {
			shown[k] = true
		}
	}
	return shown
}
