package http2

// SetNextID makes id the client's next stream.
func (c *Conn) SetNextID(id uint32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.nextID = id
}
