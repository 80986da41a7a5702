package http2

type drainState uint8

const (
	drainNot  drainState = iota
	drainTold            // a server has sent the first GOAWAY, and still takes streams
	drainLast            // no stream comes any more: when none is open, the connection ends
)

// drainPing is the data of the PING whose answer tells that the client has read the first GOAWAY.
var drainPing = [8]byte{'d', 'r', 'a', 'i', 'n'}

// Drain ends the connection when its streams have ended, and returns at once. A server sends GOAWAY and serves what comes before the
// client has heard of it (RFC 9113 section 6.8); a client opens no more streams.
func (c *Conn) Drain() {
	c.mu.Lock()
	if !c.client {
		c.drain("")
		c.mu.Unlock()
		return
	}
	tell := c.stopOpening()
	c.mu.Unlock()
	if tell {
		c.tellDraining()
	}
}

// drain begins a server's drain. The lock is held.
func (c *Conn) drain(debug string) {
	if c.err != nil || c.draining != drainNot {
		return
	}
	c.draining = drainTold
	c.ending.Store(true)
	c.clock.drainSince = c.now()
	c.out.buf = appendGoAway(c.out.buf, maxStreamID, NoError, debug)
	c.out.buf = appendPing(c.out.buf, 0, drainPing)
	c.signal()
	c.arm()
}

// drainIdle ends a connection without streams.
func (c *Conn) drainIdle() {
	if !c.client {
		c.drain("max_idle")
		return
	}
	if c.stopOpening() {
		go c.tellDraining() // the lock is held here
	}
}

// lastGoAway is called by the reader when the client has heard of the drain, or takes too long to say so. The lock is held.
func (c *Conn) lastGoAway() {
	if c.draining != drainTold {
		return
	}
	c.draining = drainLast
	c.lastID = c.reader.lastID.Load()
	c.out.buf = appendGoAway(c.out.buf, c.lastID, NoError, "")
	c.signal()
}

// goAwayError tells the peer why the connection ends, and ends it when that was written. Only the reader calls it.
func (c *Conn) goAwayError(err *ConnError) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.err = err
	}
	if c.broken || c.closing {
		return
	}
	c.closing = true
	last := c.reader.lastID.Load()
	if c.client {
		last = 0
		// Streams whose frames are still here are told not to be processed; so these are not sent.
		greeting := ""
		if c.writtenID == 0 {
			greeting = string(c.out.buf[:c.greeting])
		}
		c.out.cancel()
		c.out.buf = append(c.out.buf, greeting...)
	}
	c.out.buf = appendGoAway(c.out.buf, last, err.Code, err.Reason)
	c.signal()
}
