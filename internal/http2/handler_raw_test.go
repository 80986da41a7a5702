package http2_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hanse-go/hanse/internal/http2"
)

// raw connects a peer that sends what a stock client would not.
func (t *webTest) raw(settings ...uint32) *rawPeer {
	t.Helper()
	nc, err := net.Dial("tcp", t.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	return begin(t, nc, settings...)
}

func begin(t testing.TB, nc net.Conn, settings ...uint32) *rawPeer {
	r := newRaw(t, nc)
	io.WriteString(nc, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
	r.settings(settings...)
	return r
}

// request sends a header that ends the stream, or not.
func (r *rawPeer) request(stream uint32, end bool, fields ...string) {
	flags := byte(fEndHeaders)
	if end {
		flags |= fEndStream
	}
	r.send(tHeaders, flags, stream, block(fields...))
}

// post are the pseudo-header fields of a request with a body.
func post(more ...string) []string {
	return append([]string{":method", "POST", ":scheme", "http", ":path", "/", ":authority", "x"}, more...)
}

// exchange reads what comes on a stream until it ends, one line for each header and one for the body.
func (r *rawPeer) exchange(stream uint32) (lines []string) {
	r.t.Helper()
	var body []byte
	flush := func() {
		if len(body) > 0 {
			lines = append(lines, fmt.Sprintf("DATA %q", body))
			body = nil
		}
	}
	defer func() { flush() }()
	for {
		f, err := r.read()
		if err != nil {
			return append(lines, "end of the connection")
		}
		if f.typ == tGoAway && f.code() != http2.NoError {
			return append(lines, "GOAWAY "+f.code().String())
		}
		if f.stream != stream {
			continue
		}
		switch f.typ {
		case tHeaders:
			flush()
			var fields []string
			for name, value := range r.headers(f) {
				if name != "date" {
					fields = append(fields, fmt.Sprintf("%s=%q", name, value))
				}
			}
			slices.Sort(fields)
			lines = append(lines, "HEADERS "+strings.Join(fields, " "))
		case tData:
			body = append(body, f.p...)
		case tReset:
			flush()
			return append(lines, "RESET "+f.code().String())
		}
		if (f.typ == tHeaders || f.typ == tData) && f.flags&fEndStream != 0 {
			flush()
			return append(lines, "END")
		}
	}
}

// noteExchange notes what comes on a stream.
func (t *webTest) noteExchange(r *rawPeer, stream uint32) {
	t.Helper()
	for _, line := range r.exchange(stream) {
		t.note("peer: %s", line)
	}
}

// rawCases are exchanges that a stock client does not have.
var rawCases = []webCase{
	{name: "raw get", handle: noteRequest, do: func(t *webTest) {
		r := t.raw()
		r.request(1, true, ":method", "GET", ":scheme", "http", ":path", "/a?b", ":authority", "example.com", "x-one", "1", "te", "trailers")
		t.noteExchange(r, 1)
	}, want: `handler: header Te: ["trailers"], X-One: ["1"]`},
	{name: "crumbs of cookies", handle: noteRequest, do: func(t *webTest) {
		r := t.raw()
		r.request(1, true, ":method", "GET", ":scheme", "http", ":path", "/", ":authority", "x", "cookie", "a=1", "x-one", "1", "cookie", "b=2", "cookie", "c=3")
		t.noteExchange(r, 1)
	}, want: `Cookie: ["a=1; b=2; c=3"]`},
	{name: "host instead of authority", handle: func(t *webTest, w http.ResponseWriter, r *http.Request) { t.note("handler: %s", r.Host) }, do: func(t *webTest) {
		r := t.raw()
		r.request(1, true, ":method", "GET", ":scheme", "http", ":path", "/", "host", "example.com")
		t.noteExchange(r, 1)
	}, want: "handler: example.com"},
	{name: "connect", handle: noteRequest, do: func(t *webTest) {
		r := t.raw()
		r.request(1, true, ":method", "CONNECT", ":authority", "example.com:443")
		t.noteExchange(r, 1)
	}, want: "CONNECT example.com:443 HTTP/2.0 host example.com:443"},
	{name: "options of the server", handle: noteRequest, do: func(t *webTest) {
		r := t.raw()
		r.request(1, true, ":method", "OPTIONS", ":scheme", "http", ":path", "*", ":authority", "x")
		t.noteExchange(r, 1)
	}, want: `peer: HEADERS :status="200" content-length="0"`},
	{name: "path without slash", handle: noteRequest, do: func(t *webTest) {
		r := t.raw()
		r.request(1, true, ":method", "GET", ":scheme", "http", ":path", "path", ":authority", "x")
		t.noteExchange(r, 1)
	}, want: "peer: RESET PROTOCOL_ERROR"},
	{name: "path that is none", handle: noteRequest, do: func(t *webTest) {
		r := t.raw()
		r.request(1, true, ":method", "GET", ":scheme", "http", ":path", "/%zz", ":authority", "x")
		t.noteExchange(r, 1)
	}, want: "peer: RESET PROTOCOL_ERROR"},
	{name: "userinfo in the authority", handle: noteRequest, do: func(t *webTest) {
		r := t.raw()
		r.request(1, true, ":method", "GET", ":scheme", "http", ":path", "/", ":authority", "me@x")
		t.noteExchange(r, 1)
	}, want: "peer: RESET PROTOCOL_ERROR"},
	{name: "body longer than its length", handle: func(t *webTest, w http.ResponseWriter, r *http.Request) {
		t.note("handler: begun")
		b, err := io.ReadAll(r.Body)
		t.note("handler: %q failed %v", b, err != nil)
	}, do: func(t *webTest) {
		r := t.raw()
		r.request(1, false, post("content-length", "3")...)
		t.waitSeen(1)
		r.send(tData, 0, 1, []byte("one"))
		r.send(tData, 0, 1, []byte("two"))
		t.noteExchange(r, 1)
		t.waitSeen(3)
	}, want: "peer: RESET PROTOCOL_ERROR"},
	{name: "body unread", handle: func(t *webTest, w http.ResponseWriter, r *http.Request) {
		http.Error(w, "no", http.StatusRequestEntityTooLarge)
	}, do: func(t *webTest) {
		r := t.raw()
		r.request(1, false, post()...)
		t.noteExchange(r, 1)
		r.wantReset(1, http2.NoError)
		r.send(tData, fEndStream, 1, make([]byte, 10_000)) // was on its way
		r.request(3, true, post()...)
		t.noteExchange(r, 3)
	}, want: `peer: HEADERS :status="413"`},
	{name: "trailers that were not declared", handle: func(t *webTest, w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		t.note("handler: %q %v %s", b, err, headerLines(r.Trailer))
	}, do: func(t *webTest) {
		r := t.raw()
		r.request(1, false, post("trailer", "x-sum, content-length")...)
		r.send(tData, 0, 1, []byte("one"))
		r.request(1, true, "x-sum", "1", "x-other", "2")
		t.noteExchange(r, 1)
	}, want: `handler: "one" <nil> X-Sum: ["1"]`},
	{name: "trailers without a body", handle: func(t *webTest, w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		t.note("handler: %q %v %s", b, err, headerLines(r.Trailer))
	}, do: func(t *webTest) {
		r := t.raw()
		r.request(1, false, post("trailer", "x-sum")...)
		r.request(1, true, "x-sum", "1")
		t.noteExchange(r, 1)
	}, want: `handler: "" <nil> X-Sum: ["1"]`},
	{name: "raw expect continue", handle: func(t *webTest, w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		t.note("handler: %q %v", b, err)
	}, do: func(t *webTest) {
		r := t.raw()
		r.request(1, false, post("expect", "100-Continue")...)
		f := r.until("100", func(f rawFrame) bool { return f.typ == tHeaders })
		t.note("peer: %v, ends the stream %v", r.headers(f), f.flags&fEndStream != 0)
		r.send(tData, fEndStream, 1, []byte("one"))
		t.noteExchange(r, 1)
	}, want: `peer: map[:status:100], ends the stream false`},
	{name: "small windows", handle: writeBytes(100), do: func(t *webTest) {
		r := t.raw(4, 10)
		r.request(1, true, post()...)
		for range 9 {
			r.until("DATA", func(f rawFrame) bool { return f.typ == tData })
			r.send(tWindow, 0, 1, u32(10))
		}
		f := r.until("DATA", func(f rawFrame) bool { return f.typ == tData && len(f.p) > 0 })
		t.note("peer: %d bytes at last", len(f.p))
		if f.flags&fEndStream == 0 {
			t.noteExchange(r, 1)
		} else {
			t.note("peer: END")
		}
	}, want: "peer: 10 bytes at last"},
	{name: "reset in the body", handle: func(t *webTest, w http.ResponseWriter, r *http.Request) {
		t.note("handler: begun")
		b, err := io.ReadAll(r.Body)
		<-r.Context().Done()
		t.note("handler: %q failed %v", b, err != nil)
	}, do: func(t *webTest) {
		r := t.raw()
		r.request(1, false, post()...)
		t.waitSeen(1)
		r.send(tData, 0, 1, []byte("one"))
		r.send(tReset, 0, 1, u32(uint32(http2.Cancel)))
		t.waitSeen(2)
	}, want: `handler: "one" failed true`},
	{name: "lost in the body", handle: func(t *webTest, w http.ResponseWriter, r *http.Request) {
		t.note("handler: begun")
		_, err := io.ReadAll(r.Body)
		<-r.Context().Done()
		t.note("handler: failed %v", err != nil)
	}, do: func(t *webTest) {
		r := t.raw()
		r.request(1, false, post()...)
		t.waitSeen(1)
		r.send(tData, 0, 1, []byte("one"))
		r.nc.Close()
		t.waitSeen(2)
	}, want: `handler: failed true`},
}

var deadline0 = time.Unix(1, 0)

// TestWebIsStricter has what net/http lets pass.
func TestWebIsStricter(t *testing.T) {
	for _, c := range []webCase{
		{name: "body shorter than its length", handle: func(t *webTest, w http.ResponseWriter, r *http.Request) {
			t.note("handler: begun")
			b, err := io.ReadAll(r.Body)
			<-r.Context().Done()
			t.note("handler: %q failed %v", b, err != nil)
		}, do: func(t *webTest) {
			r := t.raw()
			r.request(1, false, post("content-length", "4")...)
			t.waitSeen(1)
			r.send(tData, fEndStream, 1, []byte("one"))
			t.noteExchange(r, 1)
			t.waitSeen(3)
		}, want: `handler: begun
handler: "one" failed true
peer: RESET PROTOCOL_ERROR`},
		{name: "body shorter than its length, with trailers", handle: func(t *webTest, w http.ResponseWriter, r *http.Request) {
			t.note("handler: begun")
			_, err := io.ReadAll(r.Body)
			t.note("handler: failed %v", err != nil)
		}, do: func(t *webTest) {
			r := t.raw()
			r.request(1, false, post("content-length", "4")...)
			t.waitSeen(1)
			r.request(1, true, "x", "1")
			t.noteExchange(r, 1)
			t.waitSeen(3)
		}, want: `handler: begun
handler: failed true
peer: RESET PROTOCOL_ERROR`},
		{name: "no body where one was announced", handle: noteRequest, do: func(t *webTest) {
			r := t.raw()
			r.request(1, true, post("content-length", "4")...)
			t.noteExchange(r, 1)
		}, want: "peer: RESET PROTOCOL_ERROR"},
		{name: "length that is no number", handle: noteRequest, do: func(t *webTest) {
			r := t.raw()
			r.request(1, false, post("content-length", "+4")...)
			t.noteExchange(r, 1)
		}, want: "peer: RESET PROTOCOL_ERROR"},
		{name: "two lengths", handle: noteRequest, do: func(t *webTest) {
			r := t.raw()
			r.request(1, false, post("content-length", "4", "content-length", "5")...)
			t.noteExchange(r, 1)
		}, want: "peer: RESET PROTOCOL_ERROR"},
		{name: "protocol that was not offered", handle: noteRequest, do: func(t *webTest) {
			r := t.raw()
			r.request(1, false, ":method", "CONNECT", ":protocol", "websocket", ":scheme", "http", ":path", "/", ":authority", "x")
			t.noteExchange(r, 1)
		}, want: "peer: RESET PROTOCOL_ERROR"},
		{name: "response shorter than its length", handle: func(t *webTest, w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "4")
			io.WriteString(w, "one")
			w.(http.Flusher).Flush()
		}, do: func(t *webTest) {
			t.get("/")
			t.stop()
			t.note("logs: %d", t.logged())
		}, want: `client: HTTP/2.0 200 length 4 Content-Length: ["4"], Content-Type: ["text/plain; charset=utf-8"], Date: ["now"]
client: body "one"
client: body error INTERNAL_ERROR
client: trailer 
logs: 1`},
		{name: "response longer than its length", handle: func(t *webTest, w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "3")
			n, err := io.WriteString(w, "one")
			t.note("handler: %d %v", n, err)
			n, err = io.WriteString(w, "two")
			t.note("handler: %d %v", n, errors.Is(err, http.ErrContentLength))
			k, err := io.Copy(w, strings.NewReader(strings.Repeat("three", 10_000)))
			t.note("handler: %d %v", k, errors.Is(err, http.ErrContentLength))
		}, do: func(t *webTest) {
			r := t.raw()
			r.request(1, true, post()...)
			t.noteExchange(r, 1)
		}, want: `handler: 3 <nil>
handler: 0 true
handler: 0 true
peer: HEADERS :status="200" content-length="3" content-type="text/plain; charset=utf-8"
peer: DATA "one"
peer: END`},
		{name: "fields of a connection", handle: func(t *webTest, w http.ResponseWriter, r *http.Request) {
			for _, name := range []string{"Connection", "Keep-Alive", "Proxy-Connection", "Transfer-Encoding", "Upgrade"} {
				w.Header().Set(name, "x")
			}
		}, do: func(t *webTest) {
			r := t.raw()
			r.request(1, true, post()...)
			t.noteExchange(r, 1)
		}, want: `peer: HEADERS :status="200" content-length="0"
peer: END`},
		{name: "switching protocols", handle: func(t *webTest, w http.ResponseWriter, r *http.Request) { w.WriteHeader(101) }, do: func(t *webTest) {
			r := t.raw()
			r.request(1, true, post()...)
			t.noteExchange(r, 1)
			t.note("logs: %d", t.logged())
		}, want: `peer: HEADERS :status="200" content-length="0"
peer: END
logs: 1`},
		{name: "host", handle: func(t *webTest, w http.ResponseWriter, r *http.Request) {
			t.note("handler: %s %s", r.Host, headerLines(r.Header))
		}, do: func(t *webTest) {
			r := t.raw()
			r.request(1, true, ":method", "GET", ":scheme", "http", ":path", "/", "host", "example.com")
			r.exchange(1)
		}, want: "handler: example.com "},
		{name: "what there is not", handle: func(t *webTest, w http.ResponseWriter, r *http.Request) {
			_, push := w.(http.Pusher)
			_, hijack := w.(http.Hijacker)
			t.note("handler: %v %v", push, hijack)
		}, do: func(t *webTest) {
			r := t.raw()
			r.request(1, true, post()...)
			r.exchange(1)
		}, want: "handler: false false"},
		{name: "length of a long answer to head", handle: writeBytes(100_000), do: func(t *webTest) {
			r := t.raw()
			r.request(1, true, ":method", "HEAD", ":scheme", "http", ":path", "/", ":authority", "x")
			t.noteExchange(r, 1)
		}, want: `handler: 100000 <nil>
peer: HEADERS :status="200" content-length="100000" content-type="text/plain; charset=utf-8"
peer: END`},
		{name: "used after the handler returned", handle: func(t *webTest, w http.ResponseWriter, r *http.Request) {
			context.AfterFunc(r.Context(), func() { t.note("handler: returned") })
			go func() {
				t.waitSeen(2)
				_, err := w.Write([]byte("late"))
				t.note("handler, late: write %v", err)
				_, err = r.Body.Read(make([]byte, 1))
				t.note("handler, late: read failed %v", err != nil && err != io.EOF)
				c := http.NewResponseController(w)
				t.note("handler, late: %v, %v, %v", c.Flush() != nil, c.SetReadDeadline(deadline0) != nil, c.SetWriteDeadline(deadline0) != nil)
			}()
		}, do: func(t *webTest) {
			r := t.raw()
			r.request(1, false, post()...)
			r.exchange(1)
			t.waitSeen(1)
			t.stop() // waits for the handler
			t.note("now")
			t.waitSeen(5)
		}, want: `handler: returned
handler, late: write http2: the response was used after its handler had returned
handler, late: read failed true
handler, late: true, true, true
now`},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := strings.Join(c.run(t, true), "\n"); got != c.want {
				t.Errorf("got:\n%s\nwant:\n%s", got, c.want)
			}
		})
	}
}

// TestWebBackpressure fills a stream's window and gets no credit before the handler reads, or closes the body.
func TestWebBackpressure(t *testing.T) {
	for _, how := range []string{"read", "close"} {
		t.Run(how, func(t *testing.T) {
			const window = 1 << 20
			begun, go_ := make(chan struct{}), make(chan struct{})
			web := &http2.Web{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				close(begun)
				<-go_
				if how == "close" {
					r.Body.Close()
					<-r.Context().Done()
					return
				}
				if _, err := io.ReadFull(r.Body, make([]byte, window)); err != nil {
					t.Error(err)
				}
				w.(http.Flusher).Flush()
				io.Copy(io.Discard, r.Body)
			})}
			r := servePipe(t, web)
			r.request(1, false, post()...)
			for range window / 16384 {
				r.send(tData, 0, 1, make([]byte, 16384))
			}
			<-begun
			r.send(tPing, 0, 0, []byte("syncsync"))
			r.until("PING's answer", func(f rawFrame) bool {
				if f.typ == tWindow && f.stream == 1 {
					t.Error("credit for what was not read")
				}
				return f.typ == tPing && f.flags&fAck != 0
			})
			close(go_)
			r.until("credit", func(f rawFrame) bool { return f.typ == tWindow && f.stream == 1 })
			r.send(tData, fEndStream, 1, make([]byte, 16384))
			r.nc.Close()
			if err := web.Wait(nil); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestWebHoldsWritersBack lets a handler write to a client that takes only what fits the first window.
func TestWebHoldsWritersBack(t *testing.T) {
	for _, how := range []string{"Write", "ReadFrom"} {
		t.Run(how, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const piece = 64 << 10
				var took atomic.Int64
				web := &http2.Web{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					var err error
					for err == nil {
						if how == "Write" {
							_, err = w.Write(make([]byte, piece))
							took.Add(piece)
						} else {
							_, err = io.Copy(w, &countedReader{&took})
						}
					}
				})}
				nc := newScript(slices.Concat([]byte(clientPreface), frameBytes(tSettings, 0, 0, nil), frameBytes(tHeaders, fEndHeaders|fEndStream, 1, get())), 0)
				conn := http2.NewServerConn(nc, &http2.Config{}, web)
				ended := make(chan struct{})
				go func() {
					defer close(ended)
					conn.Serve()
				}()
				synctest.Wait()
				if n := took.Load(); n > 3*piece {
					t.Errorf("the handler got rid of %d bytes, though the client takes 65535", n)
				}
				nc.end()
				<-ended
				if err := web.Wait(nil); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// countedReader never ends.
type countedReader struct{ n *atomic.Int64 }

func (r *countedReader) Read(p []byte) (int, error) {
	r.n.Add(int64(len(p)))
	return len(p), nil
}

// TestWebWholeBody hands out bodies that came with their headers as they are.
func TestWebWholeBody(t *testing.T) {
	long := strings.Repeat("x", 3<<10)
	for name, tt := range map[string]struct {
		length string
		pieces []string
		read   int // bytes, before
		whole  bool
	}{
		"one piece":   {"3", []string{"one"}, 0, true},
		"two pieces":  {"6", []string{"one", "two"}, 0, true},
		"no length":   {"", []string{"one", "two"}, 0, true},
		"long":        {"3072", []string{long}, 0, true},
		"longest":     {"", []string{long, long, long, long, long, long}, 0, false},
		"was read":    {"6", []string{"one", "two"}, 3, false},
		"no body yet": {"6", []string{}, 0, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			all := strings.Join(tt.pieces, "")
			var workers http2.Workers
			called := false
			web := &http2.Web{Workers: &workers, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				called = true
				io.ReadFull(r.Body, make([]byte, tt.read))
				data, ok := r.Body.(interface{ Whole() ([]byte, bool) }).Whole()
				if ok != tt.whole || ok && string(data) != all {
					t.Errorf("%s: %d bytes, %t", name, len(data), ok)
				}
				if len(all) == 0 {
					return
				}
				rest, err := io.ReadAll(r.Body)
				if string(data)+string(rest) != all[tt.read:] || err != nil {
					t.Errorf("%s: %d bytes, and then %d, %v", name, len(data), len(rest), err)
				}
				if _, again := r.Body.(interface{ Whole() ([]byte, bool) }).Whole(); again {
					t.Errorf("%s: twice", name)
				}
			})}
			fields := post()
			if tt.length != "" {
				fields = append(fields, "content-length", tt.length)
			}
			in := slices.Concat([]byte(clientPreface), frameBytes(tSettings, 0, 0, nil), frameBytes(tHeaders, fEndHeaders, 1, block(fields...)))
			for i, p := range tt.pieces {
				flags := byte(0)
				if i == len(tt.pieces)-1 {
					flags = fEndStream
				}
				in = append(in, frameBytes(tData, flags, 1, []byte(p))...)
			}
			nc := newScript(in, 0)
			conn := http2.NewServerConn(nc, &http2.Config{}, web)
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				conn.Serve()
			}()
			synctest.Wait()
			nc.end()
			<-ended
			if err := web.Wait(nil); err != nil || !called {
				t.Error(name, err, called)
			}
			workers.Close()
		})
	}
}

// TestWebGoexit ends goroutines behind an answer, and within one.
func TestWebGoexit(t *testing.T) {
	for body, want := range map[string]string{"hello": "END", "hell": "RESET INTERNAL_ERROR"} {
		r := servePipe(t, &http2.Web{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "5")
			io.WriteString(w, body)
			runtime.Goexit()
		})})
		r.request(1, true, post()...)
		if got := r.exchange(1); got[len(got)-1] != want {
			t.Errorf("%s: got %q, want %s", body, got, want)
		}
	}
}

// TestWebWait waits for a handler whose connection is gone.
func TestWebWait(t *testing.T) {
	begun, end := make(chan struct{}), make(chan struct{})
	web := &http2.Web{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(begun)
		<-end
	})}
	if err := web.Wait(nil); err != nil {
		t.Errorf("nothing runs: %v", err)
	}
	r := servePipe(t, web)
	r.request(1, true, post()...)
	<-begun
	r.nc.Close()
	gaveUp := make(chan struct{})
	close(gaveUp)
	if err := web.Wait(gaveUp); err != http2.ErrGaveUp {
		t.Errorf("while a handler runs: %v, want %v", err, http2.ErrGaveUp)
	}
	waited := make(chan error)
	go func() { waited <- web.Wait(nil) }()
	close(end)
	if err := <-waited; err != nil {
		t.Error(err)
	}
}

// TestWebZeroValue answers 404.
func TestWebZeroValue(t *testing.T) {
	r := servePipe(t, &http2.Web{})
	r.request(1, true, post()...)
	if got := r.exchange(1); !slices.ContainsFunc(got, func(line string) bool { return strings.Contains(line, `:status="404"`) }) {
		t.Errorf("got %q", got)
	}
}

// TestWebPanic logs what panicked and where, once.
func TestWebPanic(t *testing.T) {
	var logs bytes.Buffer
	web := &http2.Web{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("mistake") }), Logger: slog.New(slog.NewJSONHandler(&logs, nil))}
	r := servePipe(t, web)
	r.request(1, true, post()...)
	r.wantReset(1, http2.InternalError)
	if err := web.Wait(nil); err != nil {
		t.Error(err)
	}
	for _, want := range []string{`"panic":"mistake"`, `"method":"POST"`, `"path":"/"`, "handler_raw_test.go"} {
		if !strings.Contains(logs.String(), want) {
			t.Errorf("the log does not have %s: %s", want, logs.String())
		}
	}
}

// servePipe serves one connection of a raw peer.
func servePipe(t *testing.T, web *http2.Web) *rawPeer {
	t.Helper()
	nc, sn := networks["memory"](t)
	c := http2.NewServerConn(sn, &http2.Config{}, web)
	go c.Serve()
	t.Cleanup(func() {
		nc.Close()
		c.Close(nil)
		<-c.Done()
		if err := web.Wait(nil); err != nil {
			t.Error(err)
		}
	})
	return begin(t, nc)
}
