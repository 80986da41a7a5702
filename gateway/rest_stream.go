package gateway

import (
	"encoding/json"
	"net/http"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// linesTypes are the content types of JSON in lines, one message each: NDJSON, which is also called JSON Lines. The first is the usual one.
var linesTypes = []string{"application/x-ndjson", "application/jsonl", "application/ndjson"}

// eventsType is the content type of server-sent events, which a browser's EventSource reads.
const eventsType = "text/event-stream"

// keepAlive is how often a stream of events says something, so that proxies do not take it for dead.
const keepAlive = 15 * time.Second

// restStream is the exchange of an annotated method that answers with a stream: of JSON in lines, of server-sent events, or of the bytes of
// google.api.HttpBody.
type restStream struct {
	rest
	rc          *http.ResponseController
	contentType string // of a stream of bytes the first message says it
	success     int    // the status of HTTP
	buf         []byte

	mu    sync.Mutex // guards writing
	begun bool       // the header was written
	alive *time.Timer
}

func newRESTStream(r rest) *restStream {
	x := &restStream{rest: r, rc: http.NewResponseController(r.w), success: http.StatusOK}
	if x.raw() {
		return x
	}
	r.w.Header().Add("Vary", "Accept")
	if x.contentType = acceptable(r.r.Header, append(slices.Clone(linesTypes), eventsType)...); x.contentType == "" {
		x.contentType = linesTypes[0]
	}
	return x
}

func (x *restStream) raw() bool    { return x.route.response.shape == rawBody }
func (x *restStream) events() bool { return x.contentType == eventsType && !x.raw() }

func (x *restStream) sendHeader(md metadata.MD) error {
	x.setHeader(md)
	if x.raw() {
		return nil
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.writeHeader()
	return nil
}

// setHeader takes what the handler has set.
func (x *restStream) setHeader(md metadata.MD) {
	addHeaders(x.w.Header(), md, "")
	if code := successOf(md); hasBody(code) {
		x.success = code
	}
}

// writeHeader begins the response. The caller holds mu.
func (x *restStream) writeHeader() {
	x.begun = true
	h := x.w.Header()
	if x.incoming != nil && x.r.ProtoMajor == 1 { // the client may not have sent all yet
		x.rc.EnableFullDuplex()
		h["Connection"] = []string{"close"} // net/http panics when a next request finds a rest of this one
	}
	h["Content-Type"] = []string{x.contentType}
	h["X-Content-Type-Options"] = noSniff
	if x.events() {
		if h["Cache-Control"] == nil {
			h["Cache-Control"] = []string{"no-cache"}
		}
		x.alive = time.AfterFunc(keepAlive, x.stayAlive)
	}
	x.w.WriteHeader(x.success)
}

// stayAlive sends a comment.
func (x *restStream) stayAlive() {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.alive == nil { // it has ended
		return
	}
	x.w.Write([]byte(":\n\n"))
	x.rc.Flush()
	x.alive.Reset(keepAlive)
}

func (x *restStream) send(m proto.Message) error {
	data := x.buf[:0]
	if x.events() {
		data = append(data, "data: "...)
	}
	data, contentType, err := x.encode(data, m)
	if err != nil {
		return err
	}
	switch {
	case x.events():
		data = append(data, "\n\n"...)
	case !x.raw():
		data = append(data, '\n')
	}
	x.buf = data
	x.mu.Lock()
	defer x.mu.Unlock()
	if !x.begun {
		x.contentType = contentType
		x.writeHeader()
	}
	return x.write(data)
}

// write writes to the body. The caller holds mu.
func (x *restStream) write(data []byte) error {
	_, err := x.w.Write(data)
	return sendError(err)
}

func (x *restStream) flush() error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if !x.begun {
		return nil
	}
	return sendError(x.rc.Flush())
}

func (x *restStream) end(header, trailer metadata.MD, st *status.Status) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.alive != nil {
		x.alive.Stop()
		x.alive = nil
	}
	x.forget()
	h := x.w.Header()
	x.incoming.end(h)
	if len(header) > 0 { // it was not sent
		x.setHeader(header)
	}
	if !x.begun && st != nil {
		addHeaders(h, trailer, "Trailer-")
		setRetryAfter(h, trailer, st)
		x.h.writeFailure(x.w, x.r, st, x.code)
		return
	}
	if !x.begun {
		if x.contentType == "" {
			x.contentType = "application/octet-stream"
		}
		x.writeHeader()
		if x.alive != nil {
			x.alive.Stop()
		}
		if len(trailer) > 0 {
			x.rc.Flush() // else an empty body of HTTP/1 has a length, and no trailers
		}
	}
	addHeaders(h, trailer, http.TrailerPrefix)
	switch {
	case st != nil && x.raw():
		panic(http.ErrAbortHandler) // what the client has is not all
	case st != nil:
		x.write(x.failure(st))
	case x.events():
		x.write([]byte("event: end\ndata: {}\n\n")) // else a browser connects again
	}
}

// failure is what is sent last when the call failed while it was answered.
func (x *restStream) failure(st *status.Status) []byte {
	data, err := json.Marshal(x.h.newJSONError(st))
	if err != nil { // there is nothing in it that cannot be written
		data = []byte(`{"code":"internal"}`)
	}
	if x.events() {
		return append(append([]byte("event: error\ndata: "), data...), "\n\n"...)
	}
	return append(append([]byte(`{"error":`), data...), "}\n"...)
}
