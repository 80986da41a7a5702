package collector

import (
	"math"
	"time"
)

// tally is numbers of calls that are added up.
type tally struct {
	calls, errors, sum float64
	refused, streams   float64 // of calls
	open               float64 // streams; not of calls
	hist               hist    // of calls that are no streams
	byStatus           map[string]float64
	faults             map[string]bool // of byStatus
}

// add adds what another one has.
func (t *tally) add(o *tally) {
	t.calls += o.calls
	t.errors += o.errors
	t.refused += o.refused
	t.streams += o.streams
	t.open += o.open
	t.sum += o.sum
	t.hist.merge(o.hist)
	for k, v := range o.byStatus {
		if t.byStatus == nil {
			t.byStatus = make(map[string]float64)
		}
		t.byStatus[k] += v
	}
	for k := range o.faults {
		if t.faults == nil {
			t.faults = make(map[string]bool)
		}
		t.faults[k] = true
	}
}

// numbers returns a tally of so many seconds, whose values times scale are seconds.
func (t *tally) numbers(seconds float64) Numbers {
	n := Numbers{
		Calls: t.calls / seconds, Errors: t.errors / seconds, ClientErrors: t.refused / seconds, Streams: t.streams / seconds,
		Open: int(math.Round(t.open)),
	}
	for q, to := range map[float64]*time.Duration{0.5: &n.P50, 0.95: &n.P95, 0.99: &n.P99} {
		if v := t.hist.quantile(q); !math.IsNaN(v) {
			*to = time.Duration(v * float64(time.Second))
		}
	}
	return n
}

// counted is a flow with its numbers in a window.
type counted struct {
	*flow
	tally
	exemplars []Exemplar
	seen      int64
	steps     []tally // of equal parts of the window
}

// span of a window of numbers, in seconds.
type span struct {
	from, to, now int64
	steps         int
}

// recent is what a window without From is.
const recent = 5 * time.Minute

// spanOf returns the window in seconds, on the grid of the slots that tell of it.
func spanOf(w Window, steps int, now time.Time) span {
	s := span{to: now.Unix() + 1, now: now.Unix(), steps: steps}
	if !w.To.IsZero() {
		s.to = min(s.to, w.To.Unix())
	}
	s.from = s.to - int64(recent/time.Second)
	if !w.From.IsZero() {
		s.from = w.From.Unix()
	}
	s.from = max(s.from, s.now-coarseFor)
	if s.to <= s.from {
		s.to = s.from + 1
	}
	return s
}

func (s span) seconds() float64 { return float64(s.to - s.from) }
func (s span) window() Window {
	return Window{From: time.Unix(s.from, 0).UTC(), To: time.Unix(s.to, 0).UTC()}
}

// flows returns what calls were counted in a window, from metrics where there are any and else from spans.
func (p *parts) flows(w span) []counted {
	n := p.numbers
	n.mu.Lock()
	defer n.mu.Unlock()
	var list []counted
	told := make(map[coverKey]bool) // by metrics
	known := n.streamsIn(w)
	for _, m := range n.metrics {
		for _, s := range m.series {
			if s.flow == nil {
				continue
			}
			c := n.count(s, w, known.has(s.flow))
			if c.calls == 0 && (c.seen == 0 || s.flow.opens && c.open == 0) {
				continue
			}
			if !s.flow.spans && c.calls > 0 {
				told[s.flow.cover()] = true
			}
			list = append(list, c)
		}
	}
	out := list[:0]
	for _, c := range list {
		if c.spans && told[c.cover()] {
			continue
		}
		if c.side == calls && (c.kind == KindRPC || c.kind == KindHTTP) {
			if peer := p.joins.resolve(c.service, c.peer); peer != c.peer {
				f := *c.flow
				f.peer = peer
				c.flow = &f
			}
		}
		out = append(out, c)
	}
	return out
}

// count adds up a series in a window. What streams take is left out. Held.
func (n *numbers) count(s *series, w span, stream bool) counted {
	c := counted{flow: s.flow, exemplars: s.exemplars}
	if s.flow.opens {
		s.ringFor(w.from, w.now).each(w.from, w.to, func(at int64, count, sum float64, _ string) {
			c.seen, c.open = at, math.Round(sum/max(count, 1))
		})
		if w.to-c.seen > s.silence() { // who told it has ended
			c.open = 0
		}
		return c
	}
	if w.steps > 0 {
		c.steps = make([]tally, w.steps)
	}
	width := float64(w.to-w.from) / float64(max(w.steps, 1))
	s.ringFor(w.from, w.now).each(w.from, w.to, func(at int64, count, sum float64, h string) {
		c.seen = max(c.seen, at)
		var t tally
		t.calls, t.sum = count, sum*s.flow.scale
		if s.flow.failed {
			t.errors = count
		}
		if s.flow.refused {
			t.refused = count
		}
		if stream {
			t.streams = count
		} else {
			t.hist.mergePacked(h)
		}
		if s.flow.scale != 1 {
			shift := int16(math.Round(math.Log2(s.flow.scale) * (1 << histScale)))
			for i := range t.hist {
				if t.hist[i].index != zeroBucket {
					t.hist[i].index += shift
				}
			}
		}
		c.tally.add(&t)
		if w.steps > 0 {
			c.steps[min(int(float64(at-w.from)/width), w.steps-1)].add(&t)
		}
	})
	if s.flow.status != "" && c.calls > 0 {
		c.byStatus = map[string]float64{s.flow.status: c.calls}
		if s.flow.failed {
			c.faults = map[string]bool{s.flow.status: true}
		}
	}
	return c
}
