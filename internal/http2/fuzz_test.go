package http2_test

import (
	"bytes"
	"encoding/binary"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hanse-go/hanse/internal/http2"
	xhpack "golang.org/x/net/http2/hpack"
)

const clientPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// FuzzServer gives a server the frames of a client, cut into pieces, and then the end of the connection. Whatever they are, the
// connection ends, no handler, stream or queued byte is left, and what it wrote are frames as the protocol has them.
func FuzzServer(f *testing.F) {
	post := func(stream uint32, flags byte, path string, more ...string) []byte {
		return frameBytes(tHeaders, flags, stream, block(append([]string{":method", "POST", ":scheme", "http", ":path", path, ":authority", "x"}, more...)...))
	}
	settings := frameBytes(tSettings, 0, 0, nil)
	f.Add(slices.Concat(settings, post(1, fEndHeaders|fEndStream, "/"), post(3, fEndHeaders|fEndStream, "/large"), post(5, fEndHeaders|fEndStream, "/panic")), uint16(0))
	f.Add(slices.Concat(settings, post(1, fEndHeaders, "/", "trailer", "x-sum", "expect", "100-continue"), frameBytes(tData, 0, 1, []byte("hello")),
		frameBytes(tHeaders, fEndHeaders|fEndStream, 1, block("x-sum", "5"))), uint16(7))
	f.Add(slices.Concat(settings, post(1, fEndHeaders, "/", "content-length", "3"), frameBytes(tData, fEndStream|fPadded, 1, []byte("\x02abc\x00\x00"))), uint16(1))
	f.Add(slices.Concat(frameBytes(tSettings, 0, 0, []byte("\x00\x04\x00\x00\x00\x0a\x00\x01\x00\x00\x00\x00")), post(1, fEndHeaders|fEndStream, "/large"),
		frameBytes(tWindow, 0, 1, u32(100)), frameBytes(tWindow, 0, 0, u32(1)), frameBytes(tSettings, 0, 0, []byte("\x00\x04\x00\x01\x00\x00\x00\x05\x00\x00\x80\x00")),
		frameBytes(tPing, 0, 0, []byte("12345678")), frameBytes(tReset, 0, 1, u32(8))), uint16(100))
	f.Add(slices.Concat(settings, post(1, fEndStream, "/"), frameBytes(tContinuation, 0, 1, block("x-one", "1")), frameBytes(tContinuation, fEndHeaders, 1, block("x-two", "2")),
		frameBytes(tPriority, 0, 1, []byte("\x00\x00\x00\x03\x10")), frameBytes(tGoAway, 0, 0, make([]byte, 8)), frameBytes(42, 0, 0, []byte("unknown"))), uint16(0))
	f.Add(slices.Concat(settings, frameBytes(tHeaders, fEndHeaders|fEndStream|fPriority|fPadded, 1, append([]byte("\x01\x80\x00\x00\x00\xff"), append(get(), 0)...)),
		frameBytes(tHeaders, fEndHeaders|fEndStream, 3, []byte("\x82\x86\x84\x41\x8c\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff")),
		frameBytes(tHeaders, fEndHeaders, 5, []byte("\x82\x86\x84\xbe")), frameBytes(tSettings, fAck, 0, nil), frameBytes(tPush, 0, 1, nil)), uint16(3))

	f.Fuzz(func(t *testing.T, frames []byte, piece uint16) {
		synctest.Test(t, func(t *testing.T) {
			budget := http2.NewBudget(1 << 20)
			web := &http2.Web{Handler: http.HandlerFunc(fuzzHandler), Logger: slog.New(slog.DiscardHandler)}
			nc := newScript(append([]byte(clientPreface), frames...), int(piece))
			conn := http2.NewServerConn(nc, &http2.Config{Budget: budget, MaxStreams: 10}, web)
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				conn.Serve()
			}()
			synctest.Wait() // handlers wait for the client now
			nc.end()
			<-ended
			if err := web.Wait(nil); err != nil {
				t.Error(err)
			}
			<-conn.Done()
			if n, used := conn.Streams(), budget.Used(); n != 0 || used != 0 {
				t.Errorf("%d streams and %d bytes are left", n, used)
			}
			checkFrames(t, nc.written())
		})
	})
}

func fuzzHandler(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/panic":
		panic("mistake")
	case "/large":
		w.Header().Set("Trailer", "X-Sum")
		for range 10 {
			if _, err := w.Write(make([]byte, 50_000)); err != nil {
				return
			}
		}
		w.Header().Set("X-Sum", "1")
	case "/early":
		w.WriteHeader(http.StatusEarlyHints)
	default:
		io.Copy(w, r.Body)
		for name := range r.Trailer {
			w.Header()[http.TrailerPrefix+name] = r.Trailer[name]
		}
	}
}

// FuzzClient gives a client with open streams the frames of a server, and then the end of the connection. Whatever they are, each
// receiver gets one end, the client's goroutines end, and what it wrote are frames as the protocol has them.
func FuzzClient(f *testing.F) {
	settings := frameBytes(tSettings, 0, 0, nil)
	head := block(":status", "200", "content-type", "application/grpc")
	f.Add(slices.Concat(settings, frameBytes(tHeaders, fEndHeaders, 1, head), frameBytes(tData, 0, 1, []byte("hello")), frameBytes(tHeaders, fEndHeaders|fEndStream, 1, block("grpc-status", "0")),
		frameBytes(tReset, 0, 3, u32(7)), frameBytes(tHeaders, fEndHeaders|fEndStream, 5, head)), uint16(0))
	f.Add(slices.Concat(settings, frameBytes(tHeaders, fEndHeaders, 1, block(":status", "100")), frameBytes(tHeaders, fEndHeaders, 1, block(":status", "103")),
		frameBytes(tHeaders, 0, 1, head), frameBytes(tContinuation, fEndHeaders, 1, block("x", "1")), frameBytes(tData, fEndStream|fPadded, 1, []byte("\x01abc\x00"))), uint16(5))
	f.Add(slices.Concat(frameBytes(tSettings, 0, 0, []byte("\x00\x03\x00\x00\x00\x01\x00\x04\x00\x00\x00\x0a\x00\x05\x00\x00\x40\x00")), frameBytes(tWindow, 0, 3, u32(1000)), frameBytes(tWindow, 0, 0, u32(1000)),
		frameBytes(tGoAway, 0, 0, []byte("\x00\x00\x00\x01\x00\x00\x00\x00bye")), frameBytes(tHeaders, fEndHeaders|fEndStream, 1, head), frameBytes(tPing, 0, 0, []byte("12345678"))), uint16(1))
	f.Add(slices.Concat(settings, frameBytes(tPush, fEndHeaders, 1, append(u32(2), get()...)), frameBytes(tSettings, fAck, 0, nil)), uint16(0))
	f.Add([]byte("HTTP/1.1 400 Bad Request\r\n\r\n"), uint16(0))

	f.Fuzz(func(t *testing.T, frames []byte, piece uint16) {
		synctest.Test(t, func(t *testing.T) {
			nc := newScript(frames, int(piece))
			conn := http2.NewClientConn(nc, &http2.Config{}, http2.ClientEvents{})
			giveUp := make(chan struct{})
			var calls sync.WaitGroup
			for i := range 3 {
				calls.Go(func() {
					c := newCall()
					if err := conn.Open(giveUp, &c.Stream, c, &http2.Frames{Head: postHead, Data: []byte("request"), End: i == 0}); err != nil {
						if len(c.heads)+len(c.data) > 0 || c.end || c.err != nil {
							t.Errorf("Open failed with %v, and the receiver was called", err)
						}
						return
					}
					if i > 0 {
						if c.Send(&http2.Frames{Data: make([]byte, 100_000), End: i == 1}) == nil {
							c.Wait(giveUp)
						}
					}
					c.waitEnd()
					c.Finish()
					c.mu.Lock()
					defer c.mu.Unlock()
					if c.calls > 0 || c.end == (c.err != nil) {
						t.Errorf("%d calls after the end; ended: %v, aborted: %v", c.calls, c.end, c.err)
					}
				})
			}
			synctest.Wait()
			nc.end()
			<-conn.Done()
			close(giveUp)
			calls.Wait()
			if n := conn.Streams(); n != 0 {
				t.Errorf("%d streams are left", n)
			}
			if p, ok := bytes.CutPrefix(nc.written(), []byte(clientPreface)); ok {
				checkFrames(t, p)
			} else if len(p) > 0 {
				t.Errorf("what was written does not begin with the preface: %q", p[:min(len(p), 30)])
			}
		})
	})
}

// checkFrames checks that p consists of whole frames, that header blocks can be decoded, and that no stream goes on after its end.
func checkFrames(t *testing.T, p []byte) {
	t.Helper()
	dec := xhpack.NewDecoder(4096, nil)
	ended := make(map[uint32]bool)
	var headers []byte
	for first := true; len(p) > 0; first = false {
		if len(p) < 9 {
			t.Fatalf("%d bytes are left of a frame", len(p))
		}
		n, typ, flags, stream := int(p[0])<<16|int(p[1])<<8|int(p[2]), p[3], p[4], binary.BigEndian.Uint32(p[5:])
		if len(p) < 9+n {
			t.Fatalf("a frame of type %d announces %d bytes, of which %d are there", typ, n, len(p)-9)
		}
		payload := p[9 : 9+n]
		p = p[9+n:]
		if first && typ != tSettings {
			t.Fatalf("the first frame has type %d", typ)
		}
		if (typ == tContinuation) != (headers != nil) {
			t.Fatalf("a frame of type %d within or without a header block", typ)
		}
		switch typ {
		case tData, tHeaders:
			if ended[stream] {
				t.Fatalf("a frame of type %d on stream %d after its end", typ, stream)
			}
			ended[stream] = flags&fEndStream != 0
		case tReset:
			if n != 4 || stream == 0 {
				t.Fatalf("RST_STREAM of %d bytes on stream %d", n, stream)
			}
			ended[stream] = true
		case tSettings, tPing, tGoAway:
			if stream != 0 {
				t.Fatalf("a frame of type %d on stream %d", typ, stream)
			}
		case tWindow:
			if n != 4 || binary.BigEndian.Uint32(payload)-1 >= 1<<31-1 {
				t.Fatalf("WINDOW_UPDATE of %x", payload)
			}
		case tContinuation:
		default:
			t.Fatalf("a frame of type %d", typ)
		}
		if typ == tHeaders || typ == tContinuation {
			headers = append(headers, payload...)
			if headers == nil {
				headers = []byte{}
			}
			if flags&fEndHeaders != 0 {
				if _, err := dec.DecodeFull(headers); err != nil {
					t.Fatalf("header block %x: %v", headers, err)
				}
				headers = nil
			}
		}
	}
}

// script is a connection on which comes what a test says, and then, when the test says so, its end.
type script struct {
	piece int // how many bytes one Read gives at most; 0: all

	mu     sync.Mutex
	more   sync.Cond
	in     []byte
	out    bytes.Buffer
	closed bool
}

func newScript(in []byte, piece int) *script {
	s := &script{in: in, piece: piece}
	s.more.L = &s.mu
	return s
}

func (s *script) Read(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.in) == 0 && !s.closed {
		s.more.Wait()
	}
	if len(s.in) == 0 {
		return 0, io.EOF
	}
	if s.piece > 0 {
		p = p[:min(len(p), s.piece)]
	}
	n := copy(p, s.in)
	s.in = s.in[n:]
	return n, nil
}

func (s *script) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return 0, net.ErrClosed
	}
	return s.out.Write(p)
}

// end ends the connection when all of it has been read.
func (s *script) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.more.Broadcast()
}

func (s *script) Close() error {
	s.mu.Lock()
	s.in = nil
	s.mu.Unlock()
	s.end()
	return nil
}

func (s *script) written() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return bytes.Clone(s.out.Bytes())
}

func (s *script) LocalAddr() net.Addr              { return scriptAddr{} }
func (s *script) RemoteAddr() net.Addr             { return scriptAddr{} }
func (s *script) SetDeadline(time.Time) error      { return nil }
func (s *script) SetReadDeadline(time.Time) error  { return nil }
func (s *script) SetWriteDeadline(time.Time) error { return nil }

type scriptAddr struct{}

func (scriptAddr) Network() string { return "script" }
func (scriptAddr) String() string  { return "script" }
