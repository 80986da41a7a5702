package collector

import (
	"math"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// point is a data point of any kind.
type point struct {
	attrs      [][]byte // raw KeyValues
	raw        []byte   // the same in one
	start      int64
	time       int64
	value      float64
	count      float64
	sum        float64
	hist       hist
	bounds     []float64
	counts     []uint64
	exemplars  []Exemplar
	none       bool // the flag that there is no value
	scale      int32
	offset     int32 // of counts
	zero       uint64
	cumulative bool
}

// addPoints takes in an ExportMetricsServiceRequest.
func (p *parts) addPoints(m *room, body []byte) (r refused, err error) {
	now := time.Now()
	list, err := p.groups(m, body, 2, now)
	if err != nil {
		return r, err
	}
	n := p.numbers
	n.mu.Lock()
	defer n.mu.Unlock()
	received := 0
	for _, g := range list {
		for _, raw := range g.records {
			points, dropped, reason, err := n.addMetric(g.origin, raw, now)
			received += points
			if err != nil {
				dropped, reason = 1, dropInvalid
			}
			if dropped > 0 {
				r.add(dropped, reason)
				p.drops.add("points", reason, dropped)
			}
		}
	}
	n.upkeep(now.Unix())
	p.counts[2].add(received, now)
	p.notices.add(Change{Points: received})
	return r, nil
}

// addMetric takes in one Metric. Held.
func (n *numbers) addMetric(o *origin, raw []byte, now time.Time) (points, dropped int, reason string, err error) {
	info := MetricInfo{Kind: gaugeKind}
	var data []byte
	var kind protowire.Number
	f := fields{rest: raw}
	for f.next() {
		switch {
		case f.message(1):
			info.Name = string(f.data)
		case f.message(2):
			info.Description = string(f.data)
		case f.message(3):
			info.Unit = string(f.data)
		case f.message(5), f.message(7), f.message(9), f.message(10), f.message(11):
			kind, data = f.num, f.data
		}
	}
	if f.err != nil {
		return 0, 0, "", f.err
	}
	if info.Name == "" || kind == 0 {
		return 0, 1, dropInvalid, nil
	}
	temporality, monotonic := uint64(0), false
	var list [][]byte
	d := fields{rest: data}
	for d.next() {
		switch {
		case d.message(1):
			list = append(list, d.data)
		case d.num == 2 && d.typ == protowire.VarintType:
			temporality = d.val
		case d.num == 3 && d.typ == protowire.VarintType:
			monotonic = d.val != 0
		}
	}
	if d.err != nil {
		return 0, 0, "", d.err
	}
	switch {
	case kind == 7 && monotonic:
		info.Kind = counterKind
	case kind == 7:
		info.Kind = updownKind
	case kind == 9, kind == 10:
		info.Kind = histogramKind
	case kind == 11: // quantiles of one instance: they cannot be merged; count and sum can
		info.Kind = histogramKind
		temporality = 2
	}
	m := n.metricOf(info, false)
	if m.Kind != info.Kind {
		return len(list), len(list), "the metric " + info.Name + " is of another kind elsewhere", nil
	}
	var scratch [512]byte
	for _, raw := range list {
		points++
		pt, err := readPoint(raw, kind)
		if err != nil {
			return points, dropped + 1, dropInvalid, nil
		}
		if pt.none {
			continue
		}
		pt.cumulative = temporality == 2
		key := append(append(append(append(append(scratch[:0], info.Name...), 0), o.service...), 0), o.instance...)
		key = append(append(key, 0), pt.raw...)
		s := n.byText[string(key)]
		if s == nil {
			if s = n.seriesOf(m, pointLabels(o, pt.attrs), now.Unix()); s == nil {
				dropped++
				reason = dropSeries
				continue
			}
			n.byText[string(key)] = s
		}
		n.addPoint(s, &pt, now)
	}
	return points, dropped, reason, nil
}

// pointLabels returns the labels of a point.
func pointLabels(o *origin, attrs [][]byte) []label {
	list := []label{{"service.name", o.service}}
	if o.instance != "" {
		list = append(list, label{"service.instance.id", o.instance})
	}
	for _, raw := range attrs {
		if a, err := readAttr(raw); err == nil && len(list) < mostLabels {
			list = append(list, label{a.Key, valueText(a.Value)})
		}
	}
	return list
}

// readPoint reads a data point of a gauge or sum (5, 7), a histogram (9), an exponential histogram (10) or a summary (11).
func readPoint(raw []byte, kind protowire.Number) (p point, err error) {
	var number struct{ attrs, flags, exemplars protowire.Number }
	switch kind {
	case 5, 7:
		number.attrs, number.flags, number.exemplars = 7, 8, 5
	case 9:
		number.attrs, number.flags, number.exemplars = 9, 10, 8
	case 10:
		number.attrs, number.flags, number.exemplars = 1, 10, 11
	case 11:
		number.attrs, number.flags = 7, 8
	}
	f := fields{rest: raw}
	for f.next() {
		switch {
		case f.num == number.attrs && f.typ == protowire.BytesType:
			p.attrs = append(p.attrs, f.data)
			p.raw = append(p.raw, f.data...)
		case f.num == number.flags && f.typ == protowire.VarintType:
			p.none = f.val&1 != 0
		case f.num == number.exemplars && f.typ == protowire.BytesType:
			if e := readExemplar(f.data); e.TraceID != "" {
				p.exemplars = append(p.exemplars, e)
			}
		case f.num == 2 && f.typ == protowire.Fixed64Type:
			p.start = int64(f.val)
		case f.num == 3 && f.typ == protowire.Fixed64Type:
			p.time = int64(f.val)
		case kind <= 7 && f.num == 4 && f.typ == protowire.Fixed64Type:
			p.value = math.Float64frombits(f.val)
		case kind <= 7 && f.num == 6 && f.typ == protowire.Fixed64Type:
			p.value = float64(int64(f.val))
		case kind > 7 && f.num == 4 && f.typ == protowire.Fixed64Type:
			p.count = float64(f.val)
		case kind > 7 && f.num == 5 && f.typ == protowire.Fixed64Type:
			p.sum = math.Float64frombits(f.val)
		case kind == 9 && f.num == 6:
			p.counts, err = appendFixed(p.counts, &f)
		case kind == 9 && f.num == 7:
			var bits []uint64
			bits, err = appendFixed(nil, &f)
			for _, b := range bits {
				p.bounds = append(p.bounds, math.Float64frombits(b))
			}
		case kind == 10 && f.num == 6 && f.typ == protowire.VarintType:
			p.scale = int32(protowire.DecodeZigZag(f.val))
		case kind == 10 && f.num == 7 && f.typ == protowire.Fixed64Type:
			p.zero = f.val
		case kind == 10 && f.message(8):
			err = p.readBuckets(f.data)
		case kind == 10 && f.message(9): // what is negative counts as nothing
			var negative point
			err = negative.readBuckets(f.data)
			for _, c := range negative.counts {
				p.zero += c
			}
		}
		if err != nil {
			return p, err
		}
	}
	switch kind {
	case 9:
		p.hist.addExplicit(p.bounds, p.counts)
	case 10:
		p.hist.addExponential(p.scale, p.offset, p.counts)
		p.hist.add(zeroBucket, p.zero)
	}
	if math.IsNaN(p.value) || math.IsInf(p.value, 0) {
		p.none = true
	}
	if math.IsNaN(p.sum) || math.IsInf(p.sum, 0) {
		p.sum = 0
	}
	return p, f.err
}

func (p *point) readBuckets(b []byte) error {
	f := fields{rest: b}
	for f.next() {
		switch {
		case f.num == 1 && f.typ == protowire.VarintType:
			p.offset = int32(protowire.DecodeZigZag(f.val))
		case f.num == 2 && f.typ == protowire.VarintType:
			p.counts = append(p.counts, f.val)
		case f.message(2):
			for data := f.data; len(data) > 0; {
				v, n := protowire.ConsumeVarint(data)
				if n < 0 || len(p.counts) >= mostBuckets {
					return errWire
				}
				p.counts, data = append(p.counts, v), data[n:]
			}
		}
	}
	return f.err
}

// mostBuckets is how many buckets a histogram may have.
const mostBuckets = 2000

// appendFixed appends a repeated fixed64 or double, packed or not.
func appendFixed(list []uint64, f *fields) ([]uint64, error) {
	if f.typ == protowire.Fixed64Type {
		return append(list, f.val), nil
	}
	for data := f.data; len(data) > 0; {
		v, n := protowire.ConsumeFixed64(data)
		if n < 0 || len(list) >= mostBuckets {
			return nil, errWire
		}
		list, data = append(list, v), data[n:]
	}
	return list, nil
}

func readExemplar(b []byte) (e Exemplar) {
	f := fields{rest: b}
	for f.next() {
		switch {
		case f.num == 2 && f.typ == protowire.Fixed64Type:
			e.Time = time.Unix(0, int64(f.val)).UTC()
		case f.num == 3 && f.typ == protowire.Fixed64Type:
			e.Value = math.Float64frombits(f.val)
		case f.num == 6 && f.typ == protowire.Fixed64Type:
			e.Value = float64(int64(f.val))
		case f.message(4):
			e.SpanID = hexID(f.data)
		case f.message(5):
			e.TraceID = hexID(f.data)
		}
	}
	if math.IsNaN(e.Value) || math.IsInf(e.Value, 0) {
		e.TraceID = ""
	}
	return e
}

// addPoint adds a point to its series: what has changed since the one before. Held.
func (n *numbers) addPoint(s *series, p *point, now time.Time) {
	if s.flow != nil && s.flow.opens {
		n.run(p.exemplars, now.Unix())
	} else {
		for _, e := range p.exemplars {
			s.addExemplar(e)
		}
	}
	at := p.time
	if at == 0 {
		at = now.UnixNano()
	}
	if s.flow != nil && !s.metric.hidden {
		n.cover(s.flow, now.Unix())
	}
	if s.messages != nil && p.sum > p.count {
		n.several.add(s.messages.method)
	}
	switch s.metric.Kind {
	case gaugeKind:
		n.put(s, 0, at, 1, p.value, nil, now.Unix())
		return
	case updownKind:
		if gap := now.Unix() - s.last; gap > 0 {
			s.between = gap
		}
		if !p.cumulative { // the value is the sum of all that was told
			s.told += p.value
			p.value = s.told
		}
		n.put(s, 0, at, 1, p.value, nil, now.Unix())
		return
	case counterKind:
		p.count, p.sum = 1, p.value
	}
	if !p.cumulative {
		n.put(s, p.start, at, p.count, p.sum, p.hist, now.Unix())
		return
	}
	from, count, sum, h, ok := s.grown(p, at, now.UnixNano())
	switch {
	case !ok:
	case s.metric.Kind == histogramKind && count == 0:
		s.last = now.Unix()
	default:
		n.put(s, from, at, count, sum, h, now.Unix())
	}
}
