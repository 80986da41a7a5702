package discovery

import (
	"context"
	"encoding/binary"
	"iter"
	"net"
	"sync"
	"time"
)

// answerTTL learns the time to live of answers, which net.Resolver keeps to itself, by reading along on its connections. So everything
// else of resolving (resolv.conf, search list, hosts file, truncated answers) stays Go's. The zero value is for one lookup.
type answerTTL struct {
	mu    sync.Mutex
	least uint32 // seconds
	known bool
}

// resolver returns one whose answers are read along. Server replaces the system's servers unless it is empty.
func (t *answerTTL) resolver(server string) *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
		if server != "" {
			address = server
		}
		var d net.Dialer
		c, err := d.DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		if udp, ok := c.(*net.UDPConn); ok {
			return &packetTap{UDPConn: udp, ttl: t}, nil
		}
		return &streamTap{Conn: c, ttl: t}, nil
	}}
}

// clamped returns for how long the answers hold, within bounds.
func (t *answerTTL) clamped() time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.known {
		return noTTL
	}
	return min(max(time.Duration(t.least)*time.Second, minTTL), maxTTL)
}

// read takes the times of the records in an answer's message. What is not well-formed the resolver refuses itself.
func (t *answerTTL) read(message []byte) {
	for ttl := range answerTTLs(message) {
		if ttl > 1<<31-1 { // RFC 2181, section 8: to be taken for 0
			ttl = 0
		}
		t.mu.Lock()
		if !t.known || ttl < t.least {
			t.known, t.least = true, ttl
		}
		t.mu.Unlock()
	}
}

// answerTTLs walks the answers of a DNS message (RFC 1035, section 4) as far as it is well-formed, for their times to live. A package
// that takes messages apart would cost whoever builds a service more than these lines.
func answerTTLs(message []byte) iter.Seq[uint32] {
	const (
		headerLen   = 12
		response    = 1 << 15 // flags
		rcode       = 1<<4 - 1
		questionLen = 4  // after the name: type, class
		recordLen   = 10 // after the name: type, class, time to live, length of the data
	)
	return func(yield func(uint32) bool) {
		if len(message) < headerLen {
			return
		}
		flags := binary.BigEndian.Uint16(message[2:])
		if flags&response == 0 || flags&rcode != 0 {
			return
		}
		questions, answers := binary.BigEndian.Uint16(message[4:]), binary.BigEndian.Uint16(message[6:])
		rest := message[headerLen:]
		for range questions {
			if rest = afterName(rest); len(rest) < questionLen {
				return
			}
			rest = rest[questionLen:]
		}
		for range answers {
			if rest = afterName(rest); len(rest) < recordLen {
				return
			}
			ttl, data := binary.BigEndian.Uint32(rest[4:]), int(binary.BigEndian.Uint16(rest[8:]))
			if rest = rest[recordLen:]; len(rest) < data || !yield(ttl) {
				return
			}
			rest = rest[data:]
		}
	}
}

// afterName returns what follows a domain name, nil when it has no end.
func afterName(b []byte) []byte {
	for len(b) > 0 {
		switch n := int(b[0]); {
		case n == 0:
			return b[1:]
		case n >= 0xc0: // the rest of the name stands elsewhere
			return b[min(2, len(b)):]
		case n >= 0x40 || n >= len(b): // reserved, or cut off
			return nil
		default:
			b = b[1+n:]
		}
	}
	return nil
}

// packetTap reads along on a connection where each read is a message. (The resolver knows it by its being a net.PacketConn.)
type packetTap struct {
	*net.UDPConn
	ttl *answerTTL
}

func (c *packetTap) Read(b []byte) (int, error) {
	n, err := c.UDPConn.Read(b)
	if err == nil {
		c.ttl.read(b[:n])
	}
	return n, err
}

// streamTap reads along on a connection where two bytes of length precede each message.
type streamTap struct {
	net.Conn
	ttl    *answerTTL
	buffer []byte
}

func (c *streamTap) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.buffer = append(c.buffer, b[:n]...)
	for len(c.buffer) >= 2 {
		end := 2 + int(c.buffer[0])<<8 + int(c.buffer[1])
		if len(c.buffer) < end {
			break
		}
		c.ttl.read(c.buffer[2:end])
		c.buffer = c.buffer[end:]
	}
	return n, err
}
