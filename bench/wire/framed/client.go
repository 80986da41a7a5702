package framed

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
)

// Client makes calls over one connection. It is safe for concurrent use.
type Client struct {
	out   *flusher
	ended sync.WaitGroup

	// Guarded by out.mu.
	calls []*call  // by number; nil: the number is free
	free  []uint32 // numbers
}

// call is one call in flight. Whoever takes it out of the active state, its reader or its caller, decides how it ends.
type call struct {
	reply any
	done  chan error // capacity 1
	state atomic.Int32
}

const (
	active int32 = iota
	answered
	abandoned
)

var calls = sync.Pool{New: func() any { return &call{done: make(chan error, 1)} }}

// NewClient starts a client on a connection.
func NewClient(conn net.Conn, codec Codec) *Client {
	c := &Client{out: newFlusher(conn, codec)}
	c.ended.Go(c.out.run)
	c.ended.Go(func() {
		err := readFrames(conn, c.answer, func() {})
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		c.fail(err)
	})
	return c
}

// Call sends a request and decodes the answer into reply. It returns when ctx ends; reply is then not written to.
func (c *Client) Call(ctx context.Context, request, reply any) error {
	size := c.out.codec.Size(request)
	encoded, err := c.out.encodeLarge(request, size)
	if err != nil {
		return err
	}
	k := calls.Get().(*call)
	k.reply = reply
	k.state.Store(active)

	c.out.mu.Lock()
	var id uint32
	if n := len(c.free); n > 0 {
		id = c.free[n-1]
		c.free = c.free[:n-1]
		c.calls[id] = k
	} else {
		id = uint32(len(c.calls))
		c.calls = append(c.calls, k)
	}
	if err := c.out.add(id, request, size, encoded); err != nil {
		c.calls[id] = nil
		c.free = append(c.free, id)
		c.out.mu.Unlock()
		return err
	}
	c.out.mu.Unlock()

	select {
	case err = <-k.done:
	case <-ctx.Done():
		if k.state.CompareAndSwap(active, abandoned) {
			return ctx.Err() // its number stays taken until the answer comes, and it is not used again
		}
		err = <-k.done
	}
	k.reply = nil
	calls.Put(k)
	return err
}

// answer hands a reply to its caller.
func (c *Client) answer(id uint32, message []byte) error {
	c.out.mu.Lock()
	if int(id) >= len(c.calls) || c.calls[id] == nil {
		c.out.mu.Unlock()
		return errors.New("framed: an answer to no call")
	}
	k := c.calls[id]
	c.calls[id] = nil
	c.free = append(c.free, id)
	c.out.mu.Unlock()
	if k.state.CompareAndSwap(active, answered) {
		k.done <- c.out.codec.Decode(message, k.reply)
	}
	return nil
}

// fail ends all calls.
func (c *Client) fail(err error) {
	c.out.end(err)
	c.out.mu.Lock()
	waiting := c.calls
	c.calls, c.free = nil, nil
	c.out.mu.Unlock()
	for _, k := range waiting {
		if k != nil && k.state.CompareAndSwap(active, answered) {
			k.done <- err
		}
	}
}

// Close ends the connection, the calls in flight with it, and waits for the client's goroutines.
func (c *Client) Close() error {
	err := c.out.conn.Close()
	c.ended.Wait()
	return err
}
