package http2

import (
	"encoding/binary"
)

func (r *reader) readReset(f frame, p []byte) *ConnError {
	if len(p) != 4 {
		return connError(FrameSizeError, "RST_STREAM of %d bytes", len(p))
	}
	if r.unsent(f.stream) {
		return r.spend(1)
	}
	s, bad := r.find(f)
	if bad != nil {
		return bad
	}
	if s == nil || isClosed(s.state.Load()) {
		return r.spend(1)
	}
	if s.state.Load()&finished == 0 {
		if err := r.spendReset(); err != nil {
			return err
		}
	}
	r.c.abort(s, &StreamError{Code: ErrCode(binary.BigEndian.Uint32(p))})
	return r.spend(1)
}

// unsent reports whether a stream may be one that a client began and did not send because it had just heard of a drain. nghttp2 resets
// such streams all the same, and the calls that still run on the connection shall not suffer for that.
func (r *reader) unsent(id uint32) bool {
	return !r.c.client && r.c.ending.Load() && id&1 == 1 && r.idle(id)
}

func (r *reader) readSettings(f frame, p []byte) *ConnError {
	c := r.c
	switch {
	case f.stream != 0:
		return connError(ProtocolError, "SETTINGS on stream %d", f.stream)
	case f.flags&flagAck != 0 && len(p) > 0, len(p)%6 != 0:
		return connError(FrameSizeError, "SETTINGS of %d bytes", len(p))
	case f.flags&flagAck != 0:
		r.dec.SettingsAcked()
		return r.spend(1)
	}
	if err := r.spend(1); err != nil {
		return err
	}
	first := c.settled.CompareAndSwap(false, true)
	c.mu.Lock()
	if first {
		c.peerStreams = maxStreamID // unless it says otherwise
	}
	var err *ConnError
	for ; len(p) > 0 && err == nil; p = p[6:] {
		err = c.set(binary.BigEndian.Uint16(p), binary.BigEndian.Uint32(p[2:]))
	}
	if err == nil {
		c.out.buf = appendFrame(c.out.buf, frameSettings, flagAck, 0, 0)
		err = c.acked()
	}
	if c.peerFrame > r.frameLimit {
		r.frameLimit = maxFrame
		c.out.buf = appendSetting(appendFrame(c.out.buf, frameSettings, 0, 0, 6), settingMaxFrameSize, maxFrame)
	}
	c.pump()
	c.admit()
	c.signal()
	c.mu.Unlock()
	if first && err == nil && c.events.Ready != nil {
		c.events.Ready()
	}
	return err
}

// set takes one of the peer's settings (RFC 9113 section 6.5.2). The lock is held.
func (c *Conn) set(id uint16, v uint32) *ConnError {
	switch id {
	case settingHeaderTableSize:
		c.enc.SetMaxTable(v)
	case settingEnablePush:
		if v > 1 || c.client && v == 1 {
			return connError(ProtocolError, "SETTINGS_ENABLE_PUSH of %d", v)
		}
	case settingMaxConcurrentStreams:
		c.peerStreams = v
	case settingInitialWindowSize:
		if v > maxWindow {
			return connError(FlowControlError, "SETTINGS_INITIAL_WINDOW_SIZE of %d", v)
		}
		return c.setPeerWindow(int32(v))
	case settingMaxFrameSize:
		if v < initialFrame || v > 1<<24-1 {
			return connError(ProtocolError, "SETTINGS_MAX_FRAME_SIZE of %d", v)
		}
		c.peerFrame = min(int(v), maxPeerFrame)
	}
	return nil
}

// setPeerWindow changes the windows of all streams by as much as the initial one changes (RFC 9113 section 6.9.2).
func (c *Conn) setPeerWindow(v int32) *ConnError {
	delta := int64(v) - int64(c.peerWindow)
	c.peerWindow = v
	if delta == 0 {
		return nil
	}
	for _, s := range c.table.all() {
		if s.sendWindow += delta; s.sendWindow > maxWindow {
			return connError(FlowControlError, "SETTINGS_INITIAL_WINDOW_SIZE makes the window of stream %d too large", s.id)
		}
		if s.held != nil {
			s.held.unlist()
			c.enlist(s.held)
		}
	}
	return nil
}

// acked counts an answer in the output. The lock is held.
func (c *Conn) acked() *ConnError {
	if c.out.acks++; c.out.acks > maxAcks {
		return connError(EnhanceYourCalm, "answers to PING and SETTINGS are not read")
	}
	return nil
}

func (r *reader) readPing(f frame, p []byte) *ConnError {
	c := r.c
	switch {
	case f.stream != 0:
		return connError(ProtocolError, "PING on stream %d", f.stream)
	case len(p) != 8:
		return connError(FrameSizeError, "PING of %d bytes", len(p))
	}
	if err := r.spend(1); err != nil {
		return err
	}
	data := [8]byte(p)
	if f.flags&flagAck != 0 {
		if data == drainPing {
			c.mu.Lock()
			c.lastGoAway()
			c.mu.Unlock()
		}
		return nil // that it came is all that counts
	}
	if err := r.strike(); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.out.buf = appendPing(c.out.buf, flagAck, data)
	c.signal()
	return c.acked()
}

// strike counts PINGs that come too often. One that follows something that this end has sent may measure the connection, and is free.
func (r *reader) strike() *ConnError {
	c := r.c
	if c.client {
		return nil
	}
	sent := c.earned.Load()
	since := r.now - r.lastPing
	quiet := r.lastPing != 0 && sent == r.pingSeen
	r.lastPing, r.pingSeen = r.now, sent
	switch {
	case !quiet:
		r.strikes = 0
	case since < int64(c.cfg.MinPingInterval):
		if r.strikes++; r.strikes > maxStrikes {
			return connError(EnhanceYourCalm, "too_many_pings")
		}
	}
	return nil
}

// maxStrikes is how many PINGs may come too soon; gRPC has it so.
const maxStrikes = 2

func (r *reader) readGoAway(f frame, p []byte) *ConnError {
	c := r.c
	switch {
	case f.stream != 0:
		return connError(ProtocolError, "GOAWAY on stream %d", f.stream)
	case len(p) < 8:
		return connError(FrameSizeError, "GOAWAY of %d bytes", len(p))
	}
	if err := r.spend(1); err != nil {
		return err
	}
	last := binary.BigEndian.Uint32(p) & maxStreamID
	why := &ConnError{Code: ErrCode(binary.BigEndian.Uint32(p[4:])), Reason: string(p[8:min(len(p), 8+maxDebug)])}
	c.mu.Lock()
	c.goAway = why
	if !c.client {
		c.mu.Unlock()
		return nil // the client opens no more streams, or so it says
	}
	tell := c.stopOpening()
	var gone []*Stream
	for _, s := range c.table.all() {
		if s.id > last {
			gone = append(gone, s)
		}
	}
	c.mu.Unlock()
	if tell {
		c.tellDraining()
	}
	for _, s := range gone {
		c.abort(s, &notProcessed{why})
	}
	return nil
}

// maxDebug is how much of a GOAWAY's debug data is kept.
const maxDebug = 256

func (r *reader) readWindowUpdate(f frame, p []byte) *ConnError {
	c := r.c
	if len(p) != 4 {
		return connError(FrameSizeError, "WINDOW_UPDATE of %d bytes", len(p))
	}
	if err := r.spend(1); err != nil {
		return err
	}
	n := int64(binary.BigEndian.Uint32(p) & maxWindow)
	if f.stream == 0 {
		c.mu.Lock()
		defer c.mu.Unlock()
		switch c.sendWindow += n; {
		case n == 0:
			return connError(ProtocolError, "WINDOW_UPDATE of 0")
		case c.sendWindow > maxWindow:
			return connError(FlowControlError, "the connection's window becomes too large")
		}
		for h := c.starved.first; h != nil; h = c.starved.first {
			h.unlist()
			c.enlist(h)
			if h.list == &c.starved {
				break
			}
		}
		c.pump()
		return nil
	}
	s, bad := r.find(f)
	if bad != nil || s == nil {
		return bad
	}
	if n == 0 {
		return r.streamError(s, s.id, ProtocolError, "WINDOW_UPDATE of 0")
	}
	c.mu.Lock()
	if isClosed(s.state.Load()) {
		c.mu.Unlock()
		return nil
	}
	s.sendWindow += n
	over := s.sendWindow > maxWindow
	if h := s.held; h != nil && h.list == nil && !over {
		c.enlist(h)
		c.pump()
	}
	c.mu.Unlock()
	if over {
		return r.streamError(s, s.id, FlowControlError, "the stream's window becomes too large")
	}
	return nil
}

// readPriority checks and forgets what RFC 9113 section 5.3.2 has deprecated.
func (r *reader) readPriority(f frame, p []byte) *ConnError {
	code, wrong := NoError, ""
	switch {
	case f.stream == 0:
		return connError(ProtocolError, "PRIORITY without a stream")
	case len(p) != 5:
		code, wrong = FrameSizeError, "PRIORITY of a wrong length"
	case dependsOn(p) == f.stream:
		code, wrong = ProtocolError, "a stream that depends on itself"
	default:
		return r.spend(1)
	}
	if r.idle(f.stream) { // must not be reset
		return connError(code, "%s", wrong)
	}
	return r.streamError(r.c.table.get(f.stream), f.stream, code, wrong)
}

func dependsOn(p []byte) uint32 { return binary.BigEndian.Uint32(p) & maxStreamID }
