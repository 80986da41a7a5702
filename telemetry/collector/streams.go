package collector

import "strings"

// streams are the methods that are known to be streams, as package.Service/Method: how long such a call takes is no latency. That a method
// is a stream is said by its contract, so what one program tells of it holds for all that serve or call it, and for what they told before.
//
// Programs with Hanse say it of each call. Of others it is known when they tell of more than one message in one direction: by events of spans,
// as the semantic conventions and gRPC's own plugin have them, or by numbers of messages for each call. None of these need be there.
type streams map[string]struct{}

const (
	mostStreams   = 4096
	longestMethod = 512 // bytes
)

// learn notes that the calls of a flow are streams.
func (s streams) learn(f *flow) {
	if f.kind != KindRPC || !strings.Contains(f.method, "/") || len(f.method) > longestMethod || len(s) >= mostStreams {
		return
	}
	s[f.method] = struct{}{}
}

// has reports whether the calls of a flow are streams.
func (s streams) has(f *flow) bool {
	if f.stream || f.kind != KindRPC {
		return f.stream
	}
	_, ok := s[f.method]
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
