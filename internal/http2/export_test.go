package http2

import "fmt"

// SetNextID makes id the client's next stream.
func (c *Conn) SetNextID(id uint32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.nextID = id
}

// Leaks says what a connection still holds of streams.
func (c *Conn) Leaks() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.queued.Load() == 0 && len(c.table.all()) == 0 && c.open.Load() == 0 && c.waiting.Load() == 0 &&
		c.ready.first == nil && c.starved.first == nil && len(c.openers) == 0 {
		return ""
	}
	return fmt.Sprintf("%d bytes queued, %d streams in the table, %d open, %d waiting, lists %v %v",
		c.queued.Load(), len(c.table.all()), c.open.Load(), c.waiting.Load(), c.ready.first != nil, c.starved.first != nil)
}

// Owed is how much of what was received the peer has got no credit for. The connection must have ended.
func (c *Conn) Owed() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.reader.received - c.granted.Load() - c.credit.Load()
}
