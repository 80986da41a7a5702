package http2_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/hanse-go/hanse/internal/http2"
)

func TestDrainServer(t *testing.T) {
	for network := range networks {
		t.Run(network, func(t *testing.T) {
			told := make(chan struct{}, 2)
			e := start(t, network, new(handler), http2.Config{}, http2.ClientEvents{Draining: func() { told <- struct{}{} }})
			c := newCall()
			if err := e.client.Open(nil, &c.Stream, c, &http2.Frames{Head: postHead, Data: []byte("one ")}); err != nil {
				t.Fatal(err)
			}
			if err := c.wait(func() bool { return len(c.data) == 4 }); err != nil {
				t.Fatal(err)
			}
			e.server.Drain()
			e.server.Drain()
			<-told
			other := newCall()
			if err := e.client.Open(nil, &other.Stream, other, &http2.Frames{Head: postHead}); err != http2.ErrDraining {
				t.Errorf("Open during the drain: %v", err)
			}
			if err := c.Send(&http2.Frames{Data: []byte("two"), End: true}); err != nil {
				t.Error(err)
			}
			if err := c.waitEnd(); err != nil || string(c.data) != "one two" {
				t.Errorf("%q, %v", c.data, err)
			}
			if err := <-e.served; err != nil {
				t.Errorf("Serve: %v", err)
			}
			<-e.client.Done()
			if len(told) > 0 {
				t.Error("Draining was told twice")
			}
		})
	}
}

func TestDrainIdle(t *testing.T) {
	for who, drain := range map[string]func(e *ends){
		"server": func(e *ends) { e.server.Drain() },
		"client": func(e *ends) { e.client.Drain() },
	} {
		t.Run(who, func(t *testing.T) {
			e := start(t, "tcp", new(handler), http2.Config{}, http2.ClientEvents{})
			if err := e.call([]byte("x")); err != nil {
				t.Fatal(err)
			}
			drain(e)
			if err := <-e.served; err != nil {
				t.Errorf("Serve: %v", err)
			}
			<-e.client.Done()
		})
	}
}

// TestDrainServesLateComers checks that nothing is lost that a client sends before it hears of the drain.
func TestDrainServesLateComers(t *testing.T) {
	r, c := rawClient(t, new(handler))
	r.open(1, true)
	r.until("the answer", func(f rawFrame) bool { return f.stream == 1 && f.flags&fEndStream != 0 })
	c.Drain()
	f := r.wantFrame(tGoAway)
	if last := binary.BigEndian.Uint32(f.p); last != 1<<31-1 || f.code() != http2.NoError {
		t.Errorf("the first GOAWAY is %v", f)
	}
	ping := r.wantFrame(tPing)
	r.open(3, true)
	r.open(5, false)
	r.until("the answer", func(f rawFrame) bool { return f.stream == 3 && f.flags&fEndStream != 0 })
	r.send(tPing, fAck, 0, ping.p)
	f = r.wantFrame(tGoAway)
	if last := binary.BigEndian.Uint32(f.p); last != 5 || f.code() != http2.NoError {
		t.Errorf("the second GOAWAY is %v", f)
	}
	r.open(7, true) // is not processed
	r.send(tData, fEndStream, 5, []byte("late"))
	f = r.until("the answer", func(f rawFrame) bool { return f.typ == tData || f.stream > 5 })
	if string(f.p) != "late" {
		t.Errorf("got %v", f)
	}
	for err := error(nil); err == nil; {
		if f, err = r.read(); err == nil && f.stream > 5 {
			t.Errorf("got %v", f)
		}
	}
	r.nc.Close()
	<-c.Done()
}

// TestDrainResetUnsent checks that calls survive a client which resets streams that it had not opened when it heard of the drain, as
// nghttp2 does. Before a drain that is an error.
func TestDrainResetUnsent(t *testing.T) {
	r, c := rawClient(t, new(handler))
	r.open(1, false)
	r.sync()
	c.Drain()
	r.wantFrame(tGoAway)
	ping := r.wantFrame(tPing)
	cancel := []byte{0, 0, 0, byte(http2.Cancel)}
	r.send(tReset, 0, 3, cancel)
	r.send(tPing, fAck, 0, ping.p)
	r.wantFrame(tGoAway)
	r.send(tReset, 0, 5, cancel)
	r.send(tData, fEndStream, 1, []byte("late"))
	if f := r.until("the answer", func(f rawFrame) bool { return f.typ == tData || f.typ == tGoAway }); string(f.p) != "late" {
		t.Errorf("got %v", f)
	}
	r.nc.Close()
	<-c.Done()
}

// TestDrainWithoutAnswer checks that a client that does not answer the drain's PING does not hold it up.
func TestDrainWithoutAnswer(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r, c := rawClient(t, new(handler))
		c.Drain()
		begin := time.Now()
		r.wantFrame(tGoAway)
		f := r.wantFrame(tGoAway)
		if last := binary.BigEndian.Uint32(f.p); last != 0 || time.Since(begin) > 10*time.Second {
			t.Errorf("the second GOAWAY is %v, after %v", f, time.Since(begin))
		}
		<-c.Done()
	})
}

func TestGoAwayNotProcessed(t *testing.T) {
	r, c := rawServer(t, http2.Config{}, http2.ClientEvents{})
	var calls [3]*clientCall
	for i := range calls {
		calls[i] = newCall()
		if err := c.Open(nil, &calls[i].Stream, calls[i], &http2.Frames{Head: postHead, End: true}); err != nil {
			t.Fatal(err)
		}
	}
	r.until("the last request", func(f rawFrame) bool { return f.typ == tHeaders && f.stream == 5 })
	r.send(tGoAway, 0, 0, append(append(u32(3), u32(uint32(http2.EnhanceYourCalm))...), "why"...))
	err := calls[2].waitEnd()
	var ce *http2.ConnError
	if !errors.Is(err, http2.ErrNotProcessed) || !errors.As(err, &ce) || ce.Code != http2.EnhanceYourCalm || ce.Reason != "why" {
		t.Errorf("the call above the last: %v", err)
	}
	r.send(tHeaders, fEndHeaders|fEndStream, 1, block(":status", "200"))
	if err := calls[0].waitEnd(); err != nil {
		t.Errorf("the first call: %v", err)
	}
	r.nc.Close()
	if err := calls[1].waitEnd(); err == nil || errors.Is(err, http2.ErrNotProcessed) || !errors.As(err, &ce) || ce.Code != http2.EnhanceYourCalm {
		t.Errorf("the call that was cut off: %v", err)
	}
	<-c.Done()
}

func TestRefusedIsNotProcessed(t *testing.T) {
	e := start(t, "memory", &handler{refuse: true}, http2.Config{}, http2.ClientEvents{})
	if err := e.call(nil); !errors.Is(err, http2.ErrNotProcessed) {
		t.Error(err)
	}
}

// TestUnsentIsNotProcessed breaks a connection of which nothing was read.
func TestUnsentIsNotProcessed(t *testing.T) {
	cn, sn := net.Pipe()
	c := http2.NewClientConn(cn, nil, http2.ClientEvents{})
	sn.Read(make([]byte, 1)) // the flusher is writing the preface
	call := newCall()
	if err := c.Open(nil, &call.Stream, call, &http2.Frames{Head: postHead, End: true}); err != nil {
		t.Fatal(err)
	}
	sn.Close()
	if err := call.waitEnd(); !errors.Is(err, http2.ErrNotProcessed) {
		t.Error(err)
	}
	<-c.Done()
}

func TestStreamLimit(t *testing.T) {
	open := func(c *http2.Conn, done chan struct{}) (*clientCall, chan error) {
		call, result := newCall(), make(chan error, 1)
		go func() {
			result <- c.Open(done, &call.Stream, call, &http2.Frames{Head: postHead, End: true})
		}()
		return call, result
	}
	begin := func(t *testing.T) (*rawPeer, *http2.Conn) {
		ready := make(chan struct{})
		r, c := rawServer(t, http2.Config{}, http2.ClientEvents{Ready: func() { close(ready) }}, 3, 2)
		<-ready
		for i := range 2 {
			if _, result := open(c, nil); <-result != nil {
				t.Fatal("not opened")
			}
			r.until("the request", func(f rawFrame) bool { return f.typ == tHeaders && f.stream == uint32(2*i+1) })
		}
		return r, c
	}
	answer := func(r *rawPeer, id uint32) { r.send(tHeaders, fEndHeaders|fEndStream, id, block(":status", "200")) }
	opened := func(t *testing.T, r *rawPeer, id uint32) {
		t.Helper()
		r.until("the request", func(f rawFrame) bool { return f.typ == tHeaders && f.stream == id })
	}

	t.Run("a stream ends", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			r, c := begin(t)
			_, first := open(c, nil)
			wait()
			_, second := open(c, nil)
			wait()
			if len(first)+len(second) > 0 {
				t.Fatal("opened over the limit")
			}
			answer(r, 1)
			opened(t, r, 5)
			if err := <-first; err != nil {
				t.Error(err)
			}
			answer(r, 5)
			opened(t, r, 7)
			if err := <-second; err != nil {
				t.Error(err)
			}
		})
	})
	t.Run("the limit rises", func(t *testing.T) {
		r, c := begin(t)
		_, result := open(c, nil)
		r.settings(3, 3)
		opened(t, r, 5)
		if err := <-result; err != nil {
			t.Error(err)
		}
	})
	t.Run("the caller gives up", func(t *testing.T) {
		r, c := begin(t)
		done := make(chan struct{})
		_, result := open(c, done)
		close(done)
		if err := <-result; err != http2.ErrGaveUp {
			t.Error(err)
		}
		_, result = open(c, nil)
		answer(r, 3)
		opened(t, r, 5)
		if err := <-result; err != nil {
			t.Error(err)
		}
		if n := c.Streams(); n != 2 {
			t.Errorf("%d streams are open", n)
		}
	})
	t.Run("GOAWAY", func(t *testing.T) {
		r, c := begin(t)
		_, result := open(c, nil)
		r.send(tGoAway, 0, 0, append(u32(3), u32(0)...))
		if err := <-result; err != http2.ErrDraining {
			t.Error(err)
		}
	})
	t.Run("the connection breaks", func(t *testing.T) {
		_, c := begin(t)
		_, result := open(c, nil)
		c.Close(nil)
		if err := <-result; !errors.Is(err, http2.ErrNotProcessed) || !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
	})
	t.Run("a reset gives the place back", func(t *testing.T) {
		r, c := begin(t)
		call, result := open(c, nil)
		r.send(tReset, 0, 1, u32(8))
		opened(t, r, 5)
		if err := <-result; err != nil {
			t.Error(err)
		}
		_, result = open(c, nil)
		call.Reset(http2.Cancel)
		opened(t, r, 7)
		if err := <-result; err != nil {
			t.Error(err)
		}
	})
}

func TestIDsUsedUp(t *testing.T) {
	told := make(chan struct{})
	e := start(t, "memory", new(handler), http2.Config{}, http2.ClientEvents{Draining: func() { close(told) }})
	e.client.SetNextID(1<<31 - 3)
	for range 2 {
		if err := e.call([]byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	<-told
	if err := e.call(nil); !errors.Is(err, http2.ErrNotProcessed) {
		t.Error(err)
	}
	<-e.client.Done()
}

// TestClientQueueLimit checks that Open waits while much is queued.
func TestClientQueueLimit(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r, c := rawServer(t, http2.Config{MaxQueued: 100_000}, http2.ClientEvents{}, 4, 0)
		big := newCall()
		if err := c.Open(nil, &big.Stream, big, &http2.Frames{Head: postHead, Data: make([]byte, 200_000), End: true}); err != nil {
			t.Fatal(err)
		}
		wait()
		result := make(chan error, 1)
		go func() {
			small := newCall()
			result <- c.Open(nil, &small.Stream, small, &http2.Frames{Head: postHead, End: true})
		}()
		wait()
		if len(result) > 0 {
			t.Fatal("opened over the limit")
		}
		go func() {
			for {
				if _, err := r.read(); err != nil {
					return
				}
			}
		}()
		r.send(tWindow, 0, 1, u32(200_000))
		r.send(tWindow, 0, 0, u32(200_000))
		if err := <-result; err != nil {
			t.Error(err)
		}
	})
}

func TestEarlyAnswer(t *testing.T) {
	t.Run("client", func(t *testing.T) { // an answer before the request's end: the rest is not sent
		ready := make(chan struct{})
		r, c := rawServer(t, http2.Config{}, http2.ClientEvents{Ready: func() { close(ready) }}, 4, 10)
		<-ready
		call := newCall()
		if err := c.Open(nil, &call.Stream, call, &http2.Frames{Head: postHead, Data: make([]byte, 100), End: true}); err != nil {
			t.Fatal(err)
		}
		r.until("the request", func(f rawFrame) bool { return f.typ == tData })
		r.send(tHeaders, fEndHeaders|fEndStream, 1, block(":status", "200"))
		r.wantReset(1, http2.NoError)
		if err := call.waitEnd(); err != nil {
			t.Error(err)
		}
		if n := c.Streams(); n != 0 {
			t.Errorf("%d streams are open", n)
		}
	})
	t.Run("server", func(t *testing.T) {
		h := &handler{serve: func(c *serverCall) { c.Send(&http2.Frames{Head: okHead, End: true}) }}
		r, c := rawClient(t, h)
		r.open(1, false)
		r.wantReset(1, http2.NoError)
		// What was on its way is no mistake.
		r.send(tData, 0, 1, []byte("late"))
		r.send(tHeaders, fEndHeaders|fEndStream, 1, block("x", "y"))
		r.sync()
		eventually(t, "no stream is open", func() bool { return c.Streams() == 0 })
	})
}

func TestFinishWithoutAnswer(t *testing.T) {
	h := &handler{serve: func(c *serverCall) {}}
	r, _ := rawClient(t, h)
	r.open(1, true)
	r.wantReset(1, http2.InternalError)
}

// TestReuse opens a stream again from within the end of its last call.
func TestReuse(t *testing.T) {
	e := start(t, "tcp", new(handler), http2.Config{}, http2.ClientEvents{})
	c := &again{conn: e.client, left: 1000, done: make(chan error, 1)}
	if err := c.open(); err != nil {
		t.Fatal(err)
	}
	if err := <-c.done; err != nil {
		t.Error(err)
	}
}

type again struct {
	http2.Stream
	conn *http2.Conn
	got  []byte
	left int
	done chan error
}

func (c *again) body() []byte { return bytes.Repeat([]byte{byte(c.left)}, c.left*7%3000+1) }

func (c *again) open() error {
	c.got = nil
	return c.conn.Open(nil, &c.Stream, c, &http2.Frames{Head: postHead, Data: c.body(), End: true})
}

func (c *again) OnHeaders(_ *http2.Header, end bool) {
	if !end {
		return
	}
	if !bytes.Equal(c.got, c.body()) {
		c.done <- errors.New("another call's body")
		return
	}
	if c.left--; c.left == 0 {
		c.done <- nil
		return
	}
	if err := c.open(); err != nil {
		c.done <- err
	}
}
func (c *again) OnData(p []byte, end bool) { c.got = append(c.got, p...); c.Consumed(len(p)) }
func (c *again) OnAbort(err error)         { c.done <- err }
