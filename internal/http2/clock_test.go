package http2_test

import (
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/hanse-go/hanse/internal/http2"
)

// TestTimeouts tells what ends connections whose peers do too little, and when.
func TestTimeouts(t *testing.T) {
	const noEnd = time.Duration(0)
	swallow := func(r *rawPeer) {
		go func() {
			for {
				if _, err := r.read(); err != nil {
					return
				}
			}
		}()
	}
	for name, c := range map[string]struct {
		cfg         http2.Config
		raw         bool // no preface, no SETTINGS
		do          func(r *rawPeer)
		least, most time.Duration
		why         string
	}{
		"no preface":     {raw: true, do: func(r *rawPeer) {}, least: 10 * time.Second, most: 15 * time.Second, why: "preface"},
		"half a preface": {raw: true, do: func(r *rawPeer) { io.WriteString(r.nc, "PRI * HTTP") }, least: 10 * time.Second, most: 15 * time.Second, why: "preface"},
		"half a frame":   {do: func(r *rawPeer) { r.nc.Write([]byte{0, 0, 8, tPing, 0}) }, least: 10 * time.Second, most: 16 * time.Second, why: "the rest of a frame"},
		"half a PING":    {do: func(r *rawPeer) { r.nc.Write(frameBytes(tPing, 0, 0, make([]byte, 8))[:12]) }, least: 10 * time.Second, most: 16 * time.Second, why: "the rest of a frame"},
		"half a header":  {do: func(r *rawPeer) { r.send(tHeaders, 0, 1, get()) }, least: 10 * time.Second, most: 16 * time.Second, why: "header block"},
		"dripping header": {do: func(r *rawPeer) {
			r.send(tHeaders, 0, 1, get())
			for r.send(tContinuation, 0, 1, []byte{0}) {
				time.Sleep(time.Second)
			}
		}, least: 10 * time.Second, most: 16 * time.Second, why: "header block"},
		"half a body": {cfg: http2.Config{KeepaliveTime: -1}, do: func(r *rawPeer) { // may last
			r.open(1, false)
			r.nc.Write(frameBytes(tData, 0, 1, make([]byte, 100))[:20])
		}, most: noEnd},
		"complete frames": {cfg: http2.Config{KeepaliveTime: -1, IdleTimeout: -1}, do: func(r *rawPeer) {}, most: noEnd},
		"idle":            {do: func(r *rawPeer) { swallow(r) }, least: 15 * time.Minute, most: 31 * time.Minute, why: "drained"},
		"no answer to keepalive": {cfg: http2.Config{KeepaliveTime: time.Minute}, do: func(r *rawPeer) { swallow(r) },
			least: 80 * time.Second, most: 90 * time.Second, why: "keepalive"},
		"answers to keepalive": {cfg: http2.Config{KeepaliveTime: time.Minute, IdleTimeout: -1}, do: func(r *rawPeer) {
			go func() {
				for {
					f, err := r.read()
					if err != nil {
						return
					}
					if f.typ == tPing {
						r.send(tPing, fAck, 0, f.p)
					}
				}
			}()
		}, most: noEnd},
		"age": {cfg: http2.Config{MaxAge: time.Hour, IdleTimeout: -1}, do: func(r *rawPeer) { swallow(r) },
			least: 54 * time.Minute, most: 67 * time.Minute, why: "drained"},
		"age and grace": {cfg: http2.Config{MaxAge: time.Hour, MaxAgeGrace: time.Minute}, do: func(r *rawPeer) { swallow(r); r.open(1, false) },
			least: 55 * time.Minute, most: 68 * time.Minute, why: "grace"},
		"not reading": {do: func(r *rawPeer) {
			r.send(tWindow, 0, 0, u32(1<<30))
			r.open(1, false)
			r.send(tWindow, 0, 1, u32(1<<30))
			for range 60 {
				r.send(tData, 0, 1, make([]byte, 16_000))
			}
		}, least: 60 * time.Second, most: 100 * time.Second, why: "did not read"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				h := &handler{cfg: c.cfg}
				var r *rawPeer
				var conn *http2.Conn
				if c.raw {
					nc, sn := networks["memory"](t)
					conn = http2.NewServerConn(sn, &h.cfg, h)
					go conn.Serve()
					defer nc.Close()
					r = newRaw(t, nc)
				} else {
					r, conn = rawClient(t, h)
				}
				r.nc.SetDeadline(time.Time{})
				begin := time.Now()
				c.do(r)
				if c.most == noEnd {
					select {
					case <-conn.Done():
						t.Errorf("ended after %v: %v", time.Since(begin), conn.Err())
					case <-time.After(5 * time.Hour):
					}
					return
				}
				<-conn.Done()
				if took := time.Since(begin); took < c.least || took > c.most {
					t.Errorf("ended after %v", took)
				}
				if err := conn.Err(); !strings.Contains(err.Error(), c.why) {
					t.Errorf("ended with %v", err)
				}
			})
		})
	}
}

// TestStalledAnswer checks that what a finished handler has sent is not held for ever, and what a running one has sent is.
func TestStalledAnswer(t *testing.T) {
	bubble(t, func(t *testing.T) {
		stop := make(chan struct{})
		h := &handler{serve: func(c *serverCall) {
			c.Send(&http2.Frames{Head: okHead, Data: make([]byte, 1000), End: c.path == "/"})
			if c.path != "/" {
				<-stop
			}
		}, cfg: http2.Config{IdleTimeout: -1, KeepaliveTime: -1}}
		r, c := rawClient(t, h, 4, 0)
		defer close(stop)
		r.nc.SetDeadline(time.Time{})
		r.open(1, true)
		r.send(tHeaders, fEndHeaders|fEndStream, 3, block(":method", "GET", ":scheme", "http", ":path", "/stay"))
		begin := time.Now()
		r.wantReset(1, http2.Cancel)
		if took := time.Since(begin); took < time.Minute || took > 70*time.Second {
			t.Errorf("dropped after %v", took)
		}
		time.Sleep(time.Hour)
		if n := c.Streams(); n != 1 {
			t.Errorf("%d streams are open", n)
		}
	})
}

func TestClientKeepalive(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r, c := rawServer(t, http2.Config{KeepaliveTime: time.Minute, KeepaliveTimeout: 10 * time.Second}, http2.ClientEvents{})
		r.nc.SetDeadline(time.Time{})
		time.Sleep(time.Hour) // no stream, no PING
		begin := time.Now()
		call := newCall()
		if err := c.Open(nil, &call.Stream, call, &http2.Frames{Head: postHead, End: true}); err != nil {
			t.Fatal(err)
		}
		f := r.wantFrame(tPing)
		if took := time.Since(begin); took > 61*time.Second {
			t.Errorf("the first PING came after %v", took)
		}
		r.send(tPing, fAck, 0, f.p)
		r.wantFrame(tPing)
		begin = time.Now()
		err := call.waitEnd()
		if took := time.Since(begin); took < 9*time.Second || took > 11*time.Second || !strings.Contains(err.Error(), "keepalive") {
			t.Errorf("after %v: %v", took, err)
		}
		<-c.Done()
	})
}

// TestLinger checks that a peer that does not close after GOAWAY is not waited for.
func TestLinger(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r, c := rawClient(t, new(handler))
		begin := time.Now()
		r.send(tPing, 0, 0, nil)
		<-c.Done()
		if took := time.Since(begin); took > 2*time.Second {
			t.Errorf("ended after %v", took)
		}
		if err := c.Err(); err.(*http2.ConnError).Code != http2.FrameSizeError {
			t.Error(err)
		}
	})
}

// TestGoAwayMeetsASender checks that a peer that sends much before it reads anything hears at once what was wrong.
func TestGoAwayMeetsASender(t *testing.T) {
	bubble(t, func(t *testing.T) {
		nc, sn := networks["pipe"](t) // without a buffer
		h := new(handler)
		c := http2.NewServerConn(sn, &h.cfg, h)
		go c.Serve()
		r := newRaw(t, nc)
		begin := time.Now()
		io.WriteString(nc, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
		r.settings()
		r.send(tPing, 0, 0, nil)
		for range 20 {
			if !r.send(tPing, 0, 0, make([]byte, 8)) {
				t.Fatal("the connection takes no more")
			}
		}
		r.wantGoAway(http2.FrameSizeError)
		if took := time.Since(begin); took > 0 {
			t.Errorf("told after %v", took)
		}
		<-c.Done()
		h.Wait()
		h.Close()
	})
}

// TestDrainOfSilentPeer checks that a peer that never closes does not hold up the end of a drain.
func TestDrainOfSilentPeer(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r, c := rawClient(t, new(handler))
		c.Drain()
		r.send(tPing, fAck, 0, []byte("drain\x00\x00\x00"))
		begin := time.Now()
		<-c.Done()
		if took := time.Since(begin); took > 2*time.Second {
			t.Errorf("ended after %v", took)
		}
		if _, err := r.nc.Write(frameBytes(tPing, 0, 0, make([]byte, 8))); !errors.Is(err, net.ErrClosed) && err == nil {
			t.Error("the connection still takes bytes")
		}
	})
}
