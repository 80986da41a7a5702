package http2_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hanse-go/hanse/internal/http2"
)

// generous is a handler whose answers are large, for peers that do not take them.
type generous struct {
	begun, made atomic.Int32 // handlers, and answers
	slow        time.Duration
	ctx         context.Context // of the handlers; nil: none
	errs        chan error
}

const generousSize = 100_000

func (g *generous) serve(c *serverCall) {
	var done <-chan struct{}
	if g.ctx != nil {
		done = g.ctx.Done()
	}
	err := c.AwaitRoom(done, true)
	if err == nil {
		g.begun.Add(1)
		time.Sleep(g.slow)
		err = c.AwaitRoom(done, false)
	}
	if err == nil {
		g.made.Add(1)
		err = c.Send(&http2.Frames{Head: okHead, Data: make([]byte, generousSize), End: true})
	}
	if err != nil {
		g.errs <- err
	}
}

func (g *generous) want(t *testing.T, begun, made int32) {
	t.Helper()
	wait()
	if b, m := g.begun.Load(), g.made.Load(); b != begun || m != made {
		t.Errorf("%d handlers began and %d answers were made, want %d and %d", b, m, begun, made)
	}
}

func newGenerous(cfg http2.Config) (*generous, *handler) {
	g := &generous{errs: make(chan error, 1000)}
	return g, &handler{serve: g.serve, cfg: cfg}
}

// forgiving is what raw clients have whose deadline must not end the test's virtual time.
func forgiving(r *rawPeer) { r.nc.SetDeadline(time.Time{}) }

// TestRoom checks that handlers wait while the peer takes nothing, and go on one by one as it does.
func TestRoom(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g, h := newGenerous(http2.Config{MaxQueued: 3 * generousSize, Budget: http2.NewBudget(1 << 40), MinPingInterval: -1})
		r, c := rawClient(t, h, 4, 0)
		forgiving(r)
		for i := range 20 {
			r.open(uint32(2*i+1), true)
			wait()
		}
		g.want(t, 3, 3)
		if n := h.cfg.Budget.Used(); n != 3*generousSize {
			t.Errorf("%d bytes are queued", n)
		}
		r.send(tReset, 0, 1, u32(8)) // makes room for one
		g.want(t, 4, 4)
		r.send(tReset, 0, 39, u32(8)) // one of those that wait
		wait()
		if err := <-g.errs; !errors.As(err, new(*http2.StreamError)) {
			t.Error(err)
		}
		g.want(t, 4, 4)
		r.settings(4, 1<<20) // it takes all
		r.send(tWindow, 0, 0, u32(100<<20))
		for range 18 {
			r.until("the end of an answer", func(f rawFrame) bool { return f.typ == tData && f.flags&fEndStream != 0 })
		}
		g.want(t, 19, 19)
		if n := h.cfg.Budget.Used(); n != 0 {
			t.Errorf("%d bytes are queued", n)
		}
		c.Close(nil)
		<-c.Done()
	})
}

// TestRoomOneByOne checks that those that wait do not all find the same room, and that one that takes long does not hold up the others.
func TestRoomOneByOne(t *testing.T) {
	for _, slow := range []time.Duration{0, time.Hour} {
		bubble(t, func(t *testing.T) {
			g, h := newGenerous(http2.Config{MaxQueued: 3 * generousSize, StallTimeout: -1, KeepaliveTime: -1})
			r, c := rawClient(t, h, 4, 0)
			forgiving(r)
			for i := range 3 {
				r.open(uint32(2*i+1), true)
			}
			wait()
			g.slow = slow
			for i := range 20 {
				r.open(uint32(2*i+101), true)
			}
			g.want(t, 3, 3)
			for i := range 3 {
				r.send(tReset, 0, uint32(2*i+1), u32(8))
			}
			if slow == 0 {
				g.want(t, 6, 6)
			} else {
				time.Sleep(15 * time.Millisecond)
				g.want(t, 5, 3)
				time.Sleep(time.Second)
				g.want(t, 23, 3)
				time.Sleep(2 * slow)
				g.want(t, 23, 6) // only as many as the limit allows
			}
			c.Close(nil)
			<-c.Done()
		})
	}
}

// TestRoomOfAll checks the limit that connections share: a greedy one waits for the others, and a modest one does not.
func TestRoomOfAll(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := http2.NewBudget(8 * generousSize)
		greedy1, h1 := newGenerous(http2.Config{Budget: b})
		greedy2, h2 := newGenerous(http2.Config{Budget: b})
		modest, h3 := newGenerous(http2.Config{Budget: b})
		var raws []*rawPeer
		var conns []*http2.Conn
		for _, h := range []*handler{h1, h2, h3} {
			r, c := rawClient(t, h, 4, 0)
			forgiving(r)
			raws, conns = append(raws, r), append(conns, c)
		}
		for i := range 4 {
			raws[0].open(uint32(2*i+1), true)
		}
		greedy1.want(t, 4, 4)
		for i := range 10 {
			raws[1].open(uint32(2*i+1), true)
			wait()
		}
		greedy2.want(t, 4, 4)
		raws[2].open(1, true)
		modest.want(t, 1, 1)
		conns[0].Close(nil) // gives its bytes back
		<-conns[0].Done()
		greedy2.want(t, 7, 7)
		for _, c := range conns[1:] {
			c.Close(nil)
			<-c.Done()
		}
		wait()
		if n := b.Used(); n != 0 {
			t.Errorf("%d bytes are counted after the connections' end", n)
		}
	})
}

// TestRoomIsGivenUp checks that who waits ends with its call.
func TestRoomIsGivenUp(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g, h := newGenerous(http2.Config{MaxQueued: generousSize})
		ctx, cancel := context.WithCancel(t.Context())
		g.ctx = ctx
		r, c := rawClient(t, h, 4, 0)
		forgiving(r)
		for i := range 3 {
			r.open(uint32(2*i+1), true)
			wait()
		}
		g.want(t, 1, 1)
		cancel()
		for range 2 {
			if err := <-g.errs; err != http2.ErrGaveUp {
				t.Error(err)
			}
		}
		if !c.Crowded() {
			t.Error("what is queued was forgotten")
		}
		c.Close(nil)
		<-c.Done()
	})
}

// TestRoomIsNotWaitedForForEver checks that a peer that takes nothing loses its connection, and one that takes little does not.
func TestRoomIsNotWaitedForForEver(t *testing.T) {
	for _, slow := range []bool{false, true} {
		bubble(t, func(t *testing.T) {
			g, h := newGenerous(http2.Config{MaxQueued: generousSize, StallTimeout: time.Minute, KeepaliveTime: -1, MinPingInterval: -1})
			r, c := rawClient(t, h, 4, 0)
			forgiving(r)
			start := time.Now()
			for i := range 10 {
				r.open(uint32(2*i+1), true)
				wait() // the first one is first
			}
			if slow {
				for range 10 {
					time.Sleep(30 * time.Second)
					r.send(tWindow, 0, 1, u32(1000))
				}
				if err := c.Err(); err != nil {
					t.Error(err)
				}
				c.Close(nil)
				<-c.Done()
				return
			}
			<-c.Done()
			if err := c.Err(); err == nil || !strings.Contains(err.Error(), "the peer took nothing for 1m0s of what waits for it") {
				t.Error(err)
			}
			if took := time.Since(start); took < time.Minute || took > 2*time.Minute {
				t.Errorf("after %v", took)
			}
			for range 9 {
				if err := <-g.errs; !errors.As(err, new(*http2.ConnError)) {
					t.Error(err)
				}
			}
		})
	}
}
