package http2

import (
	"slices"
	"time"
)

// crowd is who waits until the peer has taken some of what is queued for it. One at a time goes on, and the next one when it has sent:
// otherwise all of them would find the same room.
type crowd struct {
	waiting         map[*Stream]chan struct{} // closed when the stream goes on, or has ended
	replies, begins []*Stream                 // in this order
	turn            *Stream                   // has gone on, and has not sent yet
	overturn        *time.Timer
	since           int64 // since when somebody has waited, by the connection's clock
	taken           int64 // when the peer last took some of what is queued
}

// turnTime is how long the others wait at most for one that went on and sends nothing.
const turnTime = 10 * time.Millisecond

// Crowded reports whether as much is queued to be sent as the limits allow, or somebody waits in [Stream.AwaitRoom]: do so, too. It
// costs next to nothing.
func (c *Conn) Crowded() bool { return c.crowded.Load() > 0 || c.full() }

// full reports whether as much is queued as the limits allow.
func (c *Conn) full() bool {
	n := c.queued.Load()
	return n >= int64(c.cfg.MaxQueued) || n >= connShare && c.cfg.Budget != nil && !c.cfg.Budget.has(1)
}

// AwaitRoom waits while as much is queued for the peer as the limits allow. A server's handlers wait here before they make what they
// send, and those that have not begun, with begin set, before they begin; they come last. What goes on then may exceed the limit, by
// itself. It returns the error that ended the stream, and ErrGaveUp when done is closed first. A connection whose peer takes nothing for
// StallTimeout while somebody waits is ended.
func (s *Stream) AwaitRoom(done <-chan struct{}, begin bool) error {
	c := s.conn
	if c.client || !c.Crowded() {
		return nil
	}
	c.mu.Lock()
	if s.err != nil {
		defer c.mu.Unlock()
		return s.err
	}
	k := &c.crowd
	if k.waiting[s] != nil { // another goroutine of the same handler
		c.mu.Unlock()
		return nil
	}
	if c.crowded.Add(1) == 1 {
		k.since = c.now()
	}
	if k.waiting == nil {
		k.waiting = make(map[*Stream]chan struct{})
	}
	wake := make(chan struct{})
	k.waiting[s] = wake
	if begin {
		k.begins = append(k.begins, s)
	} else {
		k.replies = append(k.replies, s)
	}
	if k.turn == s { // to begin; now it is to wait again
		k.turn = nil
		k.overturn.Stop()
	}
	c.giveTurn()
	c.mu.Unlock()
	select {
	case <-wake:
	case <-done:
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	gaveUp := k.waiting[s] == wake
	if gaveUp {
		c.leave(s)
	}
	if s.err != nil {
		return s.err
	}
	if gaveUp {
		return ErrGaveUp
	}
	return nil
}

// leave lets s go on, which waits. The lock is held.
func (c *Conn) leave(s *Stream) {
	k := &c.crowd
	close(k.waiting[s])
	delete(k.waiting, s)
	c.crowded.Add(-1)
	for _, list := range []*[]*Stream{&k.replies, &k.begins} {
		if i := slices.Index(*list, s); i >= 0 {
			*list = slices.Delete(*list, i, i+1)
		}
	}
}

// leaveCrowd is called when s has ended. The lock is held.
func (c *Conn) leaveCrowd(s *Stream) {
	if c.crowd.waiting[s] != nil {
		c.leave(s)
	}
	c.passTurn(s)
}

// giveTurn lets the next one go on, if there is room and nobody is on the way. The lock is held.
func (c *Conn) giveTurn() {
	if c.crowd.turn != nil || c.crowded.Load() == 0 {
		return
	}
	if c.full() {
		if c.cfg.Budget == nil || c.queued.Load() >= int64(c.cfg.MaxQueued) {
			return
		}
		c.cfg.Budget.await(c) // others have it
		if c.full() {
			return
		}
	}
	list := c.crowd.replies
	if len(list) == 0 {
		list = c.crowd.begins
	}
	s := list[0]
	c.leave(s)
	c.crowd.turn = s
	c.crowd.overturn = time.AfterFunc(turnTime, func() {
		c.mu.Lock()
		c.passTurn(s)
		c.mu.Unlock()
	})
}

// passTurn ends the turn of s, if it has it. The lock is held.
func (c *Conn) passTurn(s *Stream) {
	if s != nil && c.crowd.turn == s {
		c.crowd.turn = nil
		c.crowd.overturn.Stop()
		c.giveTurn()
	}
}

// roomInBudget is called when the budget of all connections has room again.
func (c *Conn) roomInBudget() {
	c.mu.Lock()
	c.giveTurn()
	c.mu.Unlock()
}

// stalled reports whether somebody waits for a peer that has taken nothing for so long. The lock is held.
func (c *Conn) stalled(now int64) bool {
	return c.crowded.Load() > 0 && time.Duration(now-max(c.crowd.since, c.crowd.taken)) >= c.cfg.StallTimeout
}
