package http2

// opener waits in Open.
type opener struct {
	wake    chan struct{} // closed when it may look again
	granted bool          // a place is counted for it
}

// Open opens s as a new stream with the frames that it begins with, the first of which must be a header. It waits while as many streams
// are open as the server allows, or MaxQueued bytes are queued. The receiver's calls may come before it returns. Errors: ErrDraining,
// ErrGaveUp when done is closed while it waits, and, matching [ErrNotProcessed], the end of a connection that broke. After an error the
// receiver is not called, and s may be used again.
func (c *Conn) Open(done <-chan struct{}, s *Stream, r Receiver, f *Frames) error {
	c.mu.Lock()
	err := c.openable()
	if err == nil {
		if len(c.openers) > 0 || !c.mayOpen() {
			err = c.await(done)
		} else {
			c.open.Add(1)
		}
	}
	if err != nil {
		c.mu.Unlock()
		if f.Release != nil && len(f.Data) > 0 {
			f.Release(f.Data)
		}
		return err
	}
	s.open(c, c.nextID, r)
	c.nextID += 2
	c.table.put(s, int(c.open.Load()))
	s.send(f)
	tell := c.nextID > maxStreamID && c.stopOpening()
	c.hurry() // its caller waits for the answer now, and so lets others run
	c.mu.Unlock()
	if tell {
		c.tellDraining()
	}
	return nil
}

// openable says why no stream can be opened, now or later.
func (c *Conn) openable() error {
	switch {
	case c.err != nil:
		return &notProcessed{c.err}
	case c.draining != drainNot:
		return ErrDraining
	}
	return nil
}

func (c *Conn) mayOpen() bool {
	return c.open.Load() < int32(min(c.peerStreams, 1<<30)) && c.queued.Load() < int64(c.cfg.MaxQueued)
}

// await waits for a place, which is counted then. The lock is held, but not while it waits.
func (c *Conn) await(done <-chan struct{}) error {
	o := &opener{wake: make(chan struct{})}
	c.openers = append(c.openers, o)
	c.waiting.Add(1)
	c.admit() // for a place that was given back just before that
	c.mu.Unlock()
	gaveUp := false
	select {
	case <-o.wake:
	case <-done:
		gaveUp = true
	}
	c.mu.Lock()
	err := c.openable()
	if err == nil && gaveUp {
		err = ErrGaveUp
	}
	switch {
	case err == nil:
	case o.granted:
		if c.release() {
			c.freed()
		}
	default:
		for i := range c.openers {
			if c.openers[i] == o {
				c.openers = append(c.openers[:i], c.openers[i+1:]...)
				c.waiting.Add(-1)
				break
			}
		}
	}
	return err
}

// admit lets those in that wait in Open, as many as may. The lock is held.
func (c *Conn) admit() {
	n := 0
	for n < len(c.openers) && c.mayOpen() {
		c.open.Add(1)
		c.openers[n].granted = true
		close(c.openers[n].wake)
		n++
	}
	if n > 0 {
		c.openers = append(c.openers[:0], c.openers[n:]...)
		c.waiting.Add(int32(-n))
	}
}

// refuseOpeners sends those away that wait in Open. The lock is held.
func (c *Conn) refuseOpeners() {
	for _, o := range c.openers {
		close(o.wake)
	}
	c.waiting.Add(int32(-len(c.openers)))
	c.openers = nil
}

// stopOpening makes a client open no more streams, and reports whether it did: then call tellDraining, without the lock, which is held.
func (c *Conn) stopOpening() bool {
	if c.draining != drainNot || c.err != nil {
		return false
	}
	c.draining = drainLast
	c.ending.Store(true)
	c.refuseOpeners()
	if c.open.Load() == 0 {
		c.signal()
	}
	return true
}

func (c *Conn) tellDraining() {
	if c.events.Draining != nil {
		c.events.Draining()
	}
}
