package collector

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// mostWork is how many records a search looks at.
const mostWork = 4_000_000

// place is where a record stands: in which block, and as which of it.
type place struct {
	block int64
	at    int
}

func (p place) String() string { return fmt.Sprintf("%x-%x", p.block, p.at) }

func parsePlace(s string) (p place, err error) {
	var rest string
	if _, err := fmt.Sscanf(s+" .", "%x-%x %s", &p.block, &p.at, &rest); err != nil || rest != "." {
		return p, fmt.Errorf("%q is no place of an earlier answer", s)
	}
	return p, nil
}

// limits of a window in nanoseconds.
func (w Window) limits() (from, to int64) {
	from, to = -1<<63, 1<<63-1
	if !w.From.IsZero() {
		from = w.From.UnixNano()
	}
	if !w.To.IsZero() {
		to = w.To.UnixNano()
	}
	return from, to
}

// logSearch is a LogQuery that was read.
type logSearch struct {
	q             LogQuery
	f             sought
	from, to      int64
	trace, span   []byte
	after, before place
	severity      int32
}

func readLogQuery(q LogQuery) (s logSearch, err error) {
	s.q = q
	if s.f, err = parseFilter(logs, q.Filter); err != nil {
		return s, err
	}
	s.from, s.to = q.Window.limits()
	s.before = place{block: 1<<63 - 1}
	s.after = place{at: -1}
	if q.After != "" {
		if s.after, err = parsePlace(q.After); err != nil {
			return s, err
		}
	}
	if q.Before != "" {
		if s.before, err = parsePlace(q.Before); err != nil {
			return s, err
		}
	}
	for id, to := range map[*string]*[]byte{&q.TraceID: &s.trace, &q.SpanID: &s.span} {
		if *id == "" {
			continue
		}
		if *to = parseID(strings.ToLower(*id)); *to == nil {
			return s, fmt.Errorf("%q is no ID", *id)
		}
	}
	s.severity = s.f.severity
	if q.Level != "" {
		n := levelSeverity(q.Level)
		if n == 0 {
			return s, fmt.Errorf("%q is no level: it is debug, info, warn or error", q.Level)
		}
		s.severity = max(s.severity, int32(n))
	}
	s.q.Limit = min(orDefault(q.Limit, 200), 10_000)
	return s, nil
}

func orDefault(n, otherwise int) int {
	if n <= 0 {
		return otherwise
	}
	return n
}

// Logs returns log lines: the newest that are meant, or with q.After the first that came since. An error of q.Filter is a
// [*filter.Error].
//
// [*filter.Error]: https://pkg.go.dev/github.com/hanse-go/hanse/telemetry/filter#Error
func (c *Collector) Logs(ctx context.Context, q LogQuery) (LogPage, error) {
	s, err := readLogQuery(q)
	if err != nil {
		return LogPage{}, err
	}
	st := c.of().store
	list, err := st.list(ctx, logs)
	if err != nil {
		return LogPage{}, err
	}
	page := LogPage{Logs: []Log{}, Tail: s.after.String()}
	if q.After == "" {
		page.Tail = place{at: -1}.String()
	}
	if n := len(list); n > 0 {
		page.Tail = place{list[n-1].id, list[n-1].count - 1}.String()
	}
	if s.trace != nil {
		if list, err = st.withTrace(ctx, list, traceHash(s.trace)); err != nil {
			return LogPage{}, err
		}
	}
	forward := q.After != ""
	if !forward {
		slices.Reverse(list)
	}
	var last place // that was looked at
	for i := range list {
		b := &list[i]
		if b.id < s.after.block || b.id > s.before.block || b.last < s.from || b.first > s.to || b.worst < s.severity {
			continue
		}
		if !st.may(ctx, b, s.f.words) {
			continue
		}
		if page.Scanned >= mostWork || ctx.Err() != nil {
			page.Partial = true
			break
		}
		found, err := s.search(ctx, st, b)
		if errors.Is(err, errGone) {
			continue
		}
		if err != nil {
			return page, err
		}
		page.Scanned += b.count
		if !forward {
			slices.Reverse(found)
		}
		page.Logs = append(page.Logs, found...)
		last = place{b.id, 0}
		if len(page.Logs) >= s.q.Limit {
			break
		}
	}
	if len(page.Logs) > s.q.Limit {
		page.Logs = page.Logs[:s.q.Limit]
	}
	if n := len(page.Logs); n == s.q.Limit {
		if forward {
			page.Tail = page.Logs[n-1].ID
		} else {
			page.Next = page.Logs[n-1].ID
		}
	} else if page.Partial && !forward {
		page.Next = last.String()
	}
	slices.SortStableFunc(page.Logs, func(a, b Log) int { return a.Time.Compare(b.Time) })
	return page, nil
}

// search returns the lines of a block that are meant, in the order of arrival.
func (s *logSearch) search(ctx context.Context, st *store, b *block) (found []Log, err error) {
	content, err := st.content(ctx, b)
	if err != nil {
		return nil, err
	}
	var h logHead
	services := slices.Clone(s.q.Services)
	wanted := map[*origin]bool{}
	err = records(content, func(at int, o *origin, raw []byte) bool {
		here := place{b.id, at}
		if !s.after.less(here) || !here.less(s.before) || at >= b.count {
			return true
		}
		want, known := wanted[o]
		if !known {
			want = (len(services) == 0 || slices.Contains(services, o.service)) && (s.f.services == nil || containsFold(s.f.services, o.service))
			wanted[o] = want
		}
		if !want || readLogHead(raw, &h) != nil || h.time < s.from || h.time > s.to || h.severity < s.severity ||
			s.trace != nil && string(h.trace) != string(s.trace) || s.span != nil && string(h.span) != string(s.span) {
			return true
		}
		l := readLog(&h, o)
		if s.f.Empty() || s.f.Match(logRecord{&l}) {
			l.ID = here.String()
			found = append(found, l)
		}
		return true
	})
	if err != nil && b.seg != nil {
		err = st.readFailed(ctx, b.seg, err)
	}
	return found, err
}

func (p place) less(o place) bool { return p.block < o.block || p.block == o.block && p.at < o.at }

func containsFold(list []string, s string) bool {
	return slices.ContainsFunc(list, func(e string) bool { return strings.EqualFold(e, s) })
}
