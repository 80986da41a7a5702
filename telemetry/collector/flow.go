package collector

import (
	"cmp"
	"strings"
)

// Sides of a flow.
const (
	serves   = "server"
	calls    = "client"
	publish  = "producer"
	consumes = "consumer"
)

// flow is what a series counts, when it counts calls: whose, to whom, and how they ended.
type flow struct {
	service, instance string
	side              string // server, client, producer, consumer
	kind              string // rpc, http, event, db
	method            string
	peer              string // of a client the called service, address or database; of an event the topic
	system            string // postgresql, nats
	status            string
	failed            bool    // by a fault of the server, see judge
	refused           bool    // the caller asked for what it cannot have
	stream            bool    // how long it takes is no latency
	within            bool    // the request became calls, which are counted too: in sums only those count
	opens             bool    // the series is how many streams are open, and counts no calls
	spans             bool    // counted from spans
	scale             float64 // makes seconds of a value
}

// coverKey is a side of a service whose calls may be counted from metrics or from spans.
type coverKey struct{ service, side, kind string }

func (f *flow) cover() coverKey { return coverKey{f.service, f.side, f.kind} }

// coverFor is how many seconds after its last point a metric counts, and spans do not.
const coverFor = 150

// cover notes that a metric tells of that side of the service. Held.
func (n *numbers) cover(f *flow, now int64) { n.covered[f.cover()] = now }

// isCovered reports whether a metric tells of it. Held.
func (n *numbers) isCovered(k coverKey, now int64) bool {
	at, ok := n.covered[k]
	return ok && now-at < coverFor
}

// spanMetric is the hidden metric that is made of spans.
const spanMetric = "hanse.collector.span.duration"

// flowMetrics are the metrics of the semantic conventions that count calls, with older names of theirs.
var flowMetrics = map[string]struct{ side, kind string }{
	"rpc.server.call.duration":            {serves, KindRPC},
	"rpc.client.call.duration":            {calls, KindRPC},
	"rpc.server.duration":                 {serves, KindRPC},
	"rpc.client.duration":                 {calls, KindRPC},
	"http.server.request.duration":        {serves, KindHTTP},
	"http.client.request.duration":        {calls, KindHTTP},
	"http.server.duration":                {serves, KindHTTP},
	"http.client.duration":                {calls, KindHTTP},
	"db.client.operation.duration":        {calls, KindDB},
	"messaging.client.operation.duration": {publish, KindEvent},
	"messaging.publish.duration":          {publish, KindEvent},
	"messaging.process.duration":          {consumes, KindEvent},
}

// openMetrics are how many streams have not ended, on each side.
var openMetrics = map[string]string{"hanse.rpc.server.open_streams": serves, "hanse.rpc.client.open_streams": calls}

// streamKey is the attribute of streams, as package telemetry has it.
const streamKey = "hanse.rpc.stream"

// callsKey is the attribute of requests that became calls, as package telemetry/webtrace has it.
const callsKey = "hanse.http.calls"

// flowOf returns what a series counts; nil when that is no calls.
func flowOf(m *metric, labels []label) *flow {
	get := func(keys ...string) string {
		for _, key := range keys {
			for i := range labels {
				if labels[i].key == key && labels[i].value != "" {
					return labels[i].value
				}
			}
		}
		return ""
	}
	f := &flow{service: get("service.name"), instance: get("service.instance.id"), scale: 1}
	if m.Name == spanMetric {
		f.side, f.kind, f.method, f.peer = get("side"), get("kind"), get("method"), get("peer")
		f.system, f.status, f.stream, f.within, f.spans = get("system"), get("status"), get("stream") != "", get("within") != "", true
		f.judge(get("failed") != "")
		return f
	}
	known, ok := flowMetrics[m.Name]
	switch side := openMetrics[m.Name]; {
	case side != "" && m.Kind == updownKind:
		f.side, f.kind, f.opens = side, KindRPC, true
	case ok && m.Kind == histogramKind:
		f.side, f.kind = known.side, known.kind
	default:
		return nil
	}
	if m.Unit == "ms" {
		f.scale = 1e-3
	}
	f.describe(byKey(labels), "")
	if f.kind == KindEvent && f.side == publish {
		switch op := get("messaging.operation.type", "messaging.operation.name"); op {
		case "", "send", "publish", "create":
		case "process":
			f.side = consumes
		default: // receiving and settling is not handling
			return nil
		}
	}
	f.judge(get("error.type") != "")
	return f
}

// messagesOf returns whose messages a series counts; nil when it counts none.
func messagesOf(m *metric, labels []label) *flow {
	side, ok := messageMetrics[m.Name]
	if !ok || m.Kind != histogramKind {
		return nil
	}
	f := &flow{side: side, kind: KindRPC}
	f.describe(byKey(labels), "")
	return f
}

// byKey returns what finds the value of a label; "" is for none.
func byKey(labels []label) func(key string) string {
	values := make(map[string]string, len(labels))
	for _, l := range labels {
		values[l.key] = l.value
	}
	return func(key string) string { return values[key] }
}

// describe takes method, peer and status from attributes, as get returns them. name is what stands for a method without one.
func (f *flow) describe(get func(string) string, name string) {
	switch f.kind {
	case KindRPC:
		f.method = get("rpc.method")
		if s := get("rpc.service"); s != "" && !strings.Contains(f.method, "/") {
			f.method = s + "/" + f.method
		}
		f.stream = get(streamKey) == "true"
		f.status = grpcStatus(cmp.Or(get("rpc.response.status_code"), get("rpc.grpc.status_code"), get("rpc.connect_rpc.error_code")))
	case KindHTTP:
		f.method = cmp.Or(get("http.request.method"), get("http.method"))
		if route := cmp.Or(get("http.route"), get("url.template")); route != "" {
			f.method += " " + route
		}
		f.status = cmp.Or(get("http.response.status_code"), get("http.status_code"))
		f.stream = f.status == switched || get(streamKey) == "true"
		f.within = get(callsKey) == "true"
	case KindDB:
		f.system = cmp.Or(get("db.system.name"), get("db.system"))
		f.method = cmp.Or(get("db.query.summary"), get("db.operation.name"), get("db.operation"), name)
		f.peer = cmp.Or(get("db.namespace"), get("db.name"), f.system)
		f.status = cmp.Or(get("db.response.status_code"), get("error.type"))
		return
	case KindEvent:
		f.system = get("messaging.system")
		f.peer = cmp.Or(get("messaging.destination.template"), get("messaging.destination.name"), get("messaging.destination"), f.system)
		f.method = f.peer
		f.status = get("error.type")
		return
	}
	f.method = cmp.Or(f.method, pluginMethod(name), name)
	if f.side == calls {
		f.peer = cmp.Or(get("peer.service"), get("service.peer.name"), get("server.address"), get("net.peer.name"))
		if port := cmp.Or(get("server.port"), get("net.peer.port")); port != "" && get("peer.service") == "" && get("service.peer.name") == "" && isAddress(f.peer) {
			f.peer += ":" + port
		}
	}
}

// pluginMethod returns the method that gRPC's own plugin names a span after, as Recv.package.Service.Method; "" is for other names.
func pluginMethod(name string) string {
	method, ok := strings.CutPrefix(name, "Recv.")
	if !ok {
		if method, ok = strings.CutPrefix(name, "Sent."); !ok {
			return ""
		}
	}
	i := strings.LastIndexByte(method, '.')
	if i < 0 {
		return ""
	}
	return method[:i] + "/" + method[i+1:]
}

// switched is the status of requests after which the connection speaks something else, such as WebSocket.
const switched = "101"

// taken reports whether the flow is what its service was asked for, each request once.
func (f *flow) taken() bool {
	return (f.side == serves || f.side == consumes) && !f.within && !f.tooling()
}

// tooling reports whether the calls ask about a service, and not for what it does: health, reflection and the like, by gRPC's own contracts.
// They are methods among the others on the page of a service, and nothing else: no edge, no part of a sum, no problem.
func (f *flow) tooling() bool {
	if f.kind != KindRPC || !strings.HasPrefix(f.method, "grpc.") {
		return false
	}
	for _, contract := range [...]string{"grpc.reflection.", "grpc.health.", "grpc.channelz."} {
		if strings.HasPrefix(f.method, contract) {
			return true
		}
	}
	return false
}

// isAddress reports whether a name is that of a machine, not of a service.
func isAddress(name string) bool {
	return name == "localhost" || strings.ContainsAny(name, ".:") || name == ""
}

// judge says how the calls of the flow ended, where told is whether the program says that they failed.
func (f *flow) judge(told bool) { f.failed, f.refused = judge(f.kind, f.status, told) }

// otherStatus is that of calls made of spans that failed and have none.
const otherStatus = "ERROR"
