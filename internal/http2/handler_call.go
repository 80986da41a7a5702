package http2

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"runtime/debug"
	"slices"
	"sync/atomic"

	"github.com/hanse-go/hanse/internal/hpack"
	"github.com/hanse-go/hanse/internal/lazyctx"
)

// webCall is one request and its response. It is never used again: handlers may keep the request and its context.
type webCall struct {
	stream Stream
	web    *Web
	conn   *webConn
	ctx    lazyctx.Context

	header  Header  // of the request, but the lists of fields
	known   *webRun // the fields that it begins with
	rest    []hpack.Field
	started bool // the reader's: the request's header came

	abortErr atomic.Pointer[error]

	request  http.Request
	url      url.URL
	body     requestBody
	response responseWriter
}

var _ Job = (*webCall)(nil)

// OnHeaders gets the request, and then maybe its trailers.
func (c *webCall) OnHeaders(h *Header, end bool) {
	if c.started {
		c.body.trailers(slices.Concat(h.Run.Fields, h.Rest))
		c.ended()
		return
	}
	c.started = true
	c.header = *h
	c.header.Run, c.header.Rest = nil, nil
	c.known, c.rest = webRunOf(h.Run), slices.Clone(h.Rest)
	c.body.call, c.response.call = c, c
	length, err := contentLength(h)
	c.body.declared = length
	switch {
	case err != nil:
		c.malformed(err)
	case end:
		c.body.none = true
		c.ended()
	}
	if c.web.Workers == nil {
		go c.run()
	} else {
		c.conn.ready = append(c.conn.ready, c)
	}
}

// Run implements Job.
func (c *webCall) Run(*Worker) { c.run() }

// OnData gets a piece of the request's body.
func (c *webCall) OnData(p []byte, end bool) {
	if len(p) > 0 && !c.body.put(p) {
		c.malformed(fmt.Errorf("the request's body is longer than its Content-Length of %d", c.body.declared))
		return
	}
	if end {
		c.ended()
	}
}

// OnAbort tells that the client reset the stream, or is gone.
func (c *webCall) OnAbort(err error) {
	c.gone(err)
}

// ended is called when all of the request has come.
func (c *webCall) ended() {
	if missing := c.body.missing(); missing > 0 {
		c.malformed(fmt.Errorf("the request's body is %d bytes shorter than its Content-Length of %d", missing, c.body.declared))
		return
	}
	c.body.fail(io.EOF)
}

// malformed resets a stream whose request is not what its header says (RFC 9113 section 8.1.1).
func (c *webCall) malformed(err error) {
	c.stream.Reset(ProtocolError) // before the handler can answer
	c.gone(err)
}

// gone ends what the handler waits for when the stream is aborted.
func (c *webCall) gone(err error) {
	c.body.fail(err)
	c.abortErr.CompareAndSwap(nil, &err)
	c.ctx.End()
}

// aborted returns why the stream was aborted; nil: it was not.
func (c *webCall) aborted() error {
	if err := c.abortErr.Load(); err != nil {
		return *err
	}
	return nil
}

// run answers the request.
func (c *webCall) run() {
	defer c.web.end(c.conn)
	returned := false
	defer func() {
		c.ctx.End()
		if !returned { // a panic, or runtime.Goexit
			c.abort(recover())
		}
		c.response.close()
		c.body.end()
		if form := c.request.MultipartForm; form != nil {
			if err := form.RemoveAll(); err != nil {
				c.web.logger().Warn("the files of a form could not be removed", "error", err)
			}
		}
		c.stream.Finish()
	}()
	if err := c.makeRequest(); err != nil {
		c.malformed(err)
	} else if c.awaitRoom(true) == nil && c.ctx.Err() == nil {
		r := &c.request
		c.handler(r).ServeHTTP(&c.response, r)
		c.response.end()
	}
	returned = true
}

// awaitRoom waits while as much waits for the client as the limits allow. See [Stream.AwaitRoom].
func (c *webCall) awaitRoom(begin bool) error {
	if !c.conn.conn.Crowded() {
		return nil
	}
	return c.stream.AwaitRoom(c.ctx.Done(), begin)
}

// abort resets the stream of a handler that panicked, or ended its goroutine before it had answered.
func (c *webCall) abort(reason any) {
	if reason == nil && c.response.complete() {
		c.response.end()
		return
	}
	c.stream.Reset(InternalError)
	if err, ok := reason.(error); reason == nil || ok && errors.Is(err, http.ErrAbortHandler) {
		return
	}
	c.web.logger().Error("an HTTP handler panicked", "method", c.header.Method, "path", c.header.Path, "peer", c.conn.remote,
		"panic", fmt.Sprint(reason), "stack", string(debug.Stack()))
}

func (c *webCall) handler(r *http.Request) http.Handler {
	switch {
	case r.Method == http.MethodOptions && r.RequestURI == "*": // about the server, not about something on it
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.Header().Set("Content-Length", "0") })
	case c.web.Handler == nil:
		return http.NotFoundHandler()
	}
	return c.web.Handler
}
