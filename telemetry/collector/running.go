package collector

import "time"

// runningSpan is a stream that has not ended. Its span is sent at its end.
type runningSpan struct {
	trace string
	told  int64 // second
}

const (
	// runsFor is for how many seconds after it was last told of a stream is taken to run: two of the intervals in which programs tell, and some
	// more. That of a program that was killed is taken to run as long.
	runsFor = 150
	// mostRunning is of how many open streams it is known whose they are.
	mostRunning = 16384
)

// run notes streams that are open. Held.
func (n *numbers) run(list []Exemplar, now int64) {
	for _, e := range list {
		if _, known := n.open[e.SpanID]; e.SpanID != "" && (known || len(n.open) < mostRunning) {
			n.open[e.SpanID] = runningSpan{e.TraceID, now}
		}
	}
}

// forget drops those that have ended. Held.
func (n *numbers) forget(now int64) {
	for id, r := range n.open {
		if now-r.told > runsFor {
			delete(n.open, id)
		}
	}
}

// running returns the spans of streams that have not ended, and their traces.
func (n *numbers) running(now time.Time) (spans, traces map[string]bool) {
	spans, traces = make(map[string]bool), make(map[string]bool)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.forget(now.Unix())
	for id, r := range n.open {
		spans[id], traces[r.trace] = true, true
	}
	return spans, traces
}
