package collector

import (
	"strconv"
	"sync"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// derive counts the calls that spans tell of, where no metric does.
func (p *parts) derive(list []record, heads []spanHead, now time.Time) {
	n := p.numbers
	n.mu.Lock()
	defer n.mu.Unlock()
	n.attrs.known = &n.known
	for i := range list {
		if h := &heads[i]; h.kind >= kindServer && h.kind <= kindConsumer {
			p.deriveOne(list[i].origin, h, now)
		}
	}
	n.attrs = spanAttrs{} // what was sent is not held
	n.upkeep(now.Unix())
}

// spanAttrs are the attributes of which a flow is made. They are strings of the span's bytes until they are kept.
type spanAttrs struct {
	keys   [24][]byte
	values [24][]byte // AnyValues
	n      int
	known  *knownTexts
}

// read notes the attributes whose keys begin as those of flows do.
func (a *spanAttrs) read(raw []byte) {
	a.n = 0
	for f := (fields{rest: raw}); f.next(); {
		if !f.message(9) {
			continue
		}
		var key, value []byte
		for e := (fields{rest: f.data}); e.next(); {
			switch {
			case e.message(1):
				key = e.data
			case e.message(2):
				value = e.data
			}
		}
		if a.n < len(a.keys) && ofFlows(key) {
			a.keys[a.n], a.values[a.n] = key, value
			a.n++
		}
	}
}

func ofFlows(key []byte) bool {
	if len(key) < 7 {
		return false
	}
	switch string(key[:3]) {
	case "rpc", "han", "htt", "db.", "mes", "ser", "net", "pee", "err", "url":
		return true
	}
	return false
}

func (a *spanAttrs) get(key string) string {
	for i := range a.n {
		if string(a.keys[i]) != key {
			continue
		}
		f := fields{rest: a.values[i]}
		for f.next() {
			switch {
			case f.message(1):
				return a.known.of(f.data)
			case f.num == 2 && f.typ == protowire.VarintType:
				return strconv.FormatBool(f.val != 0)
			case f.num == 3 && f.typ == protowire.VarintType:
				return strconv.FormatInt(int64(f.val), 10)
			}
		}
	}
	return ""
}

// knownTexts makes strings of bytes, the same one each time: methods and names of services come in each span.
type knownTexts map[string]string

const (
	mostTexts   = 4096
	longestText = 100 // bytes; longer ones are hardly names
)

func (k *knownTexts) of(b []byte) string {
	if len(b) > longestText {
		return string(b)
	}
	s, ok := (*k)[string(b)]
	if !ok {
		if *k == nil || len(*k) >= mostTexts {
			*k = make(knownTexts)
		}
		s = string(b)
		(*k)[s] = s
	}
	return s
}

func (a *spanAttrs) has(prefix string) bool {
	for i := range a.n {
		if len(a.keys[i]) > len(prefix) && string(a.keys[i][:len(prefix)]) == prefix {
			return true
		}
	}
	return false
}

// deriveOne counts one span. Held.
func (p *parts) deriveOne(o *origin, h *spanHead, now time.Time) {
	n := p.numbers
	attrs := &n.attrs
	attrs.read(h.raw)
	f := flow{service: o.service, instance: o.instance, side: kindName(h.kind)}
	switch {
	case attrs.has("messaging."):
		f.kind = KindEvent
		if f.side == serves {
			f.side = consumes
		}
		if f.side == calls {
			if t := attrs.get("messaging.operation.type"); t != "" && t != "send" && t != "create" && t != "publish" {
				return
			}
			f.side = publish
		}
		if f.side == consumes && attrs.get("messaging.operation.type") == "receive" {
			return
		}
	case attrs.has("db."):
		f.kind = KindDB
	case attrs.has("rpc."):
		f.kind = KindRPC
	case attrs.has("http."):
		f.kind = KindHTTP
	case f.side == publish || f.side == consumes:
		f.kind = KindEvent
	default:
		f.kind = KindRPC
	}
	if f.kind == KindDB && f.side != calls || f.kind != KindEvent && (f.side == publish || f.side == consumes) {
		return
	}
	f.describe(attrs.get, n.known.of(h.name))
	if f.kind == KindRPC || f.kind == KindHTTP {
		p.joins.see(&f, h, now)
	}
	if f.kind == KindRPC && !f.stream && !n.several.has(f.method) && severalMessages(h.raw) {
		n.several.add(f.method)
	}
	if n.isCovered(f.cover(), now.Unix()) {
		return
	}
	f.judge(h.failed)
	if f.failed && (f.status == "" || f.status == "OK") {
		f.status = otherStatus
	}
	var space [512]byte
	key := space[:0]
	for _, part := range [...]string{spanMetric, f.service, f.instance, f.side, f.kind, f.method, f.peer, f.system, f.status} {
		key = append(append(key, part...), 0)
	}
	if f.failed {
		key = append(key, 1)
	}
	if f.stream {
		key = append(key, 2)
	}
	if f.within {
		key = append(key, 3)
	}
	s := n.byText[string(key)]
	if s == nil {
		labels := []label{{"service.name", f.service}, {"side", f.side}, {"kind", f.kind}, {"method", f.method}}
		for k, v := range map[string]string{"service.instance.id": f.instance, "peer": f.peer, "system": f.system, "status": f.status} {
			if v != "" {
				labels = append(labels, label{k, v})
			}
		}
		if f.failed {
			labels = append(labels, label{"failed", "true"})
		}
		if f.stream {
			labels = append(labels, label{"stream", "true"})
		}
		if f.within {
			labels = append(labels, label{"within", "true"})
		}
		m := n.metricOf(MetricInfo{Name: spanMetric, Kind: histogramKind, Unit: "s"}, true)
		if s = n.seriesOf(m, labels, now.Unix()); s == nil {
			p.drops.add("points", dropSeries, 1)
			return
		}
		n.byText[string(key)] = s
	}
	seconds := float64(h.duration()) / 1e9
	one := [1]bucket{{bucketOf(seconds), 1}}
	n.put(s, 0, h.end, 1, seconds, one[:], now.Unix())
	if len(s.exemplars) == 0 || h.end-s.exemplars[len(s.exemplars)-1].Time.UnixNano() > int64(time.Second) {
		s.addExemplar(Exemplar{Time: time.Unix(0, h.end).UTC(), Value: seconds, TraceID: hexID(h.trace), SpanID: hexID(h.span)})
	}
}

// joins finds out which service stands behind an address, by spans of calls whose other side sends spans, too: a client that knows only
// localhost:8080 is the parent of a server's span. It is safe for concurrent use.
type joins struct {
	mu      sync.Mutex
	clients map[[8]byte]joinEnd // span IDs of clients that do not know whom they call
	servers map[[8]byte]joinEnd // parents of servers' spans
	turn    int64               // second in which the maps began
	oldC    map[[8]byte]joinEnd
	oldS    map[[8]byte]joinEnd
	names   map[[2]string]string // service that calls and address: service that is called
}

type joinEnd struct{ service, peer string }

const (
	joinFor   = 15   // seconds that the one side waits for the other
	mostJoins = 8000 // of each side
	mostNames = 2000
)

func (j *joins) see(f *flow, h *spanHead, now time.Time) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if now.Unix()-j.turn > joinFor || len(j.clients) > mostJoins || len(j.servers) > mostJoins {
		j.oldC, j.oldS = j.clients, j.servers
		j.clients, j.servers, j.turn = make(map[[8]byte]joinEnd), make(map[[8]byte]joinEnd), now.Unix()
	}
	switch {
	case f.side == calls && isAddress(f.peer):
		id := [8]byte(h.span)
		if s, ok := j.find(id, j.servers, j.oldS); ok {
			j.name(f.service, f.peer, s.service)
			return
		}
		j.clients[id] = joinEnd{f.service, f.peer}
	case f.side == serves && len(h.parent) == 8:
		id := [8]byte(h.parent)
		if c, ok := j.find(id, j.clients, j.oldC); ok {
			j.name(c.service, c.peer, f.service)
			return
		}
		j.servers[id] = joinEnd{service: f.service}
	}
}

func (j *joins) find(id [8]byte, maps ...map[[8]byte]joinEnd) (joinEnd, bool) {
	for _, m := range maps {
		if e, ok := m[id]; ok {
			return e, true
		}
	}
	return joinEnd{}, false
}

func (j *joins) name(caller, peer, service string) {
	if caller == service {
		return
	}
	if j.names == nil || len(j.names) >= mostNames {
		j.names = make(map[[2]string]string)
	}
	j.names[[2]string{caller, peer}] = service
}

// resolve returns the service that a caller means by an address, or the address.
func (j *joins) resolve(caller, peer string) string {
	j.mu.Lock()
	defer j.mu.Unlock()
	if s, ok := j.names[[2]string{caller, peer}]; ok {
		return s
	}
	return peer
}

// logSeen counts a line of a service that is an error.
func (p *parts) logSeen(o *origin, severity int32, now time.Time) {
	if severity < 17 {
		return
	}
	n := p.numbers
	n.mu.Lock()
	defer n.mu.Unlock()
	m := n.metricOf(MetricInfo{Name: logMetric, Kind: counterKind}, true)
	if s := n.seriesOf(m, []label{{"service.name", o.service}}, now.Unix()); s != nil {
		n.put(s, 0, now.UnixNano(), 1, 1, nil, now.Unix())
	}
}

// logMetric is the hidden metric of lines that are errors.
const logMetric = "hanse.collector.log.errors"
