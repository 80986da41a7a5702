package websocket_test

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hanse-go/hanse/internal/websocket"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// peer is a client that can break the rules.
type peer struct {
	t    testing.TB
	conn net.Conn
	r    *bufio.Reader
}

// echo serves connections that say back what they hear. ended gets what ended each.
func echo(t testing.TB, o websocket.Options) (address string, ended <-chan error) {
	t.Helper()
	errs := make(chan error, 1)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := websocket.Upgrade(w, r, "", o)
		var refused *websocket.HandshakeError
		if errors.As(err, &refused) {
			http.Error(w, refused.Reason, refused.Status)
			return
		}
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		for {
			kind, message, err := conn.Read()
			if err == nil {
				err = conn.Write(kind, message)
			}
			if err != nil {
				errs <- err
				conn.Wait()
				return
			}
		}
	}))
	t.Cleanup(srv.Close)
	return srv.Listener.Addr().String(), errs
}

const handshake = "GET / HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"

func dial(t testing.TB, address string) *peer {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	p := &peer{t, conn, bufio.NewReader(conn)}
	p.send([]byte(handshake))
	resp, err := http.ReadResponse(p.r, nil)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != 101 || resp.Header.Get("Sec-WebSocket-Accept") != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" { // of RFC 6455, 1.3
		t.Fatalf("%s %v", resp.Status, resp.Header)
	}
	return p
}

func (p *peer) send(b []byte) {
	p.t.Helper()
	if _, err := p.conn.Write(b); err != nil {
		p.t.Fatal(err)
	}
}

// frame is a masked frame with that first byte.
func frame(first byte, payload string) []byte {
	b := []byte{first}
	switch n := len(payload); {
	case n < 126:
		b = append(b, 0x80|byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, 0x80|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 0x80|127), uint64(n))
	}
	mask := [4]byte{1, 2, 3, 250}
	b = append(b, mask[:]...)
	for i := range len(payload) {
		b = append(b, payload[i]^mask[i&3])
	}
	return b
}

// read reads a frame, which servers do not mask.
func (p *peer) read() (first byte, payload string) {
	p.t.Helper()
	var h [10]byte
	_, err := io.ReadFull(p.r, h[:2])
	n := uint64(h[1])
	if err == nil && n == 126 {
		_, err = io.ReadFull(p.r, h[2:4])
		n = uint64(binary.BigEndian.Uint16(h[2:]))
	} else if err == nil && n == 127 {
		_, err = io.ReadFull(p.r, h[2:10])
		n = binary.BigEndian.Uint64(h[2:])
	}
	b := make([]byte, min(n, 1<<24))
	if err == nil {
		_, err = io.ReadFull(p.r, b)
	}
	if err != nil {
		p.t.Fatalf("no frame came: %v", err)
	}
	return h[0], string(b)
}

func (p *peer) want(first byte, payload string) {
	p.t.Helper()
	gotFirst, got := p.read()
	if gotFirst != first || got != payload {
		p.t.Errorf("frame %#x %.80q, want %#x %.80q", gotFirst, got, first, payload)
	}
}

// wantClosed wants a close frame with the code, and the end.
func (p *peer) wantClosed(code int, reason string) {
	p.t.Helper()
	first, payload := p.read()
	if first != 0x88 || len(payload) < 2 || int(binary.BigEndian.Uint16([]byte(payload))) != code || !strings.Contains(payload[2:], reason) {
		p.t.Errorf("frame %#x %q, want to be closed with %d %s", first, payload, code, reason)
	}
	p.conn.(*net.TCPConn).CloseWrite()
	if _, err := p.r.ReadByte(); err != io.EOF {
		p.t.Errorf("after its close frame the server goes on: %v", err)
	}
}

func closing(code int, reason string) []byte {
	return frame(0x88, string(binary.BigEndian.AppendUint16(nil, uint16(code)))+reason)
}

func TestMessages(t *testing.T) {
	address, ended := echo(t, websocket.Options{})
	p := dial(t, address)
	for _, n := range []int{0, 1, 125, 126, 127, 65535, 65536, 300_000} {
		p.send(frame(0x82, strings.Repeat("x", n)))
		p.want(0x82, strings.Repeat("x", n))
	}
	p.send(frame(0x81, "grüße"))
	p.want(0x81, "grüße")

	// In pieces, with a ping between them, a character in two of them, and empty ones.
	p.send(frame(0x01, "gr\xc3"))
	p.send(frame(0x89, "still there?"))
	p.send(frame(0x00, ""))
	p.send(frame(0x8a, "unasked"))
	p.send(frame(0x80, "\xbc\xc3\x9fe"))
	p.want(0x8a, "still there?")
	p.want(0x81, "grüße")

	p.send(closing(4001, "enough"))
	p.wantClosed(4001, "")
	var closed *websocket.CloseError
	if err := <-ended; !errors.As(err, &closed) || closed.Code != 4001 || closed.Reason != "enough" || closed.Ours {
		t.Errorf("%v", err)
	}
}

func TestCloseWithoutCode(t *testing.T) {
	address, _ := echo(t, websocket.Options{})
	p := dial(t, address)
	p.send(frame(0x88, ""))
	p.wantClosed(1000, "")
}

func TestBrokenFrames(t *testing.T) {
	unmasked := []byte{0x81, 1, 'x'}
	for _, tt := range []struct {
		name   string
		send   []byte
		code   int
		reason string
	}{
		{"not masked", unmasked, 1002, "not masked"},
		{"reserved bits", frame(0xc1, ""), 1002, "reserved bits"},
		{"an unknown message", frame(0x83, ""), 1002, "no frame 3"},
		{"an unknown control frame", frame(0x8b, ""), 1002, "no frame 11"},
		{"a ping in pieces", frame(0x09, ""), 1002, "control frame"},
		{"a long ping", frame(0x89, strings.Repeat("x", 126)), 1002, "control frame"},
		{"a continuation of nothing", frame(0x80, ""), 1002, "has not begun"},
		{"a message within another", append(frame(0x01, ""), frame(0x81, "")...), 1002, "within another"},
		{"a text that is none", frame(0x81, "\xff"), 1007, "UTF-8"},
		{"a long message", frame(0x82, strings.Repeat("x", 1001)), 1009, "1000 bytes"},
		{"a long message in pieces", append(frame(0x02, strings.Repeat("x", 600)), frame(0x80, strings.Repeat("x", 600))...), 1009, "1000 bytes"},
		{"a length of nine exabytes", []byte{0x82, 0xff, 0x7f, 255, 255, 255, 255, 255, 255, 255, 1, 2, 3, 4}, 1009, "1000 bytes"},
		{"a negative length", []byte{0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4}, 1002, "a length"},
		{"half a code", frame(0x88, "x"), 1002, "half a code"},
		{"a code of nobody's", closing(1005, ""), 1002, "1005"},
		{"a code below all", closing(999, ""), 1002, "999"},
		{"a reason that is no text", closing(1000, "\xff"), 1007, "UTF-8"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			address, ended := echo(t, websocket.Options{MaxMessage: 1000})
			p := dial(t, address)
			p.send(tt.send)
			p.wantClosed(tt.code, tt.reason)
			var closed *websocket.CloseError
			if err := <-ended; !errors.As(err, &closed) || !closed.Ours {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestCutOff(t *testing.T) {
	address, ended := echo(t, websocket.Options{})
	for _, half := range [][]byte{nil, {0x82}, {0x82, 0xff, 0}, frame(0x82, "abc")[:5], frame(0x82, "abc")[:7], frame(0x02, "abc")} {
		p := dial(t, address)
		p.send(half)
		p.conn.Close()
		var closed *websocket.CloseError
		if err := <-ended; errors.As(err, &closed) {
			t.Errorf("cut off after %x: %v", half, err)
		}
	}
}

// A message that does not come to its end, a peer that gives no sign of life, and one that does not read: each has its time.
func TestStalls(t *testing.T) {
	const short = 50 * time.Millisecond
	for _, tt := range []struct {
		name    string
		options websocket.Options
		do      func(p *peer)
	}{
		{"half a message", websocket.Options{MessageTimeout: short}, func(p *peer) { p.send(frame(0x02, "abc")) }},
		{"half a frame", websocket.Options{MessageTimeout: short}, func(p *peer) { p.send(frame(0x82, "abc")[:8]) }},
		{"half a message, with pings", websocket.Options{MessageTimeout: short, PingEvery: time.Hour}, func(p *peer) {
			p.send(frame(0x02, "abc"))
			p.send(frame(0x89, ""))
		}},
		{"no sign of life", websocket.Options{PingEvery: short}, func(*peer) {}},
		{"nothing is read", websocket.Options{WriteTimeout: short}, func(p *peer) {
			big := frame(0x82, strings.Repeat("x", 1<<20))
			for range 100 {
				p.conn.SetWriteDeadline(time.Now().Add(5 * time.Second))
				if _, err := p.conn.Write(big); err != nil {
					return
				}
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			address, ended := echo(t, tt.options)
			tt.do(dial(t, address))
			select {
			case err := <-ended:
				var timeout net.Error
				if !errors.As(err, &timeout) || !timeout.Timeout() {
					t.Errorf("%v", err)
				}
			case <-time.After(20 * time.Second):
				t.Error("the connection goes on")
			}
		})
	}
}

// A peer that answers pings stays.
func TestPing(t *testing.T) {
	address, _ := echo(t, websocket.Options{PingEvery: 40 * time.Millisecond})
	p := dial(t, address)
	for range 5 {
		p.want(0x89, "")
		p.send(frame(0x8a, ""))
	}
	p.send(closing(1000, ""))
	for {
		if first, _ := p.read(); first == 0x88 {
			return
		}
	}
}

func TestHandshake(t *testing.T) {
	address, _ := echo(t, websocket.Options{})
	for _, tt := range []struct {
		name, from, to string
		status         int
	}{
		{"POST", "GET", "POST", 405},
		{"no upgrade", "Upgrade: WebSocket\r\n", "", 400},
		{"no connection", "keep-alive, Upgrade", "keep-alive", 400},
		{"another upgrade", "WebSocket\r\n", "h2c\r\n", 400},
		{"an old version", "Version: 13", "Version: 8", 426},
		{"no key", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", "", 400},
		{"a short key", "dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25j", 400},
		{"two keys", "\r\n\r\n", "\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", 400},
		{"a body", "\r\n\r\n", "\r\nContent-Length: 1\r\n\r\nx", 400},
		{"HTTP/1.0", "HTTP/1.1", "HTTP/1.0", 400},
	} {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(conn, strings.Replace(handshake, tt.from, tt.to, 1))
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode != tt.status || tt.status == 426 && resp.Header.Get("Sec-WebSocket-Version") != "13" {
			t.Errorf("%s: %s %v, want %d", tt.name, resp.Status, resp.Header, tt.status)
		}
		resp.Body.Close()
		conn.Close()
	}
	w := httptest.NewRecorder() // as over HTTP/2
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	for line := range strings.SplitSeq(handshake, "\r\n") {
		if name, value, ok := strings.Cut(line, ": "); ok {
			r.Header.Set(name, value)
		}
	}
	var refused *websocket.HandshakeError
	if _, err := websocket.Upgrade(w, r, "", websocket.Options{}); !errors.As(err, &refused) || refused.Status != 505 {
		t.Errorf("without a connection: %v", err)
	}
}

func TestShutdown(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := websocket.Upgrade(w, r, "", websocket.Options{})
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		conn.Shutdown(4005, strings.Repeat("ü", 62)) // 124 bytes
		conn.Shutdown(4006, "again")
		if err := conn.Write(websocket.Text, nil); err == nil {
			t.Error("a message was sent behind the end")
		}
		conn.Wait()
	}))
	defer srv.Close()
	p := dial(t, srv.Listener.Addr().String())
	p.want(0x88, "\x0f\xa5"+strings.Repeat("ü", 61))
	p.send(frame(0x81, "more"))
	p.send(closing(4005, ""))
	if _, err := p.r.ReadByte(); err != io.EOF {
		t.Error(err)
	}
}

// buffered is a connection that has received all that will ever come.
type buffered struct {
	net.Conn
	in  io.Reader
	out bytes.Buffer
}

func (b *buffered) Read(p []byte) (int, error)       { return b.in.Read(p) }
func (b *buffered) Write(p []byte) (int, error)      { return b.out.Write(p) }
func (b *buffered) Close() error                     { return nil }
func (b *buffered) SetReadDeadline(time.Time) error  { return nil }
func (b *buffered) SetWriteDeadline(time.Time) error { return nil }

// FuzzRead feeds a connection with any bytes: what it gives is within the limits, and what it answers are frames.
func FuzzRead(f *testing.F) {
	f.Add(frame(0x81, "hello"))
	f.Add(append(frame(0x01, "hel"), append(frame(0x89, "x"), frame(0x80, "lo")...)...))
	f.Add(closing(1000, "bye"))
	f.Add([]byte{0x82, 0xff, 0x7f, 255, 255, 255, 255, 255, 255, 255, 1, 2, 3, 4})
	f.Fuzz(func(t *testing.T, in []byte) {
		b := &buffered{in: bytes.NewReader(in)}
		c := websocket.New(b, bufio.NewReader(b), websocket.Options{MaxMessage: 100})
		for {
			kind, message, err := c.Read()
			if err != nil {
				break
			}
			if len(message) > 100 || kind != websocket.Text && kind != websocket.Binary {
				t.Fatalf("a message of kind %d with %d bytes", kind, len(message))
			}
		}
		p := &peer{t: t, r: bufio.NewReader(&b.out)}
		for closed := false; b.out.Len() > 0 || p.r.Buffered() > 0; {
			first, payload := p.read()
			if closed || len(payload) > 125 || first != 0x8a && first != 0x88 {
				t.Fatalf("the answer is %#x %q", first, payload)
			}
			closed = first == 0x88
		}
		c.Close()
	})
}

// watching is a connection whose server watches over peers that do not read.
type watching struct{ net.Conn }

func (watching) WatchesStalls() {}

// TestSlowReader holds that a peer that takes a large message slowly gets all of it, and that nothing is limited twice.
func TestSlowReader(t *testing.T) {
	for name, tt := range map[string]struct {
		size, piece int
		pause       time.Duration
		watched     bool
	}{
		"slow":    {200 << 10, 16 << 10, 50 * time.Second, false},
		"watched": {100, 102, time.Hour, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				own, peer := net.Pipe()
				nc := own
				if tt.watched {
					nc = watching{own}
				}
				c := websocket.New(nc, bufio.NewReader(nc), websocket.Options{WriteTimeout: time.Minute})
				var reader sync.WaitGroup
				reader.Go(func() {
					for piece := make([]byte, tt.piece); ; {
						time.Sleep(tt.pause)
						if _, err := io.ReadFull(peer, piece); err != nil {
							return
						}
					}
				})
				if err := c.Write(websocket.Binary, make([]byte, tt.size)); err != nil {
					t.Error(err)
				}
				c.Close()
				reader.Wait()
				peer.Close()
			})
		})
	}
}
