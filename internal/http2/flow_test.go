package http2_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/hanse-go/hanse/internal/http2"
)

// collect reads DATA until the streams' bytes are as many as wanted, and returns how many each has, and whether it ended.
func (r *rawPeer) collect(want map[uint32]int) map[uint32]bool {
	r.t.Helper()
	got, ended := map[uint32]int{}, map[uint32]bool{}
	for {
		all := true
		for id, n := range want {
			if got[id] > n {
				r.t.Fatalf("stream %d got %d bytes, and %d are allowed", id, got[id], n)
			}
			all = all && got[id] == n
		}
		if all {
			return ended
		}
		f := r.until("DATA", func(f rawFrame) bool { return f.typ == tData || f.flags&fEndStream != 0 && f.typ == tHeaders })
		if f.typ == tData {
			got[f.stream] += len(f.p)
		}
		ended[f.stream] = ended[f.stream] || f.flags&fEndStream != 0
	}
}

// TestInitialWindowAppliesToAll checks that SETTINGS change the windows of streams that are open, to below zero and back.
func TestInitialWindowAppliesToAll(t *testing.T) {
	h := &handler{serve: func(c *serverCall) {
		c.Send(&http2.Frames{Head: okHead, Data: make([]byte, 1000), Trail: doneTrail, End: true})
	}}
	r, c := rawClient(t, h, 4, 100)
	r.open(1, true)
	r.open(3, true)
	r.collect(map[uint32]int{1: 100, 3: 100})
	r.settings(4, 50) // windows of -50
	r.send(tWindow, 0, 1, u32(50))
	r.sync()
	r.send(tWindow, 0, 1, u32(10))
	r.collect(map[uint32]int{1: 10, 3: 0})
	r.sync()
	r.settings(4, 200) // 1: 150 more, 3: 100 more
	r.collect(map[uint32]int{1: 150, 3: 100})
	r.sync()
	if n := c.Streams(); n != 2 {
		t.Errorf("%d streams are open", n)
	}
	r.settings(4, 10_000)
	ended := r.collect(map[uint32]int{1: 740, 3: 800})
	for !ended[1] || !ended[3] {
		f := r.until("the end", func(f rawFrame) bool { return f.flags&fEndStream != 0 && f.typ == tHeaders })
		ended[f.stream] = true
	}
	r.sync()
	eventually(t, "no stream is open", func() bool { return c.Streams() == 0 })
}

// TestConnectionWindow checks that a stream that may send is not held up by others, and that they share what there is.
func TestConnectionWindow(t *testing.T) {
	var sent atomic.Int32
	h := &handler{serve: func(c *serverCall) {
		c.Send(&http2.Frames{Head: okHead, Data: make([]byte, 60_000), End: true})
		sent.Add(1)
	}}
	r, _ := rawClient(t, h)
	r.open(1, true)
	r.open(3, true)
	r.open(5, true)
	seen := map[uint32]bool{}
	left := 4
	data := func() rawFrame {
		f := r.until("DATA", func(f rawFrame) bool { return f.typ == tData })
		if f.flags&fEndStream != 0 {
			left--
		}
		return f
	}
	for total := 0; total < 65_535; {
		total += len(data().p)
	}
	eventually(t, "all have sent", func() bool { return sent.Load() == 3 })
	r.send(tWindow, 0, 0, u32(3*16_384))
	for more := 0; more < 3*16_384; {
		f := data()
		more += len(f.p)
		seen[f.stream] = true
	}
	if len(seen) < 2 {
		t.Errorf("the window went to %v alone", seen)
	}
	r.open(7, true)
	r.until("a header, which needs no window", func(f rawFrame) bool { return f.typ == tHeaders && f.stream == 7 })
	r.send(tWindow, 0, 0, u32(1<<20))
	for left > 0 {
		data()
	}
}

// TestWait checks the backpressure of streams.
func TestWait(t *testing.T) {
	bubble(t, func(t *testing.T) {
		results := make(chan error, 3)
		giveUp := make(chan struct{})
		h := &handler{serve: func(c *serverCall) {
			f := &http2.Frames{Head: okHead, Data: make([]byte, 1000)}
			for range 2 {
				if err := c.Send(f); err != nil {
					t.Error(err)
				}
				results <- c.Wait(giveUp)
				f.Head = nil
			}
			results <- c.Wait(nil)
		}}
		r, _ := rawClient(t, h, 4, 1000)
		r.open(1, true)
		if err := <-results; err != nil {
			t.Errorf("Wait for what was not held back: %v", err)
		}
		wait()
		if len(results) > 0 {
			t.Error("did not wait for the window")
		}
		close(giveUp)
		if err := <-results; err != http2.ErrGaveUp {
			t.Error(err)
		}
		wait()
		r.send(tReset, 0, 1, u32(8))
		var se *http2.StreamError
		if err := <-results; !errors.As(err, &se) || se.Code != http2.Cancel || se.Local {
			t.Errorf("Wait on a stream that was reset: %v", err)
		}
	})
}

// TestRelease checks that bodies that are kept by reference are given back once, whatever happens.
func TestRelease(t *testing.T) {
	for _, network := range []string{"tcp", "unix", "memory"} {
		t.Run(network, func(t *testing.T) {
			e := start(t, network, &handler{serve: func(c *serverCall) {
				if strings.HasPrefix(c.heads[0]["how"], "refuse") {
					c.Reset(http2.RefusedStream)
					return
				}
				c.echo()
			}}, http2.Config{}, http2.ClientEvents{})
			var released atomic.Int32
			send := func(how string) (*clientCall, []byte) {
				body := bytes.Repeat([]byte("0123456789"), 30_000)
				c := newCall()
				err := e.client.Open(nil, &c.Stream, c, &http2.Frames{Head: postHead, HeadMore: block("how", how), Data: body, End: true, Release: func(p []byte) {
					if len(p) != len(body) || &p[0] != &body[0] {
						t.Error("not the same slice is released")
					}
					released.Add(1)
				}})
				if err != nil && how != "closed" {
					t.Error(err)
				}
				return c, body
			}
			var all sync.WaitGroup
			for range 20 {
				all.Go(func() {
					c, body := send("")
					if err := c.waitEnd(); err != nil || !bytes.Equal(c.data, body) {
						t.Errorf("%v, %d bytes", err, len(c.data))
					}
				})
				all.Go(func() {
					c, _ := send("refuse")
					if err := c.waitEnd(); !errors.Is(err, http2.ErrNotProcessed) {
						t.Error(err)
					}
				})
				all.Go(func() {
					c, _ := send("reset")
					c.Reset(http2.Cancel)
				})
			}
			all.Wait()
			eventually(t, "all bodies are released", func() bool { return released.Load() == 60 })
			send("cut off")
			e.client.Close(nil)
			<-e.client.Done()
			send("closed")
			if n := released.Load(); n != 62 {
				t.Errorf("%d bodies were released of 62", n)
			}
		})
	}
}

// TestHeaderIsFlushed checks that a header alone goes out at once.
func TestHeaderIsFlushed(t *testing.T) {
	next := make(chan struct{})
	h := &handler{serve: func(c *serverCall) {
		c.Send(&http2.Frames{Head: okHead})
		<-next
		c.Send(&http2.Frames{Trail: doneTrail, End: true})
	}}
	e := start(t, "tcp", h, http2.Config{}, http2.ClientEvents{})
	c := newCall()
	if err := e.client.Open(nil, &c.Stream, c, &http2.Frames{Head: postHead, End: true}); err != nil {
		t.Fatal(err)
	}
	if err := c.wait(func() bool { return len(c.heads) == 1 }); err != nil {
		t.Fatal(err)
	}
	close(next)
	if err := c.waitEnd(); err != nil {
		t.Fatal(err)
	}
}

// TestBatches checks that each read ends with EndBatch, also one that brings a single frame.
func TestBatches(t *testing.T) {
	h := &handler{}
	r, _ := rawClient(t, h)
	for i := range 5 {
		r.open(uint32(2*i+1), true)
		r.until("the answer", func(f rawFrame) bool { return f.flags&fEndStream != 0 && f.typ <= tHeaders })
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.batches < 5 {
		t.Errorf("%d batches of 5 calls", h.batches)
	}
}

// TestLargeHeaders sends lists that need several frames, both ways.
func TestLargeHeaders(t *testing.T) {
	large := strings.Repeat("x", 20_000)
	h := &handler{serve: func(c *serverCall) {
		more := block(":status", "200", "large", c.heads[0]["large"])
		c.Send(&http2.Frames{HeadMore: more, TrailMore: block("large", large), End: true})
	}}
	e := start(t, "memory", h, http2.Config{}, http2.ClientEvents{})
	c := newCall()
	if err := e.client.Open(nil, &c.Stream, c, &http2.Frames{Head: postHead, HeadMore: block("large", large), End: true}); err != nil {
		t.Fatal(err)
	}
	if err := c.waitEnd(); err != nil {
		t.Fatal(err)
	}
	if len(c.heads) != 2 || c.heads[0]["large"] != large || c.heads[1]["large"] != large {
		t.Error("the headers are not what was sent")
	}
}

func TestSendAfterEnd(t *testing.T) {
	e := start(t, "memory", new(handler), http2.Config{}, http2.ClientEvents{})
	c := newCall()
	if err := e.client.Open(nil, &c.Stream, c, &http2.Frames{Head: postHead, End: true}); err != nil {
		t.Fatal(err)
	}
	if err := c.Send(&http2.Frames{Data: []byte("x")}); err != http2.ErrEnded {
		t.Error(err)
	}
	if err := c.waitEnd(); err != nil {
		t.Fatal(err)
	}
	c.Reset(http2.Cancel) // of no effect
	if err := e.call(nil); err != nil {
		t.Error(err)
	}
	if c.calls != 0 {
		t.Error("the receiver was called after the end")
	}
}

// TestSettledCredit checks that what a user never consumes is given back to the connection when the stream ends.
func TestSettledCredit(t *testing.T) {
	for _, how := range []string{"finish", "reset"} {
		t.Run(how, func(t *testing.T) {
			h := &handler{serve: func(c *serverCall) {
				if c.wait(func() bool { return len(c.data) >= 50_000 }) != nil {
					return
				}
				if how == "reset" {
					c.Reset(http2.Cancel)
				} else {
					c.Send(&http2.Frames{Head: okHead, End: true})
				}
			}, cfg: http2.Config{StreamWindow: 100_000, ConnWindow: 100_000}}
			e := start(t, "memory", h, http2.Config{}, http2.ClientEvents{})
			for range 20 {
				c := newCall()
				if err := e.client.Open(nil, &c.Stream, c, &http2.Frames{Head: postHead, Data: make([]byte, 90_000), End: true}); err != nil {
					t.Fatal(err)
				}
				if err := c.waitEnd(); (err != nil) != (how == "reset") {
					t.Fatal(err)
				}
			}
		})
	}
}

// TestEager holds that what comes on an eager stream is given back as credit, whole windows of it, padding too, and that a stream that is
// reset or whose handler has ended keeps none of the connection's.
func TestEager(t *testing.T) {
	const window = 65_535
	h := &handler{eager: true, cfg: http2.Config{StreamWindow: window, ConnWindow: window}, serve: func(c *serverCall) { c.waitEnd() }}
	r, c := rawClient(t, h)
	left := map[uint32]int{0: window}
	send := func(id uint32, n int) {
		for left[0] < n || left[id] < n {
			f := r.until("WINDOW_UPDATE", func(f rawFrame) bool { return f.typ == tWindow })
			left[f.stream] += int(binary.BigEndian.Uint32(f.p))
		}
		left[0] -= n
		left[id] -= n
		p := make([]byte, n)
		p[0] = byte(n % 200) // the padding's length
		if !r.send(tData, fPadded, id, p) {
			t.Fatal("the connection has ended")
		}
	}
	for id := uint32(1); id < 20; id += 2 {
		left[id] = window
		r.open(id, false)
		for n := range 20 {
			send(id, 10_000+n)
		}
		if id%4 == 1 {
			r.send(tReset, 0, id, u32(uint32(http2.Cancel)))
		} else {
			r.send(tData, fEndStream, id, nil)
		}
	}
	r.sync()
	eventually(t, "no stream is open", func() bool { return c.Streams() == 0 })
}

// placing is a call that takes what comes in its own memory.
type placing struct {
	*clientCall
	t      *testing.T
	memory []byte
	at     int
	placed int
}

func (c *placing) Place(n int) []byte {
	if n > 64<<10 {
		c.t.Errorf("a place for %d bytes is wanted", n)
	}
	return c.memory[c.at:]
}

func (c *placing) OnData(p []byte, end bool) {
	if len(p) > 0 && &p[0] == &c.memory[c.at] {
		c.placed += len(p)
	} else {
		copy(c.memory[c.at:], p)
	}
	c.at += len(p)
	c.clientCall.OnData(p, end)
}

func TestPlace(t *testing.T) {
	e := start(t, "tcp", new(handler), http2.Config{}, http2.ClientEvents{})
	body := make([]byte, 500_000)
	for i := range body {
		body[i] = byte(i >> 3 * 7)
	}
	c := &placing{clientCall: newCall(), t: t, memory: make([]byte, len(body)+1)}
	if err := e.client.Open(nil, &c.Stream, c, &http2.Frames{Head: postHead, Data: body, End: true}); err != nil {
		t.Fatal(err)
	}
	if err := c.waitEnd(); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(c.memory[:c.at], body) || !bytes.Equal(c.data, body) {
		t.Error("not what was sent")
	}
	if c.placed < len(body)/4 {
		t.Errorf("%d bytes were placed of %d", c.placed, len(body))
	}
	if err := e.call(body); err != nil {
		t.Error(err)
	}
}
