package collector

import (
	"bytes"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// refused says what of a request was not taken.
type refused struct {
	count  int64
	reason string
	later  bool // nothing was taken, and the sender should send all of it again
}

func (r *refused) add(n int, reason string) {
	r.count += int64(n)
	r.reason = reason
}

// group is records of one origin in a request.
type group struct {
	origin  *origin
	records [][]byte
}

// room is what taking a request in needs, used again for the next one. What the request was is not held after [room.empty].
type room struct {
	body    bytes.Buffer
	groups  []group
	records [][]byte
	out     []record
	heads   []spanHead
}

const (
	mostRoomBytes   = 1 << 20 // of a body; the room of larger ones is not kept
	mostRoomRecords = 8192
)

func (m *room) empty() {
	if m.body.Cap() > mostRoomBytes || max(cap(m.records), cap(m.out)) > mostRoomRecords {
		*m = room{}
		return
	}
	m.body.Reset()
	clear(m.groups)
	clear(m.records)
	clear(m.out)
	clear(m.heads)
	m.groups, m.records, m.out, m.heads = m.groups[:0], m.records[:0], m.out[:0], m.heads[:0]
}

// groups reads what all three requests have in common: resources with scopes with records. num is the number of the records' field in a
// scope's message.
func (p *parts) groups(m *room, body []byte, num protowire.Number, now time.Time) (list []group, err error) {
	f := fields{rest: body}
	for f.next() {
		if !f.message(1) {
			continue
		}
		var resource []byte
		for r := (fields{rest: f.data}); r.next(); {
			if r.message(1) {
				resource = r.data
			}
		}
		r := fields{rest: f.data}
		for r.next() {
			if !r.message(2) {
				continue
			}
			var scope []byte
			g := group{}
			first := len(m.records)
			e := fields{rest: r.data}
			for e.next() {
				switch {
				case e.message(1):
					for n := (fields{rest: e.data}); n.next(); {
						if n.message(1) {
							scope = n.data
						}
					}
				case e.message(num):
					m.records = append(m.records, e.data)
				}
			}
			if e.err != nil {
				return nil, e.err
			}
			if g.records = m.records[first:]; len(g.records) == 0 { // what is appended behind does not matter
				continue
			}
			if g.origin, err = p.origins.of(resource, scope, now); err != nil {
				return nil, err
			}
			m.groups = append(m.groups, g)
		}
		if r.err != nil {
			return nil, r.err
		}
	}
	return m.groups, f.err
}

// addSpans takes in an ExportTraceServiceRequest.
func (p *parts) addSpans(m *room, body []byte) (r refused, err error) {
	now := time.Now()
	list, err := p.groups(m, body, 2, now)
	if err != nil {
		return r, err
	}
	var head spanHead
	received := 0
	for _, g := range list {
		received += len(g.records)
		for _, raw := range g.records {
			if err := readSpanHead(raw, &head); err != nil {
				r.add(1, "a span "+dropInvalid)
				p.drops.add("spans", dropInvalid, 1)
				continue
			}
			rec := record{origin: g.origin, raw: raw, at: head.start, duration: head.duration(), trace: head.trace}
			if head.failed {
				rec.worst = 1
			}
			m.out, m.heads = append(m.out, rec), append(m.heads, head)
		}
	}
	p.counts[0].add(received, now)
	if !p.keep(spans, m.out, now) {
		return refused{count: int64(len(m.out)), reason: dropSlow, later: true}, nil
	}
	p.derive(m.out, m.heads, now)
	p.notices.add(Change{Spans: len(m.out)})
	return r, nil
}

// addLogs takes in an ExportLogsServiceRequest.
func (p *parts) addLogs(m *room, body []byte) (r refused, err error) {
	now := time.Now()
	list, err := p.groups(m, body, 2, now)
	if err != nil {
		return r, err
	}
	var head logHead
	received := 0
	for _, g := range list {
		received += len(g.records)
		for _, raw := range g.records {
			if err := readLogHead(raw, &head); err != nil {
				r.add(1, "a log record "+dropInvalid)
				p.drops.add("logs", dropInvalid, 1)
				continue
			}
			if head.time == 0 { // it came without one: now is when it was observed
				raw = appendFixed64(bytes.Clone(raw), 11, uint64(now.UnixNano()))
				head.time = now.UnixNano()
			}
			m.out = append(m.out, record{origin: g.origin, raw: raw, at: head.time, worst: head.severity, trace: head.trace})
			p.logSeen(g.origin, head.severity, now)
		}
	}
	p.counts[1].add(received, now)
	if !p.keep(logs, m.out, now) {
		return refused{count: int64(len(m.out)), reason: dropSlow, later: true}, nil
	}
	p.notices.add(Change{Logs: len(m.out)})
	return r, nil
}

// keep hands records to the store, and counts them when that takes none.
func (p *parts) keep(sig signal, list []record, now time.Time) bool {
	if len(list) == 0 || p.store.add(sig, list, now) {
		return true
	}
	reason := dropSlow
	if !p.store.isOpen() {
		reason = dropClosed
	}
	p.drops.add(sig.String(), reason, len(list))
	return false
}

// AddLogs takes in log lines. It does not wait for anything; lines that do not fit are counted as dropped.
func (c *Collector) AddLogs(lines ...Log) {
	p := c.of()
	now := time.Now()
	out := make([]record, 0, len(lines))
	for _, l := range lines {
		if l.Time.IsZero() {
			l.Time = now
		}
		if l.Severity == 0 {
			l.Severity = levelSeverity(l.Level)
		}
		var space [256]byte
		resource := space[:0]
		if l.Service != "" {
			resource = appendAttr(resource, 1, Attr{Key: "service.name", Value: l.Service})
		}
		if l.Instance != "" {
			resource = appendAttr(resource, 1, Attr{Key: "service.instance.id", Value: l.Instance})
		}
		for _, a := range l.Resource {
			resource = appendAttr(resource, 1, a)
		}
		o, err := p.origins.of(resource, []byte(l.Scope), now)
		if err != nil {
			p.drops.add("logs", dropInvalid, 1)
			continue
		}
		out = append(out, record{origin: o, raw: appendLog(nil, l), at: l.Time.UnixNano(), worst: int32(l.Severity), trace: parseID(l.TraceID)})
		p.logSeen(o, int32(l.Severity), now)
	}
	p.counts[1].add(len(lines), now)
	if p.keep(logs, out, now) {
		p.notices.add(Change{Logs: len(out)})
	}
}
