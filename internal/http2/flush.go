package http2

import (
	"runtime"
	"time"
)

const (
	// highWater is how many bytes of output may wait for the flusher. What comes on top waits in its stream.
	highWater = 1 << 20
	// yieldBelow: a flusher that finds less lets other goroutines run once, that may have more to send.
	yieldBelow = 64 << 10
	// keepBuffer is how large an output buffer may be that is kept although little of it is used, keepTimes times in a row.
	keepBuffer = 32 << 10
	keepTimes  = 64
	// earningFrame is how large a DATA frame is at least that earns the peer the right to send a control frame: windows of single bytes
	// earn nothing.
	earningFrame = 1 << 10
	// connShare is what a connection may queue although the budget of all connections is used up.
	connShare = 256 << 10
	// maxAcks is how many answers to PING and SETTINGS may wait for a peer that does not read.
	maxAcks = 1000
	// lingerTime is how long a peer may take to close after this end has.
	lingerTime = time.Second
)

// output is what the flusher writes next.
type output struct {
	buf      []byte
	refs     []ref
	refBytes int
	acks     int // of PING and SETTINGS
	earned   int // frames that bring calls forward
	unused   int // how many times in a row most of buf's capacity was not used
}

// ref is data between bytes of the buffer that is not in it.
type ref struct {
	at      int // before buf[at]
	data    []byte
	whole   []byte
	release func([]byte) // nil for all but the last of the same whole
}

func (o *output) size() int { return len(o.buf) + o.refBytes }

// cancel forgets what was not written. What that would have released may still be in use by what is being written before it.
func (o *output) cancel() {
	releases := o.refs[:0]
	for _, r := range o.refs {
		if r.release != nil {
			releases = append(releases, ref{whole: r.whole, release: r.release})
		}
	}
	clear(o.refs[len(releases):])
	*o = output{buf: o.buf[:0], refs: releases, unused: o.unused}
}

// reset empties o. A large buffer is kept only while it is used.
func (o *output) reset() {
	for i := range o.refs {
		if r := &o.refs[i]; r.release != nil {
			r.release(r.whole)
		}
	}
	clear(o.refs)
	buf, unused := o.buf, o.unused+1
	if cap(buf) <= keepBuffer || len(buf) >= cap(buf)/8 {
		unused = 0
	} else if unused >= keepTimes {
		buf, unused = nil, 0
	}
	*o = output{buf: buf[:0], refs: o.refs[:0], unused: unused}
}

// signal wakes the flusher. The lock is held.
func (c *Conn) signal() {
	if !c.signalled {
		c.signalled = true
		c.wake <- struct{}{}
	}
}

// flush writes what others put into the output until the connection ends. Waiting once for others to put more makes large batches of
// small calls, which is where the time goes.
func (c *Conn) flush() {
	defer close(c.flushed)
	for range c.wake {
		c.mu.Lock()
		small := c.out.size() < yieldBelow
		c.mu.Unlock()
		if small {
			runtime.Gosched()
		}
		for {
			c.writing <- struct{}{}
			c.mu.Lock()
			if c.broken {
				c.mu.Unlock()
				<-c.writing
				return
			}
			if c.out.size() == 0 && len(c.out.refs) == 0 {
				c.signalled = false
				last := c.mayClose()
				c.mu.Unlock()
				<-c.writing
				if last {
					c.closeWrite()
					return
				}
				break
			}
			err := c.write()
			<-c.writing
			if err != nil {
				c.fail(&ConnError{Local: true, Code: InternalError, Reason: "writing", Cause: err})
				return
			}
		}
	}
}

// hurry has a large output written at once, although the flusher waits for its turn behind many goroutines that are ready to put more:
// the peer can begin. It reports whether the caller should let that run. The lock is held.
func (c *Conn) hurry() bool {
	if c.hurried || c.busy || c.out.size() < yieldBelow {
		return false
	}
	c.hurried = true
	go func() {
		mine := false
		select {
		case c.writing <- struct{}{}:
			mine = true
		default:
		}
		c.mu.Lock()
		c.hurried = false
		if !mine || c.broken || c.out.size() == 0 {
			c.mu.Unlock()
			if mine {
				<-c.writing
			}
			return
		}
		err := c.write()
		<-c.writing
		if err != nil {
			c.fail(&ConnError{Local: true, Code: InternalError, Reason: "writing", Cause: err})
		}
	}()
	return true
}

// write writes the output. The caller holds c.writing and the lock, which is released.
func (c *Conn) write() error {
	o := &c.wrote
	c.wrote, c.out = c.out, c.wrote
	c.earned.Add(int64(o.earned))
	c.writtenID = c.nextID
	c.busy = true
	c.pump()
	c.mu.Unlock()

	c.writeSince.Store(c.now() + 1)
	var err error
	if len(o.refs) == 0 {
		_, err = c.nc.Write(o.buf)
	} else if o.size() > 0 {
		bufs := c.parts[:0]
		at := 0
		for i := range o.refs {
			r := &o.refs[i]
			bufs = append(bufs, o.buf[at:r.at], r.data)
			at = r.at
		}
		if at < len(o.buf) {
			bufs = append(bufs, o.buf[at:])
		}
		c.parts = bufs
		c.rest = bufs
		_, err = c.rest.WriteTo(c.nc)
		c.rest = nil
		clear(bufs)
	}
	c.writeSince.Store(0)
	o.reset()
	c.mu.Lock()
	c.busy = false
	c.mu.Unlock()
	return err
}

// mayClose reports whether the connection can be closed now that all was written.
func (c *Conn) mayClose() bool {
	return c.closing || c.draining == drainLast && c.open.Load() == 0
}

// closeWrite tells the peer that nothing more comes, and gives it a moment to close in its turn: what it is sending meanwhile would make
// the system throw away what is not yet delivered to it.
func (c *Conn) closeWrite() {
	if half, ok := c.nc.(interface{ CloseWrite() error }); ok && half.CloseWrite() == nil && c.nc.SetReadDeadline(time.Now().Add(lingerTime)) == nil {
		return
	}
	c.nc.Close()
}
