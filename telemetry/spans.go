package telemetry

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hanse-go/hanse/internal/otlp"
	"go.opentelemetry.io/otel/attribute"
	otelcodes "go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc/codes"
)

// spans are the spans that wait to be sent, written already, so that nothing of a call outlives it for them.
type spans struct {
	telemetry *Telemetry
	batch     Batch
	sender    *otlp.Sender
	due       chan struct{} // of capacity 1: a batch is full

	waiting atomic.Int64 // spans
	bytes   atomic.Int64 // of them
	dropped atomic.Uint64

	free sync.Pool // *[]byte of the size of a batch, empty
	body []byte    // of a request; only send uses it

	mu     sync.Mutex
	scopes []*scope
}

// maxWaitingBytes bounds the memory of spans that wait, however large they are.
const maxWaitingBytes = 32 << 20

// maxFree bounds the memory that is kept for a batch to come, for one may have held much.
const maxFree = 1 << 20

// pile is spans of one scope, put together by those whose processor chose it.
type pile struct {
	mu    sync.Mutex
	open  chunk
	full  []chunk
	attrs []attribute.KeyValue // memory for those of one span
	one   otlp.Span            // likewise

	_ [64]byte // its neighbour's lock is another processor's
}

// chunk is spans one after another.
type chunk struct {
	encoded []byte
	n       int
}

// add writes down a span that has ended, or counts it as dropped.
func (w *spans) add(s *Span, m *more, e *ending) {
	if !w.room() {
		return
	}
	start := s.start
	if !s.dated {
		start = w.telemetry.clock.unix(start)
	}
	reached := e.reached
	if reached == nil {
		reached = reachedBy(e.path)
	}
	kind := trace.SpanKind(s.kind)
	p := s.scope.pile(w.telemetry.cells.own())
	p.mu.Lock()
	defer p.mu.Unlock()
	if s.method != nil && !s.method.streams.Load() && m == nil && e.why == "" && e.attempts <= 1 && s.state == "" && s.phase.Load()&failed == 0 && statusOf(kind, e.code) == otelcodes.Unset {
		plain := otlp.PlainSpan{
			TraceID: s.traceID, SpanID: s.id, ParentID: s.parent, ParentRemote: s.remote, Flags: s.flags,
			Start: start, End: start + int64(e.took), Fields: [3][]byte{s.method.plain, codeFields[e.code]},
		}
		if reached != nil {
			plain.Fields[2] = reached.encoded
		}
		w.put(p, func(b []byte) []byte { return otlp.AppendPlainSpan(b, &plain) })
		return
	}
	one, attrs := &p.one, p.attrs[:0]
	*one = otlp.Span{
		TraceID: s.traceID, SpanID: s.id, ParentID: s.parent, ParentRemote: s.remote, Flags: s.flags, TraceState: s.state,
		Name: s.name, Kind: kind, Start: start, End: start + int64(e.took),
	}
	if c := s.method; c != nil {
		one.Name, one.Encoded = c.name, c.encoded
		attrs = c.endAttributes(attrs, e.code, reached, e.attempts)
		if one.Status = statusOf(kind, e.code); one.Status == otelcodes.Error {
			one.StatusMessage = e.message
		}
	}
	if e.why != "" {
		attrs = append(attrs, attribute.String("hanse.kept", e.why))
	}
	if m != nil {
		if m.name != "" {
			one.Name = m.name
		}
		attrs = append(attrs, m.attributes.attributes...)
		one.DroppedAttributes, one.Events, one.DroppedEvents = m.attributes.dropped, m.events, m.droppedEvents
		one.Links, one.DroppedLinks = m.links, m.droppedLinks
		if rank(m.status) > rank(one.Status) || one.Status == otelcodes.Error && m.status == one.Status && m.message != "" {
			one.Status, one.StatusMessage = m.status, m.message
		}
	}
	if s.phase.Load()&failed != 0 && one.Status == otelcodes.Unset {
		one.Status = otelcodes.Error
	}
	one.Attributes = attrs
	w.put(p, func(b []byte) []byte { return otlp.AppendSpan(b, one) })
	clear(attrs) // they may hold on to a lot
	*one = otlp.Span{}
	p.attrs = attrs
}

// put has one span written into the pile, whose lock is held.
func (w *spans) put(p *pile, write func(b []byte) []byte) {
	if p.open.encoded == nil {
		if b, ok := w.free.Get().(*[]byte); ok {
			p.open.encoded = *b
		}
	}
	before := len(p.open.encoded)
	p.open.encoded = write(p.open.encoded)
	p.open.n++
	w.bytes.Add(int64(len(p.open.encoded) - before))
	if p.open.n >= w.batch.Size {
		p.full = append(p.full, p.open)
		p.open = chunk{}
		w.wake()
	}
}

// room takes a place for one span, or counts it as dropped.
func (w *spans) room() bool {
	n := w.waiting.Add(1)
	if n > int64(w.batch.Queue) || w.bytes.Load() > maxWaitingBytes {
		w.waiting.Add(-1)
		w.dropped.Add(1)
		return false
	}
	if n >= int64(w.batch.Size) && n%int64(w.batch.Size) == 0 {
		w.wake()
	}
	return true
}

func (w *spans) wake() {
	select {
	case w.due <- struct{}{}:
	default:
	}
}

// endAttributes appends what the semantic conventions say about the end of a call, and what Hanse knows besides.
func (m *Method) endAttributes(attrs []attribute.KeyValue, code codes.Code, r *Reached, attempts int) []attribute.KeyValue {
	name := codeNames[min(int(code), len(codeNames)-1)]
	attrs = append(attrs, attribute.String("rpc.response.status_code", name))
	if statusOf(m.kind, code) == otelcodes.Error {
		attrs = append(attrs, attribute.String("error.type", name))
	}
	if m.streams.Load() {
		attrs = append(attrs, attribute.Bool(StreamKey, true))
	}
	if r != nil {
		attrs = append(attrs, r.attributes...)
	}
	if attempts > 1 {
		attrs = append(attrs, attribute.Int("hanse.attempts", attempts))
	}
	return attrs
}

// codeFields are the attributes of calls that ended with a code which is no failure of theirs.
var codeFields = func() (fields [len(codeNames)][]byte) {
	for code, name := range codeNames {
		fields[code] = otlp.AppendSpanAttributes(nil, []attribute.KeyValue{attribute.String("rpc.response.status_code", name)})
	}
	return fields
}()

// pile is that of a cell.
func (s *scope) pile(cell int) *pile { return &s.piles[cell%len(s.piles)] }

// register has the scope's spans sent.
func (w *spans) register(s *scope) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.scopes = append(w.scopes, s)
}

// run sends what waits whenever a batch is full or the first of it has waited long enough. When ctx ends it sends the rest.
func (w *spans) run(ctx context.Context) error {
	defer w.sender.Close()
	sending, cut := outlast(ctx, flushTimeout)
	defer cut()
	tick := time.NewTicker(w.batch.Delay)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-w.due:
		case <-ctx.Done():
			return w.send(sending)
		}
		limited, cancel := context.WithTimeout(sending, w.batch.Timeout)
		w.send(limited) // the sender has counted and told what it could not send
		cancel()
	}
}

// send sends all that waits, in requests of about the size of a batch.
func (w *spans) send(ctx context.Context) error {
	w.mu.Lock()
	scopes := w.scopes[:len(w.scopes):len(w.scopes)]
	w.mu.Unlock()
	var failed error
	var request []otlp.EncodedSpans
	n, size := 0, 0
	body := w.body
	defer func() {
		if cap(body) <= 2*maxFree {
			w.body = body
		}
	}()
	flush := func() {
		if n == 0 {
			return
		}
		body = otlp.AppendEncodedSpans(body[:0], request)
		if err := w.sender.Send(ctx, body, n); err != nil && failed == nil {
			failed = err
		}
		w.waiting.Add(int64(-n))
		w.bytes.Add(int64(-size))
		for i := range request {
			for _, piece := range request[i].Pieces {
				if cap(piece) <= maxFree {
					piece = piece[:0]
					w.free.Put(&piece)
				}
			}
		}
		request, n, size = nil, 0, 0
	}
	for _, s := range scopes {
		part := -1 // of the request, for the scope
		for i := range s.piles {
			for _, c := range s.piles[i].take() {
				if part < 0 || n == 0 {
					request = append(request, otlp.EncodedSpans{Resource: s.service.otlp, Scope: otlp.Scope{Name: s.name, Version: s.version, SchemaURL: s.schemaURL}})
					part = len(request) - 1
				}
				request[part].Pieces = append(request[part].Pieces, c.encoded)
				n, size = n+c.n, size+len(c.encoded)
				if n >= w.batch.Size {
					flush()
					part = -1
				}
			}
		}
	}
	flush()
	return failed
}

// take takes all that waits.
func (p *pile) take() []chunk {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := p.full
	p.full = nil
	if p.open.n > 0 {
		all = append(all, p.open)
		p.open = chunk{}
	}
	return all
}
