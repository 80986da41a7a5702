package telemetry

import (
	"sync"

	"github.com/hanse-go/hanse/internal/otlp"
)

// maxOpen is of how many open streams of a method it is told which traces they belong to.
const maxOpen = 128

// openTraces are streams that are recorded and have not ended: their spans are sent at the end, and until then nobody else knows that they
// run. Of more than there is room for, those that came last are left out. The zero value is ready. It is safe for concurrent use.
type openTraces struct {
	mu    sync.Mutex
	spans []*Span
}

// add takes in a span, unless it has ended meanwhile.
func (o *openTraces) add(s *Span) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.spans) < maxOpen && s.phase.Load()&ended == 0 {
		o.spans = append(o.spans, s)
	}
}

// remove forgets a span that has ended.
func (o *openTraces) remove(s *Span) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for i := len(o.spans) - 1; i >= 0; i-- { // most that end came last
		if o.spans[i] == s {
			copy(o.spans[i:], o.spans[i+1:])
			last := len(o.spans) - 1
			o.spans[last] = nil
			o.spans = o.spans[:last]
			return
		}
	}
}

// exemplars are the measurements that the number of open streams is made of: one for each, when it began.
func (o *openTraces) exemplars() []otlp.Exemplar {
	o.mu.Lock()
	defer o.mu.Unlock()
	all := make([]otlp.Exemplar, 0, len(o.spans))
	for _, s := range o.spans {
		all = append(all, otlp.Exemplar{Time: s.scope.service.telemetry.clock.unix(s.start), IsInt: true, Int: 1, TraceID: s.traceID, SpanID: s.id})
	}
	return all
}
