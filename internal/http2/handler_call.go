package http2

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime/debug"
	"slices"
	"sync/atomic"

	"github.com/hanse-go/hanse/internal/hpack"
)

// webCall is one request and its response.
type webCall struct {
	stream Stream
	web    *Web
	conn   *webConn
	ctx    context.Context
	cancel context.CancelFunc

	header  Header // of the request, but the lists of fields
	lists   [2][]hpack.Field
	started bool // the reader's: the request's header came

	abortErr atomic.Pointer[error]

	request  *http.Request
	body     requestBody
	response responseWriter
}

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
	c.lists = [...][]hpack.Field{h.Run.Fields, slices.Clone(h.Rest)}
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
	go c.run()
}

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
	c.cancel()
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
		c.cancel()
		if !returned { // a panic, or runtime.Goexit
			c.abort(recover())
		}
		c.response.close()
		c.body.end()
		if r := c.request; r != nil && r.MultipartForm != nil {
			if err := r.MultipartForm.RemoveAll(); err != nil {
				c.web.logger().Warn("the files of a form could not be removed", "error", err)
			}
		}
		c.stream.Finish()
	}()
	r, err := c.newRequest()
	if err != nil {
		c.malformed(err)
	} else if c.stream.AwaitRoom(c.ctx.Done(), true) == nil && c.ctx.Err() == nil {
		c.request = r
		c.handler(r).ServeHTTP(&c.response, r)
		c.response.end()
	}
	returned = true
}

// abort resets the stream of a handler that panicked.
func (c *webCall) abort(reason any) {
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

// fields calls f with every field of the request that is not a pseudo-header.
func (c *webCall) fields(f func(hpack.Field)) {
	for _, list := range c.lists {
		for _, field := range list {
			if field.Name[0] != ':' {
				f(field)
			}
		}
	}
}
