package http2

import (
	"net"

	"github.com/hanse-go/hanse/internal/hpack"
)

const (
	initialWindow = 65_535    // of streams and connections before SETTINGS and WINDOW_UPDATE (RFC 9113 section 6.9.2)
	maxWindow     = 1<<31 - 1 // RFC 9113 section 6.9.1
)

// Stream is one stream of a connection. It is made to be a field of the object of a call, so that a call is one allocation; the zero
// value is ready for [Conn.Open] and [Handler]. Its methods are safe for concurrent use once the stream is open. A client's Stream may
// be used again for another call when the receiver got the end and none of its methods runs.
type Stream struct{ _ [8]uint64 }

// ID is the stream's number on its connection.
func (s *Stream) ID() uint32 { panic("not built") }

// Conn is the stream's connection.
func (s *Stream) Conn() *Conn { panic("not built") }

// Frames is what one Send puts on the wire, together and in this order. The Frames are not kept.
type Frames struct {
	Head      *hpack.Template // HEADERS; nil with an empty HeadMore: none
	HeadMore  []byte          // behind Head: literals made by [hpack.AppendLiteral]; copied
	Data      []byte          // DATA; copied, unless Release is set
	Release   func([]byte)    // if set, Data is kept, not copied, until Release(Data) is called, once, when it was written or dropped. Worth it from some 16 KiB on.
	Trail     *hpack.Template // trailers; need End
	TrailMore []byte
	End       bool // END_STREAM on the last of them; with none of them an empty DATA frame carries it
}

// Send puts f on the wire. It never blocks: what the peer's flow-control windows do not allow yet waits in the stream; see
// [Stream.Wait]. It returns ErrEnded after an End, the *StreamError or *ConnError that ended the stream, and a *StreamError with
// EnhanceYourCalm when a server would have to queue more than its limits allow; that resets the stream.
func (s *Stream) Send(f *Frames) error { panic("not built") }

// Wait waits until what was sent is no longer held back, by windows or by a slow connection. It returns the error that ended the
// stream, if one did, and ErrGaveUp when done is closed first. One goroutine may wait at a time.
func (s *Stream) Wait(done <-chan struct{}) error { panic("not built") }

// Consumed gives n bytes of what the receiver got back as flow control credit: it may be called at once, in OnData, if the bytes have
// been decoded or copied, or later by any goroutine. What was not given back when the stream is finished or reset, Finish and Reset
// give back.
func (s *Stream) Consumed(n int) { panic("not built") }

// Reset ends the stream in both directions by RST_STREAM, unless it has ended. What was queued is dropped. After it the receiver gets
// no more calls; one that runs meanwhile on another goroutine may still come to its end.
func (s *Stream) Reset(code ErrCode) { panic("not built") }

// Finish tells that the stream's user is done with it and will give no more credit. A server must call it when the handler has ended:
// until then the stream counts against MaxStreams. A stream whose sending side was not ended is reset with InternalError by it; one
// whose peer still sends is closed when the end has been sent. A client needs it only for streams whose credit it has not given back.
func (s *Stream) Finish() { panic("not built") }

// Conn is one connection. Its methods are safe for concurrent use.
type Conn struct{}

// NewServerConn returns the server's end of nc; the client's preface is still to be read. Call Serve.
func NewServerConn(nc net.Conn, cfg *Config, h Handler) *Conn { panic("not built") }

// Serve runs the connection until it has ended, and closes it. It returns nil when it ended in order: by Drain, or by a peer that went
// without leaving a stream.
func (c *Conn) Serve() error { panic("not built") }

// NewClientConn returns the client's end of nc, and runs it until it ends: its goroutines have ended when Done is closed. Streams may
// be opened at once; [ClientEvents].Ready tells that the peer does speak HTTP/2. On an error nc is closed.
func NewClientConn(nc net.Conn, cfg *Config, ev ClientEvents) (*Conn, error) { panic("not built") }

// Open opens s as a new stream with the frames that it begins with, the first of which must be a header. It waits while as many streams
// are open as the server allows, or MaxQueued bytes are queued. The receiver's calls may come before it returns. Errors: ErrDraining,
// ErrGaveUp when done is closed while it waits, and, matching [ErrNotProcessed], the *ConnError of a broken connection. After an error
// the receiver is not called, and s may be used again.
func (c *Conn) Open(done <-chan struct{}, s *Stream, r Receiver, f *Frames) error { panic("not built") }

// Drain ends the connection when its streams have ended, and returns at once. A server sends GOAWAY and serves what comes before the
// client has heard of it (RFC 9113 section 6.8); a client opens no more streams.
func (c *Conn) Drain() { panic("not built") }

// Close ends the connection now: the streams' receivers get a *ConnError with cause err (nil: net.ErrClosed) by OnAbort. It does not
// wait; see Done.
func (c *Conn) Close(err error) { panic("not built") }

// Done is closed when the connection has ended and its goroutines with it.
func (c *Conn) Done() <-chan struct{} { panic("not built") }

// Err is why the connection ended, as a *ConnError; nil before.
func (c *Conn) Err() error { panic("not built") }

// Open streams: those that count against the limit on concurrent streams.
func (c *Conn) Streams() int { panic("not built") }

// NetConn is the connection below.
func (c *Conn) NetConn() net.Conn { panic("not built") }
