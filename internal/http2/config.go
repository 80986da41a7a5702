package http2

import "time"

// Config sets the limits of a connection. In each field 0 means the default and -1 means no limit (or never). The zero value is a safe
// configuration. It must not be changed while connections use it; one may serve any number of them.
type Config struct {
	// MaxStreams is how many streams the peer may have open (SETTINGS_MAX_CONCURRENT_STREAMS); a server counts a stream until its
	// handler has ended ([Stream.Finish], or the last of its [Frames]), also when it was reset. More are refused. Default 1000 for a server.
	MaxStreams int
	// MaxHeaderList is the largest header list that is taken, decoded, in bytes as HPACK counts them. A server answers a larger one
	// with status 431. Default 64 KiB.
	MaxHeaderList int
	// StreamWindow and ConnWindow are how many bytes the peer may send before they are consumed, on one stream and on all of the
	// connection. They bound what one connection can make this end hold. Default 1 MiB and 16 MiB.
	StreamWindow, ConnWindow int
	// MaxQueued is how many bytes may wait to be sent on the connection. Beyond it a server's handlers wait in AwaitRoom, and a client's
	// Open waits. Default 64 MiB.
	MaxQueued int
	// Budget bounds what waits to be sent on all connections that share it. nil: none.
	Budget *Budget

	// HandshakeTimeout is how long the peer may take for its preface and first SETTINGS. Default 10 s.
	HandshakeTimeout time.Duration
	// HeaderTimeout is how long the peer may take to send the rest of a frame or of a header block that it has begun (of DATA frames
	// only the head counts). Default 10 s.
	HeaderTimeout time.Duration
	// StallTimeout is how long one write may take, and how long what a finished handler, or one of [Web], has sent may wait without the
	// peer taking any of it, or a handler for room. Default 60 s.
	StallTimeout time.Duration
	// IdleTimeout is how long a connection without streams is kept; it drains then. Default: 15 minutes for a server, never for a
	// client.
	IdleTimeout time.Duration
	// MaxAge is how long a server uses a connection before it drains it, ±10 %, and MaxAgeGrace how long streams may last after that.
	// Default: never, and without limit.
	MaxAge, MaxAgeGrace time.Duration

	// KeepaliveTime is after how long without anything from the peer a PING is sent, and KeepaliveTimeout how long it may take until
	// something comes. Default: 2 hours for a server, never for a client; 20 s. A client pings only while it has streams, unless
	// KeepaliveIdle is set.
	KeepaliveTime, KeepaliveTimeout time.Duration
	KeepaliveIdle                   bool
	// MinPingInterval is how far apart a server wants PINGs to be that come while it sends nothing; the third that comes sooner ends
	// the connection (ENHANCE_YOUR_CALM, too_many_pings, as gRPC has it). Default 5 s.
	MinPingInterval time.Duration

	// MaxResets is how many streams a second may be reset before they are done, by the peer or because of what it sent, twice as many
	// at once. More end the connection (ENHANCE_YOUR_CALM). Default 1000.
	MaxResets int
	// MaxControl is how many frames the peer may send at once that bring no call forward: PING, SETTINGS, WINDOW_UPDATE, empty DATA
	// and the like; more are earned by calls, and by time. Too many end the connection (ENHANCE_YOUR_CALM). Default 10,000.
	MaxControl int
}

const noLimit = 1 << 62

func orDefault[T ~int | ~int64](v, dflt T) T {
	switch {
	case v == 0:
		return dflt
	case v < 0:
		none := int64(noLimit)
		if most := T(none); most > 0 {
			return most
		}
		return 1<<31 - 1 // where an int has 32 bits
	}
	return v
}

// resolved returns c with the defaults of a role filled in: no field is 0 or negative.
func (c *Config) resolved(client bool) Config {
	r := *c
	role := func(server, client_ time.Duration) time.Duration {
		if client {
			return client_
		}
		return server
	}
	r.MaxStreams = orDefault(c.MaxStreams, 1000)
	r.MaxHeaderList = min(orDefault(c.MaxHeaderList, 64<<10), 1<<30)
	r.StreamWindow = max(min(orDefault(c.StreamWindow, 1<<20), maxWindow), initialWindow)
	r.ConnWindow = max(min(orDefault(c.ConnWindow, 16<<20), maxWindow), initialWindow)
	r.MaxQueued = orDefault(c.MaxQueued, 64<<20)
	r.HandshakeTimeout = orDefault(c.HandshakeTimeout, 10*time.Second)
	r.HeaderTimeout = orDefault(c.HeaderTimeout, 10*time.Second)
	r.StallTimeout = orDefault(c.StallTimeout, time.Minute)
	r.IdleTimeout = orDefault(c.IdleTimeout, role(15*time.Minute, noLimit))
	r.MaxAge = orDefault(c.MaxAge, noLimit)
	r.MaxAgeGrace = orDefault(c.MaxAgeGrace, noLimit)
	r.KeepaliveTime = orDefault(c.KeepaliveTime, role(2*time.Hour, noLimit))
	r.KeepaliveTimeout = orDefault(c.KeepaliveTimeout, 20*time.Second)
	r.MinPingInterval = orDefault(c.MinPingInterval, 5*time.Second)
	if c.MinPingInterval < 0 {
		r.MinPingInterval = 0
	}
	r.MaxResets = orDefault(c.MaxResets, 1000)
	r.MaxControl = orDefault(c.MaxControl, 10_000)
	return r
}
