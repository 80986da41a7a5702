package http2_test

import (
	"bytes"
	"encoding/binary"
	"io"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/hanse-go/hanse/internal/hpack"
	"github.com/hanse-go/hanse/internal/http2"
)

// blocked is a handler that lasts until released, whatever becomes of its stream.
func blocked() (serve func(*serverCall), release func(), running *atomic.Int32) {
	ch := make(chan struct{})
	running = new(atomic.Int32)
	return func(*serverCall) { running.Add(1); <-ch; running.Add(-1) }, func() { close(ch) }, running
}

func TestRapidReset(t *testing.T) {
	serve, release, running := blocked()
	h := &handler{serve: serve, cfg: http2.Config{MaxStreams: 20, MaxResets: 100}}
	r, _ := rawClient(t, h)
	t.Cleanup(release)
	go r.flood(100_000, func(i int) bool {
		id := uint32(2*i + 1)
		return r.open(id, true) && r.send(tReset, 0, id, u32(8))
	})
	r.wantGoAway(http2.EnhanceYourCalm)
	if n := running.Load(); n > 20 {
		t.Errorf("%d handlers run, and 20 streams are allowed", n)
	}
}

func TestMadeYouReset(t *testing.T) {
	serve, release, running := blocked()
	h := &handler{serve: serve, cfg: http2.Config{MaxStreams: 20, MaxResets: 100}}
	r, c := rawClient(t, h)
	t.Cleanup(release)
	for i := range 20 {
		id := uint32(2*i + 1)
		r.open(id, false)
		r.send(tWindow, 0, id, u32(0))
		r.wantReset(id, http2.ProtocolError)
	}
	eventually(t, "all handlers run", func() bool { return running.Load() == 20 })
	r.open(101, false)
	r.wantReset(101, http2.RefusedStream)
	if n := c.Streams(); n != 20 {
		t.Errorf("%d streams count", n)
	}
	go r.flood(1000, func(i int) bool { return r.open(uint32(103+2*i), false) })
	r.wantGoAway(http2.EnhanceYourCalm)
}

func TestContinuationFlood(t *testing.T) {
	for name, part := range map[string][]byte{"empty": {}, "small": []byte("x"), "large": bytes.Repeat([]byte("x"), 16000)} {
		t.Run(name, func(t *testing.T) {
			r, _ := rawClient(t, new(handler))
			r.send(tHeaders, 0, 1, get())
			go r.flood(100, func(int) bool { return r.send(tContinuation, 0, 1, part) })
			r.wantGoAway(http2.EnhanceYourCalm)
		})
	}
}

// TestHeaderBomb sends a list that is small on the wire and large when it is decoded.
func TestHeaderBomb(t *testing.T) {
	r, _ := rawClient(t, new(handler))
	value := strings.Repeat("v", 3000)
	// An entry of 3 KiB in the table, then 40 times its index.
	bomb := append(get(), 0x40, 1, 'n', 0x7f, 0xb9, 0x16)
	if got := hpack.AppendLiteral(nil, "n", value, false); !bytes.HasPrefix(got[3:], []byte{0x7f, 0xb9, 0x16}) {
		t.Fatalf("the length of the test's literal is coded as %x", got[:6])
	}
	bomb = append(bomb, value...)
	bomb = append(bomb, bytes.Repeat([]byte{0x80 | 62}, 40)...)
	r.send(tHeaders, fEndHeaders|fEndStream, 1, bomb)
	f := r.until("an answer", func(f rawFrame) bool { return f.typ == tHeaders })
	if h := r.headers(f); h[":status"] != "431" || f.flags&fEndStream == 0 {
		t.Errorf("answered with %v", h)
	}
	// The connection is fine, and the table is as the client has it.
	r.send(tHeaders, fEndHeaders|fEndStream, 3, append(get(), 0x80|62))
	f = r.until("an answer", func(f rawFrame) bool { return f.typ == tHeaders })
	if h := r.headers(f); h[":status"] != "200" {
		t.Errorf("the next call was answered with %v", h)
	}
}

func TestFloods(t *testing.T) {
	cfg := http2.Config{MaxControl: 200, MinPingInterval: -1}
	for name, one := range map[string]func(r *rawPeer, i int) bool{
		"PING":          func(r *rawPeer, i int) bool { return r.send(tPing, 0, 0, make([]byte, 8)) },
		"answered PING": func(r *rawPeer, i int) bool { return r.send(tPing, fAck, 0, make([]byte, 8)) },
		"SETTINGS":      func(r *rawPeer, i int) bool { return r.settings(4, uint32(i)) },
		"empty DATA":    func(r *rawPeer, i int) bool { return r.send(tData, 0, 1, nil) },
		"padded DATA":   func(r *rawPeer, i int) bool { return r.send(tData, fPadded, 1, []byte{0}) },
		"PRIORITY":      func(r *rawPeer, i int) bool { return r.send(tPriority, 0, 1, make([]byte, 5)) },
		"WINDOW_UPDATE": func(r *rawPeer, i int) bool { return r.send(tWindow, 0, 1, u32(1)) },
		"unknown frame": func(r *rawPeer, i int) bool { return r.send(77, 0, 0, nil) },
		"closed RST":    func(r *rawPeer, i int) bool { return r.send(tReset, 0, 1, u32(8)) },
		"RST and new": func(r *rawPeer, i int) bool {
			id := uint32(2*i + 3)
			return r.open(id, false) && r.send(tReset, 0, id, u32(8))
		},
		"GOAWAY":           func(r *rawPeer, i int) bool { return r.send(tGoAway, 0, 0, make([]byte, 8)) },
		"DATA after reset": func(r *rawPeer, i int) bool { return r.send(tReset, 0, 1, u32(8)) && r.send(tData, 0, 1, nil) },
	} {
		t.Run(name, func(t *testing.T) {
			cfg := cfg
			if name == "DATA after reset" || name == "RST and new" {
				cfg.MaxResets = 10
			}
			r, _ := rawClient(t, &handler{cfg: cfg})
			r.open(1, false)
			go r.flood(20_000, func(i int) bool { return one(r, i) })
			r.wantGoAway(http2.EnhanceYourCalm)
		})
	}
}

// TestControlFramesOfRealCalls checks that calls earn the control frames that come with them.
func TestControlFramesOfRealCalls(t *testing.T) {
	r, _ := rawClient(t, &handler{cfg: http2.Config{MaxControl: 20, MinPingInterval: -1}})
	for i := range 500 {
		id := uint32(2*i + 1)
		r.send(tWindow, 0, 0, u32(100))
		r.send(tHeaders, fEndHeaders, id, get())
		r.send(tWindow, 0, id, u32(100))
		r.send(tData, fEndStream, id, []byte("hello"))
		r.until("the answer's end", func(f rawFrame) bool { return f.stream == id && f.flags&fEndStream != 0 && f.typ <= tHeaders })
	}
}

func TestTooManyPings(t *testing.T) {
	r, _ := rawClient(t, new(handler))
	for range 5 {
		r.send(tPing, 0, 0, make([]byte, 8))
	}
	f := r.wantGoAway(http2.EnhanceYourCalm)
	if string(f.p[8:]) != "too_many_pings" {
		t.Errorf("GOAWAY says %q", f.p[8:])
	}
}

// TestUnreadAnswers checks that what a peer does not read is bounded.
func TestUnreadAnswers(t *testing.T) {
	h := &handler{cfg: http2.Config{MaxControl: -1}}
	r, c := rawClient(t, h)
	go r.flood(1_000_000, func(int) bool { return r.settings() })
	<-c.Done()
	if err := c.Err(); err == nil || !strings.Contains(err.Error(), "are not read") {
		t.Errorf("ended with %v", err)
	}
}

func TestWindowErrors(t *testing.T) {
	t.Run("connection overflow", func(t *testing.T) {
		r, _ := rawClient(t, new(handler))
		r.send(tWindow, 0, 0, u32(1<<31-1))
		r.wantGoAway(http2.FlowControlError)
	})
	t.Run("connection zero", func(t *testing.T) {
		r, _ := rawClient(t, new(handler))
		r.send(tWindow, 0, 0, u32(0))
		r.wantGoAway(http2.ProtocolError)
	})
	t.Run("stream overflow", func(t *testing.T) {
		r, _ := rawClient(t, new(handler))
		r.open(1, false)
		r.send(tWindow, 0, 1, u32(1<<31-1))
		r.wantReset(1, http2.FlowControlError)
		r.sync()
	})
	t.Run("stream zero", func(t *testing.T) {
		r, _ := rawClient(t, new(handler))
		r.open(1, false)
		r.send(tWindow, 0, 1, u32(0))
		r.wantReset(1, http2.ProtocolError)
		r.sync()
	})
	t.Run("overflow by SETTINGS", func(t *testing.T) {
		r, _ := rawClient(t, new(handler))
		r.open(1, false)
		r.send(tWindow, 0, 1, u32(1<<31-1-65535))
		r.settings(4, 65536)
		r.wantGoAway(http2.FlowControlError)
	})
	t.Run("stream exceeded", func(t *testing.T) {
		h := &handler{serve: func(c *serverCall) { c.wait(func() bool { return false }) }, cfg: http2.Config{StreamWindow: 65_535}}
		r, _ := rawClient(t, h)
		r.open(1, false)
		for range 5 {
			r.send(tData, 0, 1, make([]byte, 16_000))
		}
		r.wantReset(1, http2.FlowControlError)
		r.sync()
	})
	t.Run("connection exceeded", func(t *testing.T) {
		h := &handler{serve: func(c *serverCall) { c.wait(func() bool { return false }) }, cfg: http2.Config{ConnWindow: 65_535}}
		r, _ := rawClient(t, h)
		r.open(1, false)
		for range 5 {
			r.send(tData, 0, 1, make([]byte, 16_000))
		}
		r.wantGoAway(http2.FlowControlError)
	})
}

// TestUnreadResponses checks that answers without bodies, which no window holds back, are bounded when they are not read.
func TestUnreadResponses(t *testing.T) {
	var made atomic.Int32
	h := &handler{serve: func(c *serverCall) {
		made.Add(1)
		c.Send(&http2.Frames{HeadMore: block(":status", "200", "x", strings.Repeat("x", 1000)), End: true})
	}, cfg: http2.Config{MaxStreams: 100}}
	r, c := rawClient(t, h)
	go r.flood(1_000_000, func(i int) bool { return r.open(uint32(2*i+1), true) })
	<-c.Done()
	if n := made.Load(); n > 3000 {
		t.Errorf("%d answers of 1 kB were made for a peer that reads none", n)
	}
}

func TestPaddingIsCredited(t *testing.T) {
	h := &handler{serve: func(c *serverCall) { c.wait(func() bool { return false }) }, cfg: http2.Config{ConnWindow: 100_000}}
	r, _ := rawClient(t, h)
	r.until("the first credit", func(f rawFrame) bool { return f.typ == tWindow })
	r.open(1, false)
	for range 200 { // 51,200 bytes, all but 200 of them padding
		r.send(tData, fPadded, 1, append([]byte{254, 'x'}, make([]byte, 254)...))
	}
	f := r.until("credit", func(f rawFrame) bool { return f.typ == tWindow && f.stream == 0 })
	if n := binary.BigEndian.Uint32(f.p); n < 50_000 || n > 51_000 {
		t.Errorf("credit of %d", n)
	}
}

func TestBadHeaders(t *testing.T) {
	base := []string{":method", "GET", ":scheme", "http", ":path", "/"}
	for name, fields := range map[string][]string{
		"upper case":        append(base[:6:6], "Name", "v"),
		"space in name":     append(base[:6:6], "na me", "v"),
		"empty name":        append(base[:6:6], "", "v"),
		"newline in value":  append(base[:6:6], "name", "a\nb"),
		"NUL in value":      append(base[:6:6], "name", "a\x00b"),
		"connection":        append(base[:6:6], "connection", "close"),
		"keep-alive":        append(base[:6:6], "keep-alive", "1"),
		"proxy-connection":  append(base[:6:6], "proxy-connection", "1"),
		"transfer-encoding": append(base[:6:6], "transfer-encoding", "chunked"),
		"upgrade":           append(base[:6:6], "upgrade", "h2c"),
		"te":                append(base[:6:6], "te", "gzip"),
		"late pseudo":       append([]string{"name", "v"}, base...),
		"unknown pseudo":    append(base[:6:6], ":other", "v"),
		"status":            append(base[:6:6], ":status", "200"),
		"protocol":          append(base[:6:6], ":protocol", "websocket"),
		"twice":             append(base[:6:6], ":path", "/"),
		"no method":         base[2:],
		"no scheme":         append(base[:2:2], base[4:]...),
		"no path":           base[:4],
		"empty path":        append(base[:4:4], ":path", ""),
		"relative path":     append(base[:4:4], ":path", "a"),
		"CONNECT with path": {":method", "CONNECT", ":authority", "x", ":path", "/"},
	} {
		t.Run(name, func(t *testing.T) {
			r, _ := rawClient(t, &handler{serve: func(*serverCall) { t.Error("a handler was called") }})
			r.send(tHeaders, fEndHeaders|fEndStream, 1, block(fields...))
			r.wantReset(1, http2.ProtocolError)
			r.sync()
		})
	}
	t.Run("te trailers", func(t *testing.T) {
		r, _ := rawClient(t, new(handler))
		r.send(tHeaders, fEndHeaders|fEndStream, 1, block(append(base[:6:6], "te", "trailers", "x", " blanks ")...))
		r.until("an answer", func(f rawFrame) bool { return f.typ == tHeaders })
	})
	for name, fields := range map[string][]string{"pseudo": {":path", "/"}, "connection": {"connection", "close"}} {
		t.Run("trailers with "+name, func(t *testing.T) {
			r, _ := rawClient(t, new(handler))
			r.open(1, false)
			r.send(tHeaders, fEndHeaders|fEndStream, 1, block(fields...))
			r.wantReset(1, http2.ProtocolError)
		})
	}
}

// TestHostileServer tells what a client makes of what no server may send.
func TestHostileServer(t *testing.T) {
	ok := block(":status", "200")
	for name, c := range map[string]struct {
		send  func(r *rawPeer)
		reset http2.ErrCode // of the stream
		away  http2.ErrCode // of the connection
	}{
		"push":             {send: func(r *rawPeer) { r.send(tPush, fEndHeaders, 1, append(u32(2), get()...)) }, away: http2.ProtocolError},
		"idle stream":      {send: func(r *rawPeer) { r.send(tHeaders, fEndHeaders, 9, ok) }, away: http2.ProtocolError},
		"even stream":      {send: func(r *rawPeer) { r.send(tHeaders, fEndHeaders, 2, ok) }, away: http2.ProtocolError},
		"idle data":        {send: func(r *rawPeer) { r.send(tData, 0, 9, nil) }, away: http2.ProtocolError},
		"data first":       {send: func(r *rawPeer) { r.send(tData, 0, 1, []byte("x")) }, reset: http2.ProtocolError},
		"no status":        {send: func(r *rawPeer) { r.send(tHeaders, fEndHeaders, 1, block("x", "y")) }, reset: http2.ProtocolError},
		"bad status":       {send: func(r *rawPeer) { r.send(tHeaders, fEndHeaders, 1, block(":status", "2x0")) }, reset: http2.ProtocolError},
		"path in response": {send: func(r *rawPeer) { r.send(tHeaders, fEndHeaders, 1, block(":status", "200", ":path", "/")) }, reset: http2.ProtocolError},
		"1xx at the end":   {send: func(r *rawPeer) { r.send(tHeaders, fEndHeaders|fEndStream, 1, block(":status", "103")) }, reset: http2.ProtocolError},
		"101":              {send: func(r *rawPeer) { r.send(tHeaders, fEndHeaders, 1, block(":status", "101")) }, reset: http2.ProtocolError},
		"two headers":      {send: func(r *rawPeer) { r.send(tHeaders, fEndHeaders, 1, ok); r.send(tHeaders, fEndHeaders, 1, ok) }, reset: http2.ProtocolError},
		"large header": {send: func(r *rawPeer) {
			r.send(tHeaders, fEndHeaders, 1, block(":status", "200", "x", strings.Repeat("x", 12_000)))
		}, reset: http2.FrameSizeError},
		"bad compression": {send: func(r *rawPeer) { r.send(tHeaders, fEndHeaders, 1, []byte{0xff, 0xff}) }, away: http2.CompressionError},
		"enable push":     {send: func(r *rawPeer) { r.settings(2, 1) }, away: http2.ProtocolError},
		"1xx flood": {send: func(r *rawPeer) {
			r.flood(50_000, func(int) bool { return r.send(tHeaders, fEndHeaders, 1, block(":status", "103")) })
		}, away: http2.EnhanceYourCalm},
		"PING flood": {send: func(r *rawPeer) {
			r.flood(50_000, func(int) bool { return r.send(tPing, 0, 0, make([]byte, 8)) })
		}, away: http2.EnhanceYourCalm},
	} {
		t.Run(name, func(t *testing.T) {
			r, conn := rawServer(t, http2.Config{MaxHeaderList: 10_000, MaxControl: 200}, http2.ClientEvents{})
			call := newCall()
			if err := conn.Open(nil, &call.Stream, call, &http2.Frames{Head: postHead, End: true}); err != nil {
				t.Fatal(err)
			}
			r.until("the request", func(f rawFrame) bool { return f.typ == tHeaders })
			go c.send(r)
			err := call.waitEnd()
			if c.reset != 0 {
				r.wantReset(1, c.reset)
				if se, ok := err.(*http2.StreamError); !ok || se.Code != c.reset || !se.Local || se.Reason == "" {
					t.Errorf("the call ended with %v", err)
				}
			} else {
				r.wantGoAway(c.away)
				if ce, ok := err.(*http2.ConnError); !ok || ce.Code != c.away || !ce.Local {
					t.Errorf("the call ended with %v", err)
				}
			}
		})
	}
}

func TestNotHTTP2(t *testing.T) {
	nc, sn := networks["memory"](t)
	h := new(handler)
	c := http2.NewServerConn(sn, nil, h)
	go c.Serve()
	io.WriteString(nc, "GET / HTTP/1.1\r\n\r\n")
	r := newRaw(t, nc)
	r.wantGoAway(http2.ProtocolError)
	nc.Close()
	<-c.Done()
	if err := c.Err(); err == nil || !strings.Contains(err.Error(), "preface") {
		t.Error(err)
	}
}

// TestCreditOnConsumption checks that a body that is not consumed is bounded by the window, and flows on when it is consumed.
func TestCreditOnConsumption(t *testing.T) {
	const window = 200_000
	consume := make(chan struct{})
	var got atomic.Int64
	h := &handler{serve: func(c *serverCall) {
		c.wait(func() bool { got.Store(int64(len(c.data))); return len(c.data) == window })
		<-consume
		c.echo()
	}, cfg: http2.Config{StreamWindow: window}}
	e := start(t, "memory", h, http2.Config{}, http2.ClientEvents{})
	body := bytes.Repeat([]byte("0123456789"), 100_000)
	result := make(chan error)
	go func() { result <- e.call(body) }()
	eventually(t, "the window is full", func() bool { return got.Load() == window })
	if n := got.Load(); n != window {
		t.Errorf("%d bytes came, and the window is %d", n, window)
	}
	close(consume)
	if err := <-result; err != nil {
		t.Error(err)
	}
}

// TestFramesAfterTheEnd holds that a frame on a stream that the client has ended is answered, whenever the stream's reply ends: a stream
// that is open in the one direction is reset, and one that is closed costs the connection (RFC 9113 section 5.1).
func TestFramesAfterTheEnd(t *testing.T) {
	const rounds = 2000
	var reset, closed int
	for i := range rounds {
		h := &handler{serve: func(c *serverCall) { c.Send(&http2.Frames{Head: okHead, End: true}) }}
		r, c := rawClient(t, h)
		r.open(1, true)
		for range i % 50 { // so that the two meet, wherever it takes how long
			runtime.Gosched()
		}
		r.open(1, true)
		f := r.until("the answer to a second HEADERS", func(f rawFrame) bool { return f.typ == tReset || f.typ == tGoAway })
		if f.code() != http2.StreamClosed {
			t.Fatalf("answered with %v", f)
		}
		if f.typ == tReset {
			reset++
		} else {
			closed++
		}
		r.nc.Close()
		<-c.Done()
	}
	t.Logf("%d streams were reset, %d connections ended", reset, closed)
}
