package http2_test

import (
	"bytes"
	"io"
	"sync"
	"testing"

	"github.com/hanse-go/hanse/internal/http2"
)

// TestEndInNegativeWindow checks that a stream can be ended by an empty DATA frame while its window is below zero: such a frame needs no
// window (RFC 9113 section 6.9).
func TestEndInNegativeWindow(t *testing.T) {
	t.Run("server", func(t *testing.T) {
		sent, end := make(chan struct{}), make(chan struct{})
		h := &handler{serve: func(c *serverCall) {
			c.Send(&http2.Frames{Head: okHead, Data: make([]byte, 1000)})
			close(sent)
			<-end
			c.Send(&http2.Frames{End: true})
		}}
		r, _ := rawClient(t, h)
		r.open(1, true)
		<-sent
		r.settings(4, 10)
		r.sync()
		close(end)
		r.until("the end", func(f rawFrame) bool { return f.typ == tData && f.flags&fEndStream != 0 && len(f.p) == 0 })
	})
	t.Run("client", func(t *testing.T) {
		r, c := rawServer(t, http2.Config{}, http2.ClientEvents{})
		call := newCall()
		if err := c.Open(nil, &call.Stream, call, &http2.Frames{Head: postHead, Data: make([]byte, 1000)}); err != nil {
			t.Fatal(err)
		}
		r.until("DATA", func(f rawFrame) bool { return f.typ == tData })
		r.settings(4, 10)
		r.sync()
		if err := call.Send(&http2.Frames{End: true}); err != nil {
			t.Fatal(err)
		}
		r.until("the end", func(f rawFrame) bool { return f.typ == tData && f.flags&fEndStream != 0 && len(f.p) == 0 })
	})
}

// TestReleaseAfterWrite checks that data sent by reference is not released while some of it waits to be written, although the stream is
// reset: its memory would be used again for something else, which the peer would get to see.
func TestReleaseAfterWrite(t *testing.T) {
	for _, how := range []string{"peer", "this end", "connection"} {
		t.Run(how, func(t *testing.T) {
			var mu sync.Mutex
			released := 0
			started := make(chan struct{})
			h := &handler{serve: func(c *serverCall) {
				data := bytes.Repeat([]byte("a"), 4<<20)
				c.Send(&http2.Frames{Head: okHead, Data: data, Release: func(p []byte) {
					mu.Lock()
					released++
					mu.Unlock()
					for i := range p { // as the next user of the memory would
						p[i] = 'b'
					}
				}, End: true})
				close(started)
				c.wait(func() bool { return false })
			}}
			h.cfg.MaxQueued = 8 << 20
			cn, sn := networks["unix"](t)
			sn.(interface{ SetWriteBuffer(int) error }).SetWriteBuffer(4 << 10)
			c := http2.NewServerConn(sn, &h.cfg, h)
			go c.Serve()
			t.Cleanup(func() { cn.Close(); c.Close(nil); <-c.Done(); h.Wait(); h.Close() })
			r := newRaw(t, cn)
			io.WriteString(cn, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
			r.settings(4, 512<<10)
			r.send(tWindow, 0, 0, u32(1<<30))
			r.send(tHeaders, fEndHeaders|fEndStream, 1, get())
			<-started
			switch how {
			case "peer":
				r.send(tReset, 0, 1, u32(8))
			case "this end":
				r.send(tWindow, 0, 1, u32(1<<31-1))
				r.send(tWindow, 0, 1, u32(1<<31-1)) // too large
			case "connection":
				r.send(tWindow, 0, 0, u32(0))
			}
			if how != "connection" {
				eventually(t, "the stream is gone", func() bool { return c.Leaks() == "" || c.Streams() == 0 })
			} else {
				eventually(t, "the connection ends", func() bool { return c.Err() != nil })
			}
			for n := 0; n < 512<<10; {
				f, err := r.read()
				if err != nil {
					if how == "connection" {
						break
					}
					t.Fatal(err)
				}
				if f.typ == tData {
					if i := bytes.IndexByte(f.p, 'b'); i >= 0 {
						t.Fatalf("byte %d is of memory that was released", n+i)
					}
					n += len(f.p)
				}
			}
			cn.Close()
			<-c.Done()
			mu.Lock()
			defer mu.Unlock()
			if released != 1 {
				t.Errorf("released %d times", released)
			}
		})
	}
}

// TestDataUnderWay checks that the small messages that are still on their way to a client that has given up its streams are no flood.
func TestDataUnderWay(t *testing.T) {
	r, c := rawServer(t, http2.Config{MaxControl: 10}, http2.ClientEvents{})
	ids := []uint32{}
	for range 300 { // more than the connection remembers
		call := newCall()
		if err := c.Open(nil, &call.Stream, call, &http2.Frames{Head: postHead, End: true}); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, call.ID())
		call.Reset(http2.Cancel)
	}
	for range 3 {
		for _, id := range ids {
			r.send(tData, 0, id, []byte("x"))
		}
	}
	resets := 0
	r.send(tPing, 0, 0, []byte("syncsync"))
	r.until("PING's answer", func(f rawFrame) bool {
		if f.typ == tReset {
			resets++
		}
		return f.typ == tPing && f.flags&fAck != 0
	})
	if resets != len(ids) {
		t.Errorf("%d streams were reset, and %d RST_STREAM were sent", len(ids), resets)
	}
}
