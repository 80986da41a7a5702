package rpc

// Held is what one side of calls holds for them. All of it is 0 when nothing runs.
type Held struct {
	Streams  int   // open on its connections
	Calls    int   // objects of unary calls that are in use
	Queued   int64 // bytes that wait to be sent
	Handlers int   // that run
}

// Held tells what the port holds, which has the default wire.
func (p *Port) Held() (h Held) {
	s := p.server.(*wireServer)
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		h.Streams += c.conn.Streams()
	}
	h.Queued = s.config.Budget.Used()
	for _, srv := range p.Servers {
		h.Handlers += len(srv.Running())
	}
	return h
}

// Conns is how many HTTP/2 connections the port has.
func (p *Port) Conns() int {
	s := p.server.(*wireServer)
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns)
}

// Held tells what the client holds, which has the default wire.
func (c *Client) Held() (h Held) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range c.pools {
		p.mu.Lock()
		for m := range p.live {
			if m.direct == nil {
				continue
			}
			m.direct.mu.Lock()
			for conn := range m.direct.conns {
				h.Streams += conn.conn.Streams()
			}
			m.direct.mu.Unlock()
			m.direct.calls.mu.Lock()
			for _, call := range m.direct.calls.all {
				if call.state.Load()&callPhases != callFree {
					h.Calls++
				}
			}
			m.direct.calls.mu.Unlock()
		}
		p.mu.Unlock()
	}
	return h
}
