package http2

import (
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hanse-go/hanse/internal/hpack"
)

// Conn is one connection. Its methods are safe for concurrent use.
//
// Two goroutines run it. The reader ([Conn.Serve] on a server) reads and handles frames; it never waits for anything but the network's
// input. The flusher writes. Whoever sends appends to the output, under the lock, and wakes the flusher.
type Conn struct {
	nc       net.Conn
	vectored bool // nc writes several buffers with one system call
	client   bool
	cfg      Config // resolved
	handler  Handler
	events   ClientEvents
	start    time.Time

	streamCredit, connCredit int64 // from how much on credit is sent

	table   table
	open    atomic.Int32 // streams that count against the limit
	waiting atomic.Int32 // callers of Open that wait
	credit  atomic.Int64 // consumed, and not yet granted
	granted atomic.Int64 // how many bytes the peer was allowed on top of the window at the start
	earned  atomic.Int64 // frames that were written and bring calls forward, since the reader looked

	reader reader // only the reader touches it

	writing chan struct{} // of capacity 1: full while something is being written; taken before mu
	wrote   output        // what is being written; whoever filled writing has it
	parts   [][]byte      // its parts; likewise
	rest    net.Buffers   // what write has still to give to the network

	mu        sync.Mutex
	out       output
	signalled bool // the flusher is at work or was woken
	hurried   bool // a goroutine is about to write
	busy      bool // a write is going on
	wake      chan struct{}
	flushed   chan struct{} // closed when the flusher has ended
	done      chan struct{}
	err       *ConnError // why it ended
	broken    bool       // nothing is written any more
	written   bool       // nothing is being written any more
	closing   bool       // the flusher closes when all is written
	timer     *time.Timer

	enc         *hpack.Encoder
	nextID      uint32 // of the client's next stream
	writtenID   uint32 // streams from it on have not been given to the network yet; 0: nothing was
	greeting    int    // the length of what is sent first
	peerWindow  int32  // SETTINGS_INITIAL_WINDOW_SIZE of the peer
	peerFrame   int    // SETTINGS_MAX_FRAME_SIZE of the peer, within reason
	peerStreams uint32 // SETTINGS_MAX_CONCURRENT_STREAMS of the peer
	sendWindow  int64
	queued      atomic.Int64 // bytes that streams hold; changed with the lock held
	crowded     atomic.Int32 // callers of AwaitRoom that wait; likewise
	crowd       crowd
	ready       heldList
	starved     heldList // wait for the connection's window
	openers     []*opener
	resets      [256]uint32 // streams that this end reset last; the peer may not know yet
	resetAt     int

	draining drainState
	ending   atomic.Bool // draining, in either way: whoever ends the last stream says so
	goAway   *ConnError  // the peer's GOAWAY
	lastID   uint32      // of the last GOAWAY sent: streams above it are not processed
	clock    clock

	lastRead   atomic.Int64 // by the clock
	writeSince atomic.Int64 // since when the flusher is in a write; 0: it is not
	partial    atomic.Int64 // since when a part of a frame or header block has been there; 0: none is
	settled    atomic.Bool  // the peer's first SETTINGS came
}

// maxPeerFrame is how large DATA frames are at most that this end sends.
const maxPeerFrame = 128 << 10

func newConn(nc net.Conn, cfg *Config, client bool) *Conn {
	if cfg == nil {
		cfg = new(Config)
	}
	c := &Conn{
		nc:          nc,
		client:      client,
		cfg:         cfg.resolved(client),
		start:       time.Now(),
		wake:        make(chan struct{}, 1),
		flushed:     make(chan struct{}),
		writing:     make(chan struct{}, 1),
		done:        make(chan struct{}),
		enc:         hpack.NewEncoder(),
		nextID:      1,
		peerWindow:  initialWindow,
		peerFrame:   initialFrame,
		peerStreams: defaultStreams,
		sendWindow:  initialWindow,
	}
	if again, ok := nc.(interface{ Unread() (net.Conn, []byte) }); ok {
		c.nc, c.reader.unread = again.Unread()
	}
	switch c.nc.(type) {
	case *net.TCPConn, *net.UnixConn:
		c.vectored = true
	}
	c.streamCredit, c.connCredit = int64(c.cfg.StreamWindow)/2, int64(c.cfg.ConnWindow)/2
	c.reader.init(c)
	b := c.out.buf
	if client {
		b = append(b, preface...)
	}
	var settings []byte
	if client {
		settings = appendSetting(settings, settingEnablePush, 0)
		settings = appendSetting(settings, settingMaxFrameSize, maxFrame)
		c.reader.frameLimit = maxFrame
	} else if c.cfg.MaxStreams < maxStreamID {
		settings = appendSetting(settings, settingMaxConcurrentStreams, uint32(c.cfg.MaxStreams))
	}
	settings = appendSetting(settings, settingInitialWindowSize, uint32(c.cfg.StreamWindow))
	settings = appendSetting(settings, settingMaxHeaderListSize, uint32(c.cfg.MaxHeaderList))
	b = append(appendFrame(b, frameSettings, 0, 0, len(settings)), settings...)
	if more := c.cfg.ConnWindow - initialWindow; more > 0 {
		b = appendWindowUpdate(b, 0, uint32(more))
	}
	c.out.buf, c.greeting = b, len(b)
	c.clock.age = jitter(c.cfg.MaxAge)
	c.mu.Lock()
	c.timer = time.AfterFunc(noLimit, c.tick)
	c.signal()
	c.arm()
	c.mu.Unlock()
	return c
}

// NewServerConn returns the server's end of nc; the client's preface is still to be read. Call Serve. If nc has a method
// Unread() (net.Conn, []byte), that connection is used, and the bytes, which were read from it before, come first.
func NewServerConn(nc net.Conn, cfg *Config, h Handler) *Conn {
	c := newConn(nc, cfg, false)
	c.handler = h
	return c
}

// Serve runs the connection until it has ended, and closes it. It returns nil when it ended in order: by Drain, or by a peer that went
// without leaving a stream.
func (c *Conn) Serve() error {
	go c.flush()
	return c.run()
}

// NewClientConn returns the client's end of nc, and runs it until it ends: its goroutines have ended when Done is closed. Streams may
// be opened at once; [ClientEvents].Ready tells that the peer does speak HTTP/2.
func NewClientConn(nc net.Conn, cfg *Config, ev ClientEvents) *Conn {
	c := newConn(nc, cfg, true)
	c.events = ev
	go c.flush()
	go c.run()
	return c
}

// run is the reader.
func (c *Conn) run() error {
	err := c.end(c.reader.run())
	if err.Code == NoError && (err.Cause == nil || errors.Is(err.Cause, io.EOF)) {
		return nil
	}
	return err
}

// end is the last thing that the reader does.
func (c *Conn) end(cause error) *ConnError {
	c.mu.Lock()
	if c.err == nil {
		switch went, ok := cause.(*ConnError); {
		case ok:
			c.err = went
		case c.goAway != nil:
			c.err = &ConnError{Code: c.goAway.Code, Reason: c.goAway.Reason, Cause: cause}
		case c.draining == drainLast && c.open.Load() == 0:
			c.err = &ConnError{Local: true, Reason: "drained"}
		case !c.table.empty() && !errors.Is(cause, io.EOF):
			c.err = &ConnError{Code: InternalError, Reason: "reading", Cause: cause}
		case !c.table.empty():
			c.err = &ConnError{Code: InternalError, Reason: "reading", Cause: io.ErrUnexpectedEOF}
		default:
			c.err = &ConnError{Cause: cause}
		}
	}
	err := c.err
	c.broken = true
	c.signal()
	c.mu.Unlock()
	c.nc.Close()
	<-c.flushed

	c.mu.Lock()
	c.timer.Stop()
	c.refuseOpeners()
	c.written = true
	c.out.reset()
	c.mu.Unlock()
	c.abortAll(err)
	c.reader.tellEndBatch()
	close(c.done)
	return err
}

// abortAll aborts the streams of a connection that has ended, for which no new ones come.
func (c *Conn) abortAll(err *ConnError) {
	c.mu.Lock()
	streams := c.table.all()
	written := c.writtenID
	c.mu.Unlock()
	for _, s := range streams {
		var why error = err
		if c.client && s.id >= written {
			why = &notProcessed{err}
		}
		c.abort(s, why)
	}
}

// abort closes s and tells its receiver. Only the reader calls it.
func (c *Conn) abort(s *Stream, err error) {
	c.mu.Lock()
	recv := s.recv
	was := s.abortLocked(err) && s.state.Load()&finished == 0
	c.mu.Unlock()
	if was {
		recv.OnAbort(err)
	}
}

// fail ends the connection at once; the reader does the rest.
func (c *Conn) fail(err *ConnError) {
	c.mu.Lock()
	if c.err == nil {
		c.err = err
	}
	c.broken = true
	c.signal()
	c.mu.Unlock()
	c.nc.Close()
}

// Close ends the connection now: the streams' receivers get a *ConnError with cause err (nil: net.ErrClosed) by OnAbort. It does not
// wait; see Done.
func (c *Conn) Close(err error) {
	if err == nil {
		err = net.ErrClosed
	}
	c.fail(&ConnError{Local: true, Cause: err})
}

// Done is closed when the connection has ended and its goroutines with it.
func (c *Conn) Done() <-chan struct{} { return c.done }

// Err is why the connection ended, as a *ConnError; nil before.
func (c *Conn) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		return nil
	}
	return c.err
}

// Streams is how many streams are open: those that count against the limit on concurrent streams.
func (c *Conn) Streams() int { return int(c.open.Load()) }

// NetConn is the connection below.
func (c *Conn) NetConn() net.Conn { return c.nc }

// ReadAt is when the reader has read what it handles now. Only what the reader calls may ask, for whom it is the present, without a look
// at the clock.
func (c *Conn) ReadAt() time.Time { return c.reader.at }

// now is the connection's clock, in nanoseconds.
func (c *Conn) now() int64 { return int64(time.Since(c.start)) }
