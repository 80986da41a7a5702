package rpc

import (
	"strings"
	"sync"
	"time"

	"github.com/hanse-go/hanse/internal/grpctext"
	"github.com/hanse-go/hanse/internal/hpack"
	"github.com/hanse-go/hanse/internal/http2"
	"github.com/hanse-go/hanse/resilience"
	"github.com/hanse-go/hanse/rpc/internal/wire"
	"github.com/hanse-go/hanse/telemetry"
	"google.golang.org/grpc/metadata"
)

// wireRequest is the header of a call as it came from a wire. Few handlers look at it, so it stays as it is until one does.
type wireRequest struct {
	known *knownRun    // what it begins with
	more  *requestMore // what follows that; nil: nothing that matters
}

// requestMore is what many calls do not have.
type requestMore struct {
	host                    string // the authority, where it came as a host header
	traceParent, traceState string // "": none
	baggage                 string // where it is heeded

	keys   []string
	values []string
}

// requestRoom is memory for that, as a part of the object of the call. Metadata that does not fit takes memory of its own.
type requestRoom struct {
	more         requestMore
	keys, values [5]string
}

// newWireRequest keeps of h what handlers see of it. The room may be nil.
func newWireRequest(h *http2.Header, known *knownRun, head *callHead, room *requestRoom) wireRequest {
	if !head.more() {
		return wireRequest{known: known}
	}
	var r *requestMore
	if room != nil {
		r = &room.more
		r.keys, r.values = room.keys[:0], room.values[:0]
	} else {
		r = new(requestMore)
	}
	r.traceParent, r.traceState = head.traceParent, head.traceState
	if h.Authority == "" {
		r.host = head.host
	}
	if !head.extra {
		return wireRequest{known, r}
	}
	for i := range h.Rest { // the reader's memory
		if f := &h.Rest[i]; !hiddenField(f.Name) && f.Name != telemetry.TraceParentKey && f.Name != telemetry.TraceStateKey {
			r.keys, r.values = append(r.keys, f.Name), append(r.values, f.Value)
		}
	}
	return wireRequest{known, r}
}

// metadata is what the handler sees of it. It must not be changed, because calls share it: grpc's accessors hand out copies.
func (r *wireRequest) metadata() metadata.MD {
	shared, pairs := r.known.metadata()
	more := r.more
	if more == nil || len(more.keys) == 0 && more.host == "" && more.traceParent == "" && more.traceState == "" {
		return shared
	}
	md := make(metadata.MD, len(pairs)+len(more.keys)+2)
	for _, p := range pairs {
		md[p.key] = p.values
	}
	for i, key := range more.keys {
		addValue(md, key, more.values[i:])
	}
	if more.traceParent != "" {
		md[telemetry.TraceParentKey] = []string{more.traceParent}
	}
	if more.traceState != "" {
		md[telemetry.TraceStateKey] = []string{more.traceState}
	}
	if more.host != "" {
		md[":authority"] = []string{more.host}
	}
	return md
}

// callHead is what the header of a call says to the protocol.
type callHead struct {
	contentType string
	subtype     string // of the content type
	grpc        bool   // the content type is gRPC's
	encoding    string
	timeout     time.Duration // if timed
	timed       bool
	badTimeout  error
	host        string
	traceParent string
	traceState  string
	baggage     string
	priority    resilience.Priority
	instances   []string // the instances that are meant; none: any
	keyed       bool     // there is an idempotency key
	extra       bool     // there is metadata for the handler, beyond what this type has
	binary      bool     // there are values to be checked
}

// more reports whether there is something of which requestMore tells.
func (h *callHead) more() bool {
	return h.extra || h.traceParent != "" || h.traceState != "" || h.host != ""
}

func (h *callHead) read(fields []hpack.Field) {
	for i := range fields {
		f := &fields[i]
		switch f.Name {
		case "content-type":
			h.contentType = f.Value
			h.subtype, h.grpc = grpcContent(f.Value)
			h.extra = true
		case "grpc-timeout":
			h.timeout, h.badTimeout = grpctext.ParseTimeout(f.Value)
			h.timed = h.badTimeout == nil
		case "grpc-encoding":
			h.encoding = f.Value
		case "host":
			h.host = f.Value
		case telemetry.TraceParentKey:
			h.traceParent = f.Value
		case telemetry.TraceStateKey:
			if h.traceState != "" { // a list may come in parts
				h.traceState += ","
			}
			h.traceState += f.Value
		case telemetry.BaggageKey:
			if h.baggage != "" {
				h.baggage += ","
			}
			h.baggage += f.Value
			h.extra = true
		case resilience.IdempotencyKey:
			h.keyed, h.extra = true, true
		case resilience.PriorityKey:
			h.priority, _ = resilience.ParsePriority(f.Value)
			h.extra = true
		case wire.InstanceKey:
			h.instances = append(h.instances[:len(h.instances):len(h.instances)], f.Value)
			h.extra = true
		case ":method", ":scheme", ":path", "te":
		default:
			h.extra = true
			h.binary = h.binary || strings.HasSuffix(f.Name, "-bin")
		}
	}
}

// knownRun is what was made of the fields with which many headers of a connection begin.
type knownRun struct {
	run   *hpack.Run
	head  callHead
	route *wireRoute // of the last call that began so; may be nil

	once  sync.Once
	md    metadata.MD // made when the first handler asks for it
	pairs []keyValues // the same, which is quicker to go through
}

type keyValues struct {
	key    string
	values []string
}

// metadata is what handlers see of the run's fields. It must not be changed. Unlike the rest of k, it is for any goroutine.
func (k *knownRun) metadata() (metadata.MD, []keyValues) {
	k.once.Do(func() {
		n := visible(k.run.Fields)
		k.md = make(metadata.MD, n)
		addFields(k.md, k.run.Fields, make([]string, 0, n))
		for key, values := range k.md {
			k.pairs = append(k.pairs, keyValues{key, values})
		}
	})
	return k.md, k.pairs
}

// headOf reads the header of a call. Its beginning was read before, as a rule, or all of it; else the head is made in room.
func headOf(h *http2.Header, room *callHead) (*knownRun, *callHead) {
	known, ok := h.Run.Data.(*knownRun)
	if !ok {
		known = &knownRun{run: h.Run}
		known.head.read(h.Run.Fields)
		known.head.extra = false // of the rest
		h.Run.Data = known
	}
	if len(h.Rest) == 0 {
		return known, &known.head
	}
	*room = known.head
	room.read(h.Rest)
	return known, room
}

// accepts lists what requests may be compressed with, for those that come with something else.
func accepts() string {
	if newCompression("gzip").compressor != nil {
		return "gzip"
	}
	return "identity"
}
