package collector

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"
)

const (
	mostTraces = 50_000           // that a search has in mind
	traceReach = 10 * time.Minute // how far from a span the rest of its trace is looked for in a list
)

// traceKey is a trace ID.
type traceKey [16]byte

// hit is a trace that is meant.
type hit struct {
	id       traceKey
	newest   int64 // start of the newest span that is meant
	longest  int64 // duration of the longest one that is no stream
	failed   bool  // one of them has
	summary  TraceSummary
	end      int64
	rootAt   int64
	found    bool // summary has a span
	hasRoot  bool
	services map[string]bool
	skip     bool
}

// traceSearch is a TraceQuery that was read.
type traceSearch struct {
	q        TraceQuery
	f        sought
	streams  streams
	from, to int64
	min      int64
	after    place
	before   int64 // start of a span; for Slowest a number of traces to leave out
	skip     int
	failed   bool
}

func readTraceQuery(q TraceQuery) (s traceSearch, err error) {
	if s.f, err = parseFilter(spans, q.Filter); err != nil {
		return s, err
	}
	s.from, s.to = q.Window.limits()
	s.min = int64(max(q.Min, s.f.min))
	s.failed = q.Errors || s.f.failed
	s.after, s.before = place{at: -1}, math.MaxInt64
	if q.After != "" {
		if s.after, err = parsePlace(q.After); err != nil {
			return s, err
		}
	}
	if q.Before != "" {
		n, err := strconv.ParseInt(q.Before, 10, 64)
		if err != nil {
			return s, fmt.Errorf("%q is no Next of an earlier answer", q.Before)
		}
		if q.Slowest {
			s.skip = int(min(max(n, 0), mostTraces))
		} else {
			s.before = n
		}
	}
	q.Limit = min(orDefault(q.Limit, 100), 2000)
	s.q = q
	return s, nil
}

// Traces returns a list of traces. An error of q.Filter is a [*filter.Error].
//
// [*filter.Error]: https://pkg.go.dev/github.com/hanse-go/hanse/telemetry/filter#Error
func (c *Collector) Traces(ctx context.Context, q TraceQuery) (TracePage, error) {
	s, err := readTraceQuery(q)
	if err != nil {
		return TracePage{}, err
	}
	st := c.of().store
	s.streams = c.of().numbers.streams()
	all, err := st.list(ctx, spans)
	if err != nil {
		return TracePage{}, err
	}
	page := TracePage{Traces: []TraceSummary{}, Tail: place{at: -1}.String()}
	if n := len(all); n > 0 {
		page.Tail = place{all[n-1].id, all[n-1].count - 1}.String()
	} else if q.After != "" {
		page.Tail = q.After
	}
	hits, more, err := s.find(ctx, st, all, &page)
	if err != nil {
		return TracePage{}, err
	}
	if err := s.summarize(ctx, st, all, hits); err != nil {
		return TracePage{}, err
	}
	_, running := c.of().numbers.running(time.Now())
	for i, h := range hits {
		if len(page.Traces) == s.q.Limit {
			hits, more = hits[:i], true
			break
		}
		if h.found && !h.skip {
			h.summary.Running = h.summary.Gap && running[h.summary.TraceID]
			page.Traces = append(page.Traces, h.summary)
		}
	}
	if more && len(hits) > 0 {
		page.Next = strconv.FormatInt(hits[len(hits)-1].newest, 10)
		if s.q.Slowest {
			page.Next = strconv.Itoa(s.skip + len(hits))
		}
	}
	if !s.q.Slowest {
		slices.SortStableFunc(page.Traces, func(a, b TraceSummary) int {
			return cmp.Or(b.Start.Compare(a.Start), cmp.Compare(a.TraceID, b.TraceID))
		})
	} else { // how long one took whose beginning is not there, nobody knows; and no stream is slow
		order := map[bool]int{true: 1}
		slices.SortStableFunc(page.Traces, func(a, b TraceSummary) int {
			return cmp.Or(order[a.Gap || a.Stream]-order[b.Gap || b.Stream], cmp.Compare(b.Duration, a.Duration), cmp.Compare(a.TraceID, b.TraceID))
		})
	}
	return page, nil
}

// find returns the traces of a page: the newest that have a span that is meant, or the slowest. On a page behind the first there are
// more than asked for, because some have spans on the page before and are left out.
func (s *traceSearch) find(ctx context.Context, st *store, all []block, page *TracePage) (hits []*hit, more bool, err error) {
	limit := s.q.Limit
	if s.before != math.MaxInt64 {
		limit = 2*limit + 8
	}
	list := slices.Clone(all)
	slices.SortFunc(list, func(a, b block) int { return cmp.Or(compareInt(b.last, a.last), compareInt(b.id, a.id)) })
	found := make(map[traceKey]*hit)
	for i := range list {
		b := &list[i]
		if !s.q.Slowest && !s.q.Spread && len(found) > limit && enough(found, b.last, limit) {
			break
		}
		if b.id < s.after.block || b.last < s.from || b.first > s.to || b.longest < s.min || b.first >= s.before ||
			s.failed && b.worst == 0 || !st.may(ctx, b, s.f.words) {
			continue
		}
		if page.Scanned >= mostWork || ctx.Err() != nil || len(found) >= mostTraces {
			page.Partial = true
			break
		}
		if err := s.search(ctx, st, b, found); err != nil && !errors.Is(err, errGone) {
			return nil, false, err
		}
		page.Scanned += b.count
	}
	for _, h := range found {
		hits = append(hits, h)
	}
	if s.q.Spread {
		page.Found = len(hits)
		return spread(hits, limit), false, nil
	}
	order := func(a, b *hit) int {
		return cmp.Or(compareInt(b.newest, a.newest), slices.Compare(a.id[:], b.id[:]))
	}
	if s.q.Slowest {
		order = func(a, b *hit) int {
			return cmp.Or(compareInt(b.longest, a.longest), slices.Compare(a.id[:], b.id[:]))
		}
	}
	slices.SortFunc(hits, order)
	hits = hits[min(s.skip, len(hits)):]
	more = len(hits) > limit
	return hits[:min(limit, len(hits))], more, nil
}

// enough reports whether more traces than the limit come before everything that starts at or before a time.
func enough(found map[traceKey]*hit, last int64, limit int) bool {
	n := 0
	for _, h := range found {
		if h.newest > last {
			n++
		}
	}
	return n > limit
}

// search looks for spans that are meant in a block.
func (s *traceSearch) search(ctx context.Context, st *store, b *block, found map[traceKey]*hit) error {
	content, err := st.content(ctx, b)
	if err != nil {
		return err
	}
	var head spanHead
	err = records(content, func(at int, o *origin, raw []byte) bool {
		if at >= b.count || readSpanHead(raw, &head) != nil || !s.after.less(place{b.id, at}) || !s.wants(o, &head) {
			return true
		}
		id := traceKey(head.trace)
		h := found[id]
		if h == nil {
			h = &hit{id: id, newest: head.start}
			found[id] = h
		}
		h.newest = max(h.newest, head.start)
		if d := head.duration(); d > h.longest && (!s.q.Slowest && !s.q.Spread || !s.streams.span(&head)) {
			h.longest = d
		}
		h.failed = h.failed || head.failed
		return true
	})
	if err != nil && b.seg != nil {
		return st.readFailed(ctx, b.seg, err)
	}
	return err
}

// wants reports whether a span is meant, apart from where it stands.
func (s *traceSearch) wants(o *origin, h *spanHead) bool {
	q := &s.q
	d := h.duration()
	switch {
	case h.start < s.from || h.start > s.to || h.start >= s.before,
		d < s.min || q.Max > 0 && d > int64(q.Max),
		s.failed && !h.failed,
		q.Service != "" && o.service != q.Service,
		s.f.services != nil && !containsFold(s.f.services, o.service),
		q.RootOnly && !h.root(),
		h.root() && slices.Contains(q.Exclude, o.service):
		return false
	case s.f.Empty() && q.Name == "":
		return true
	}
	span := readSpan(h, o)
	if q.Name != "" && span.Name != q.Name {
		if m, ok := (spanRecord{&span}).Field("method"); !ok || m.String() != q.Name {
			return false
		}
	}
	return s.f.Match(spanRecord{&span})
}

// summarize fills in the summaries of traces, and marks those that an earlier page had.
func (s *traceSearch) summarize(ctx context.Context, st *store, all []block, hits []*hit) error {
	if len(hits) == 0 {
		return nil
	}
	byID := make(map[traceKey]*hit, len(hits))
	hashes := make([]uint32, 0, len(hits))
	least, most := int64(math.MaxInt64), int64(math.MinInt64)
	for _, h := range hits {
		byID[h.id] = h
		hashes = append(hashes, traceHash(h.id[:]))
		least, most = min(least, h.newest), max(most, h.newest)
	}
	slices.Sort(hashes)
	var near []block
	for _, b := range all {
		if b.last >= least-int64(traceReach) && b.first <= most+int64(traceReach) {
			near = append(near, b)
		}
	}
	near, err := st.withAnyTrace(ctx, near, hashes)
	if err != nil {
		return err
	}
	var head spanHead
	for i := range near {
		b := &near[i]
		content, err := st.content(ctx, b)
		if errors.Is(err, errGone) {
			continue
		}
		if err != nil {
			return err
		}
		err = records(content, func(at int, o *origin, raw []byte) bool {
			if at >= b.count || readSpanHead(raw, &head) != nil {
				return true
			}
			if h := byID[traceKey(head.trace)]; h != nil {
				h.add(o, &head, s.streams)
				// It was on an earlier page, with this span.
				if s.before != math.MaxInt64 && head.start >= s.before && !h.skip {
					before := s.before
					s.before = math.MaxInt64
					h.skip = s.wants(o, &head)
					s.before = before
				}
			}
			return true
		})
		if err != nil && b.seg != nil {
			if err = st.readFailed(ctx, b.seg, err); !errors.Is(err, errGone) {
				return err
			}
		}
	}
	for _, h := range hits {
		h.finish()
	}
	return nil
}

// add adds a span to the summary.
func (h *hit) add(o *origin, head *spanHead, known streams) {
	s := &h.summary
	root := head.root()
	if !h.found {
		*s = TraceSummary{TraceID: hexID(head.trace), Start: time.Unix(0, head.start).UTC()}
		h.services, h.rootAt, h.end = make(map[string]bool), math.MaxInt64, head.end
		h.found = true
	}
	start := s.Start.UnixNano()
	if head.start < start {
		s.Start = time.Unix(0, head.start).UTC()
	}
	h.end = max(h.end, head.end)
	s.Spans++
	if head.failed {
		s.Errors++
	}
	h.services[o.service] = true
	if root && !h.hasRoot || root == h.hasRoot && head.start < h.rootAt {
		h.hasRoot = h.hasRoot || root
		h.rootAt = head.start
		s.Service, s.Name, s.Kind, s.Status = o.service, string(head.name), kindName(head.kind), head.status()
		s.Code, s.Stream = head.code, known.span(head)
	}
}

// finish makes the summary of what was added.
func (h *hit) finish() {
	if !h.found {
		return
	}
	h.summary.Duration = time.Duration(max(h.end-h.summary.Start.UnixNano(), 0))
	h.summary.Gap = !h.hasRoot
	for name := range h.services {
		h.summary.Services = append(h.summary.Services, name)
	}
	slices.Sort(h.summary.Services)
}
