//go:build unix

package e2e_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/hanse-go/hanse/examples/e2e/tally"
)

// outcome is what became of marks.
type outcome struct {
	acknowledged, handled int          // different ones
	lost                  []tally.Mark // acknowledged, and not handled
	doubled               []tally.Mark // handled more than once
	reordered             []tally.Mark // handled first after a later one of their key
}

// judge compares what was acknowledged with what was handled, in the order of that.
func judge(acknowledged, handled []tally.Mark) (o outcome) {
	times := make(map[tally.Mark]int)
	last := make(map[string]int64)
	for _, m := range handled {
		if times[m]++; times[m] == 2 {
			o.doubled = append(o.doubled, m)
		}
		if times[m] > 1 {
			continue
		}
		o.handled++
		if before, ok := last[m.Key]; ok && m.Number < before {
			o.reordered = append(o.reordered, m)
			continue
		}
		last[m.Key] = m.Number
	}
	seen := make(map[tally.Mark]bool)
	for _, m := range acknowledged {
		if seen[m] {
			continue
		}
		seen[m] = true
		o.acknowledged++
		if times[m] == 0 {
			o.lost = append(o.lost, m)
		}
	}
	return o
}

// some shows the first ones of many.
func some(marks []tally.Mark) string {
	if len(marks) == 0 {
		return ""
	}
	return fmt.Sprintf(" %v", marks[:min(len(marks), 3)])
}

func marksOf(entries []tally.Entry) (marks []tally.Mark) {
	for _, e := range entries {
		marks = append(marks, e.Mark)
	}
	return marks
}

// The judge must see each mistake, or the table would prove nothing.
func TestChaosEventsJudge(t *testing.T) {
	a := func(n int64) tally.Mark { return tally.Mark{Key: "a", Number: n} }
	b := func(n int64) tally.Mark { return tally.Mark{Key: "b", Number: n} }
	type marks = []tally.Mark
	for _, c := range []struct {
		name                  string
		acknowledged, handled marks
		want                  outcome
	}{
		{"nothing", nil, nil, outcome{}},
		{"well", marks{a(1), b(1), a(2)}, marks{b(1), a(1), a(2)}, outcome{acknowledged: 3, handled: 3}},
		{"lost", marks{a(1), a(2), a(3)}, marks{a(1), a(3)}, outcome{acknowledged: 3, handled: 2, lost: marks{a(2)}}},
		{"lost with its key", marks{a(1), b(1)}, marks{a(1)}, outcome{acknowledged: 2, handled: 1, lost: marks{b(1)}}},
		{"doubled", marks{a(1), a(2)}, marks{a(1), a(2), a(1), a(1)}, outcome{acknowledged: 2, handled: 2, doubled: marks{a(1)}}},
		{"reordered", marks{a(1), a(2), a(3)}, marks{a(2), a(1), a(3)}, outcome{acknowledged: 3, handled: 3, reordered: marks{a(1)}}},
		{"reordered in one key of two", marks{a(1), b(2), b(1)}, marks{b(2), a(1), b(1)}, outcome{acknowledged: 3, handled: 3, reordered: marks{b(1)}}},
		{"handled from the start again", marks{a(1), a(2), a(3)}, marks{a(1), a(2), a(1), a(2), a(3)}, outcome{acknowledged: 3, handled: 3, doubled: marks{a(1), a(2)}}},
		{"stored and not acknowledged", marks{a(1), a(3)}, marks{a(1), a(2), a(3)}, outcome{acknowledged: 2, handled: 3}},
		{"acknowledged twice", marks{a(1), a(1)}, marks{a(1)}, outcome{acknowledged: 1, handled: 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := judge(c.acknowledged, c.handled)
			if got.acknowledged != c.want.acknowledged || got.handled != c.want.handled || !slices.Equal(got.lost, c.want.lost) ||
				!slices.Equal(got.doubled, c.want.doubled) || !slices.Equal(got.reordered, c.want.reordered) {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
		})
	}
}
