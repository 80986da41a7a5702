package collector

import (
	"bytes"
	"strings"
)

// streams says of methods, as package.Service/Method, whether they are streams: how long such a call takes is no latency. That a method is one
// is said by its contract, so what one program tells holds for all that serve or call it, and for what they told before.
//
// Programs with Hanse say it of each call; of one that they pass on without knowing its contract when they know. Others are known by more than one message in one direction, in events of spans or in numbers of messages for each call.
type streams map[string]bool

// streamsIn returns what is known of the methods of calls that were told of since a window began. Held.
func (n *numbers) streamsIn(w span) streams {
	known := make(streams)
	for _, m := range n.metrics {
		for _, s := range m.series {
			f := s.flow
			if f == nil || f.kind != KindRPC || f.opens || s.last < w.from {
				continue
			}
			if f.stream || n.several.has(f.method) {
				known[f.method] = true
			}
		}
	}
	return known
}

// streams returns what is known of the methods of all calls that were told of.
func (n *numbers) streams() streams {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.streamsIn(span{})
}

// span reports whether a span is a stream, by what it says or by its method.
func (s streams) span(h *spanHead) bool {
	if name := bytes.TrimPrefix(h.name, []byte("/")); h.code == switched || s[string(name)] || bytes.HasPrefix(name, []byte("Sent.")) && s[pluginMethod(string(name))] ||
		bytes.HasPrefix(name, []byte("Recv.")) && s[pluginMethod(string(name))] {
		return true
	}
	if !bytes.Contains(h.raw, []byte(streamKey)) { // nearly all
		return false
	}
	var attrs spanAttrs
	attrs.known = new(knownTexts)
	attrs.read(h.raw)
	return attrs.get(streamKey) == "true"
}

// has reports whether the calls of a flow are streams.
func (s streams) has(f *flow) bool {
	if f.kind != KindRPC {
		return f.stream
	}
	return s[f.method]
}

// methods are those that had more than one message in one direction.
type methods map[string]struct{}

const (
	mostMethods   = 4096
	longestMethod = 512 // bytes
)

func (m methods) add(method string) {
	if strings.Contains(method, "/") && len(method) <= longestMethod && len(m) < mostMethods {
		m[method] = struct{}{}
	}
}

func (m methods) has(method string) bool {
	_, ok := m[method]
	return ok
}

// messageMetrics are how many messages calls had, in one direction.
var messageMetrics = map[string]string{
	"rpc.server.requests_per_rpc":  serves,
	"rpc.server.responses_per_rpc": serves,
	"rpc.client.requests_per_rpc":  calls,
	"rpc.client.responses_per_rpc": calls,
}

// severalMessages reports whether a span tells of more than one message in one direction, which none but a stream has.
func severalMessages(span []byte) bool {
	sent, received := 0, 0
	for f := (fields{rest: span}); f.next(); {
		if !f.message(11) {
			continue
		}
		switch messageOf(f.data) {
		case "SENT":
			sent++
		case "RECEIVED":
			received++
		}
		if sent > 1 || received > 1 {
			return true
		}
	}
	return false
}

// messageOf returns the direction of the message that an event of a span is: SENT, RECEIVED, or "" for one that is none.
func messageOf(event []byte) string {
	name, direction := "", ""
	for f := (fields{rest: event}); f.next(); {
		switch {
		case f.message(2):
			switch string(f.data) {
			case "Outbound message": // of gRPC's own plugin
				return "SENT"
			case "Inbound message":
				return "RECEIVED"
			case "message", "rpc.message":
				name = "message"
			default:
				return ""
			}
		case f.message(3):
			a, err := readAttr(f.data)
			if err != nil || a.Key != "rpc.message.type" && a.Key != "message.type" {
				continue
			}
			if text, ok := a.Value.(string); ok {
				direction = strings.ToUpper(text)
			}
		}
	}
	if name == "" {
		return ""
	}
	return direction
}
