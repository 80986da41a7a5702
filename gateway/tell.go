package gateway

import (
	"net/http"

	"github.com/hanse-go/hanse/telemetry"
	"github.com/hanse-go/hanse/telemetry/webtrace"
)

// telling is a [Backend] whose services are told of requests.
type telling interface {
	TelemetryOf(method string) *telemetry.Service
}

// tell serves a request for a method with f, and tells the service that has it of the request, by its route. A call of the request belongs to that. Requests by
// Connect and gRPC-Web are calls and nothing else, so those are told as calls alone.
func (h *Handler) tell(w http.ResponseWriter, r *http.Request, method, route string, f http.HandlerFunc) {
	h.teller(method).Serve(route, w, r, f)
}

func (h *Handler) teller(method string) *webtrace.Teller {
	b, ok := h.Backend.(telling)
	if !ok {
		return nil
	}
	s := b.TelemetryOf(method)
	if s == nil {
		return nil
	}
	known, ok := h.tellers.Load(s)
	if !ok {
		known, _ = h.tellers.LoadOrStore(s, webtrace.New(s))
	}
	return known.(*webtrace.Teller)
}
