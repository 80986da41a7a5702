package http2

import "github.com/hanse-go/hanse/internal/hpack"

// Receiver gets what the peer sends on one stream. Its methods are called by the connection's reader, one at a time and in order, and
// must not block: while they run, nothing else is read from the connection. They may call every method of the stream but Wait.
//
// After a call with end set, or OnAbort, no more calls come and the connection holds no pointer to the stream or the receiver.
type Receiver interface {
	// OnHeaders gets a header list. A server's first is the request's, called right after [Handler.NewStream]; the second is its
	// trailers. A client gets any number of 1xx headers, the response's, and its trailers. h is valid during the call only.
	OnHeaders(h *Header, end bool)

	// OnData gets bytes of the body, in pieces of any size. p is the reader's memory: it is valid during the call only. Each byte
	// is owed to the peer as flow control: see [Stream.Consumed]. p is empty only when end is set.
	OnData(p []byte, end bool)

	// OnAbort tells that the stream ended before its time: a *StreamError when it was reset by the peer, or by this end because of
	// what the peer sent; a *ConnError when the connection broke. The error matches [ErrNotProcessed] when it is certain that the
	// peer did not process the stream. It is not called after [Stream.Reset].
	OnAbort(err error)
}

// Placer may be implemented by a Receiver to take large bodies without a copy.
type Placer interface {
	// Place returns where up to n bytes of DATA are read to next, or nil for the reader's own memory. OnData then gets what was read
	// as a slice of it, which is the stream's user's to keep.
	Place(n int) []byte
}

// Handler is the user of a server's connections. Its methods are called by a connection's reader and must not block.
type Handler interface {
	// NewStream returns the object of a new call: the Stream embedded in it, and what receives. The stream is of no use until the
	// receiver's OnHeaders, which is called next with the same header. A nil stream refuses the request (REFUSED_STREAM).
	NewStream(c *Conn, h *Header, end bool) (*Stream, Receiver)

	// EndBatch is called when all that one read brought has been handled: work that was collected goes to workers now.
	EndBatch(c *Conn)
}

// ClientEvents is what a client's connection tells its user. The functions may be nil. They are called without locks, by the connection's
// goroutines or those that call its methods, and must not block.
type ClientEvents struct {
	Ready    func() // the server's first SETTINGS came: it speaks HTTP/2. Called once, by the reader.
	Draining func() // Open will fail from now on; the streams that are open go on. Called once at most, and not when the connection breaks.
	EndBatch func() // all that one read brought has been handled

	// Saturated is called when reading has kept one goroutine busy for the better part of a second, and again while it does: another
	// connection would help, if there is a processor for its reader. It must not block.
	Saturated func()
}

// Header is a list of header fields, checked as RFC 9113 sections 8.2 and 8.3 demand: pseudo-header fields are known, not repeated,
// complete and first, names are lower-case tokens, values have no control characters, and no field is specific to a connection. It is
// valid only while the call lasts that it was given to; its strings and Run may be kept.
type Header struct {
	Method, Scheme, Authority, Path, Protocol string // of a request; "" in trailers
	Status                                    int    // of a response; 0 in trailers

	// The fields are those of Run, then Rest; pseudo-header fields are among them, and come first. Fields that a client sends with
	// each call are usually in Run, of which blocks that begin alike share one: Run.Data is free to keep what was made of it (nil at first;
	// only the receivers' methods may touch it, for the reader calls them). A run without fields keeps nothing.
	Run  *hpack.Run
	Rest []hpack.Field

	has     uint8  // pseudo-header fields
	regular bool   // an ordinary field came
	wrong   string // what is wrong with the fields; "": nothing
}

// Get returns the value of the first field of this name, which is in lower case.
func (h *Header) Get(name string) (value string, ok bool) {
	for _, f := range h.Run.Fields {
		if f.Name == name {
			return f.Value, true
		}
	}
	for _, f := range h.Rest {
		if f.Name == name {
			return f.Value, true
		}
	}
	return "", false
}
