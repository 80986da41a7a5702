package http2_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/hanse-go/hanse/internal/hpack"
	"github.com/hanse-go/hanse/internal/http2"
)

// The model of RFC 9113 section 5.1 and 6.9: what either end may send on a stream, by what has passed between the two.

// wire stands between two connections. It checks what passes, and passes it on in pieces of any size.
type wire struct {
	t          *testing.T
	mu         sync.Mutex
	dirs       [2]*direction // from the client, from the server
	streams    map[uint32]*modelStream
	open       int
	maxStreams int
	lastOpened uint32
	bad        atomic.Bool
}

// direction is what one end sends.
type direction struct {
	from     string
	in, out  net.Conn
	rnd      *rand.Rand
	window   int64 // what it may send on the connection
	initial  int64 // and on a new stream
	block    uint32
	blockEnd bool
	b        []byte
	dec      *hpack.Decoder
}

// modelStream is a stream as both ends together made it; indices are directions.
type modelStream struct {
	window      [2]int64
	headers     [2]int
	ended       [2]bool
	reset       [2]bool
	countedDown bool
}

func newWire(t *testing.T, seed uint64, maxStreams int, client, server net.Conn) *wire {
	w := &wire{t: t, streams: make(map[uint32]*modelStream), maxStreams: maxStreams}
	w.dirs[0] = &direction{from: "client", in: client, out: server, rnd: rand.New(rand.NewPCG(seed, 1)), window: 65_535, initial: 65_535, dec: hpack.NewDecoder(4096, 1<<20)}
	w.dirs[1] = &direction{from: "server", in: server, out: client, rnd: rand.New(rand.NewPCG(seed, 2)), window: 65_535, initial: 65_535, dec: hpack.NewDecoder(4096, 1<<20)}
	return w
}

func (w *wire) errorf(format string, args ...any) {
	if w.bad.CompareAndSwap(false, true) {
		w.t.Errorf(format, args...)
	}
}

// run passes on what one end sends, until that ends.
func (w *wire) run(who int) {
	d := w.dirs[who]
	defer d.out.Close()
	defer d.in.Close()
	if who == 0 {
		p := make([]byte, 24)
		if _, err := io.ReadFull(d.in, p); err != nil {
			return
		}
		if _, err := d.out.Write(p); err != nil {
			return
		}
	}
	var pending []byte
	buf := make([]byte, 1<<16)
	checked := 0
	for {
		n, err := d.in.Read(buf[:1+d.rnd.IntN(len(buf)-1)])
		pending = append(pending, buf[:n]...)
		for len(pending)-checked >= 9 {
			f := rawFrame{typ: pending[checked+3], flags: pending[checked+4], stream: binary.BigEndian.Uint32(pending[checked+5:])}
			size := int(pending[checked])<<16 | int(pending[checked+1])<<8 | int(pending[checked+2])
			if len(pending)-checked < 9+size {
				break
			}
			f.p = pending[checked+9 : checked+9+size]
			w.mu.Lock()
			w.check(who, f)
			w.mu.Unlock()
			checked += 9 + size
		}
		for checked > 0 {
			k := min(checked, 1+d.rnd.IntN(40_000))
			if _, err := d.out.Write(pending[:k]); err != nil {
				return
			}
			pending, checked = pending[k:], checked-k
			if d.rnd.IntN(4) == 0 {
				runtime.Gosched()
			}
		}
		if err != nil {
			return
		}
	}
}

// check checks one frame of one end. What the other end has sent may not have reached it yet; so nothing is held against it that only
// that would forbid.
func (w *wire) check(who int, f rawFrame) {
	d, peer := w.dirs[who], w.dirs[1-who]
	bad := func(why string) { w.errorf("the %s sent %.80v: %s", d.from, f, why) }
	if d.block != 0 && (f.typ != tContinuation || f.stream != d.block) {
		bad("inside a header block")
	}
	switch f.typ {
	case tSettings, tPing, tGoAway:
		if f.stream != 0 {
			bad("on a stream")
		}
		if f.typ == tSettings && f.flags&fAck == 0 {
			for p := f.p; len(p) > 0; p = p[6:] {
				if binary.BigEndian.Uint16(p) == 4 {
					delta := int64(binary.BigEndian.Uint32(p[2:])) - peer.initial
					peer.initial += delta
					for _, s := range w.streams {
						s.window[1-who] += delta
					}
				}
			}
		}
		return
	}
	if f.stream == 0 {
		if f.typ != tWindow {
			bad("without a stream")
			return
		}
		if peer.window += int64(binary.BigEndian.Uint32(f.p)); peer.window > 1<<31-1 {
			bad("the window is too large")
		}
		return
	}
	s := w.streams[f.stream]
	if s == nil {
		if who != 0 || f.typ != tHeaders || f.stream%2 == 0 || f.stream <= w.lastOpened {
			bad("on a stream that is idle")
			return
		}
		w.lastOpened = f.stream
		s = &modelStream{window: [2]int64{d.initial, peer.initial}}
		w.streams[f.stream] = s
		if w.open++; w.open > w.maxStreams {
			bad(fmt.Sprintf("%d streams are open", w.open))
		}
	}
	if s.reset[who] {
		bad("after RST_STREAM")
	}
	switch f.typ {
	case tHeaders, tContinuation:
		if s.ended[who] && f.typ == tHeaders {
			bad("after END_STREAM")
		}
		if f.typ == tHeaders {
			if len(f.p) == 0 {
				bad("empty")
			}
			d.block, d.blockEnd, d.b = f.stream, f.flags&fEndStream != 0, d.b[:0]
			if s.headers[who]++; s.headers[who] == 2 && !d.blockEnd || s.headers[who] > 2 {
				bad("too many headers")
			}
		}
		d.b = append(d.b, f.p...)
		if f.flags&fEndHeaders != 0 {
			if _, err := d.dec.Decode(d.b); err != nil {
				bad(err.Error())
			}
			s.ended[who] = s.ended[who] || d.blockEnd
			d.block = 0
		}
	case tData:
		s.window[who] -= int64(len(f.p))
		d.window -= int64(len(f.p))
		switch {
		case s.ended[who]:
			bad("after END_STREAM")
		case s.headers[who] == 0:
			bad("before HEADERS")
		case s.window[who] < 0 && len(f.p) > 0:
			bad("more than the stream's window")
		case d.window < 0 && len(f.p) > 0:
			bad("more than the connection's window")
		}
		s.ended[who] = f.flags&fEndStream != 0
	case tReset:
		s.reset[who] = true
	case tWindow:
		if s.window[1-who] += int64(binary.BigEndian.Uint32(f.p)); s.window[1-who] > 1<<31-1 {
			bad("the window is too large")
		}
	default:
		bad("of a type that is not sent")
	}
	if !s.countedDown && (s.ended[0] && s.ended[1] || s.reset[0] || s.reset[1]) {
		s.countedDown = true
		w.open--
	}
}

// noise is what is sent, from a place on that depends on the seed.
var noise = func() []byte {
	p := make([]byte, 2<<20)
	rand.NewChaCha8([32]byte{}).Read(p)
	return p
}()

func pattern(seed uint64, from, n int) []byte { return noise[int(seed%4096)+from:][:n] }

// actor makes one end of a stream do something or other.
type actor struct {
	t    *testing.T
	rnd  *rand.Rand
	seed uint64 // of what it sends
	sent int
	got  int
}

// actorStream is what actors use of either end's call.
type actorStream interface {
	Send(*http2.Frames) error
	Wait(<-chan struct{}) error
	Consumed(int)
	Reset(http2.ErrCode)
	take() ([]byte, bool)
}

func (a *actor) size() int {
	switch a.rnd.IntN(4) {
	case 0:
		return 0
	case 1:
		return a.rnd.IntN(300_000)
	}
	return a.rnd.IntN(2000)
}

func (a *actor) frames(end bool) *http2.Frames {
	n := a.size()
	f := &http2.Frames{Data: pattern(a.seed, a.sent, n), End: end}
	a.sent += n
	if a.rnd.IntN(2) == 0 {
		released := false
		f.Release = func([]byte) {
			if released {
				a.t.Error("released twice")
			}
			released = true
		}
	}
	return f
}

// receive checks what came, and consumes it, or not.
func (a *actor) receive(s actorStream, from uint64) (end bool, err error) {
	p, end := s.take()
	if !bytes.Equal(p, pattern(from, a.got, len(p))) {
		return end, fmt.Errorf("bytes %d to %d are not what was sent", a.got, a.got+len(p))
	}
	a.got += len(p)
	s.Consumed(len(p))
	return end, nil
}

func TestModel(t *testing.T) {
	seeds := 6
	if testing.Short() {
		seeds = 2
	}
	for seed := range seeds {
		for _, kill := range []bool{false, true} {
			t.Run(fmt.Sprintf("seed %d, kill %v", seed, kill), func(t *testing.T) { runModel(t, uint64(seed), kill) })
		}
	}
}

func runModel(t *testing.T, seed uint64, kill bool) {
	const maxStreams, callers, callsEach = 40, 60, 6
	rnd := rand.New(rand.NewPCG(seed, 0))
	budget := http2.NewBudget(64 << 20)
	cfg := http2.Config{MaxStreams: maxStreams, StreamWindow: 65_535 + rnd.IntN(100_000), ConnWindow: 65_535 + rnd.IntN(400_000), Budget: budget, MaxResets: -1}
	var handled, aborted atomic.Int32
	h := &handler{cfg: cfg}
	h.serve = func(c *serverCall) {
		handled.Add(1)
		n, _ := strconv.ParseUint(c.heads[0]["seed"], 10, 64)
		if err := modelHandler(t, c, n); err != nil {
			aborted.Add(1)
		}
	}

	network := []string{"memory", "tcp", "unix", "tls"}[seed%4]
	cn, cw := networks[network](t)
	sw, sn := networks[network](t)
	w := newWire(t, seed, maxStreams, cw, sw)
	var wires sync.WaitGroup
	wires.Go(func() { w.run(0) })
	wires.Go(func() { w.run(1) })

	server := http2.NewServerConn(sn, &h.cfg, h)
	go server.Serve()
	ready := make(chan struct{})
	client := http2.NewClientConn(cn, &http2.Config{StreamWindow: cfg.StreamWindow, ConnWindow: cfg.ConnWindow}, http2.ClientEvents{Ready: func() { close(ready) }})
	<-ready

	var all sync.WaitGroup
	var made atomic.Int32
	for i := range callers {
		all.Go(func() {
			for j := range callsEach {
				err := modelCall(t, client, seed<<32|uint64(i)<<16|uint64(j))
				var se *http2.StreamError
				if err != nil && !errors.As(err, &se) && !(kill && isEnd(err)) {
					t.Errorf("call %d of %d: %v", j, i, err)
					return
				}
				if made.Add(1) == callers*callsEach/3 && kill {
					cw.Close()
					sw.Close()
				}
			}
		})
	}
	all.Wait()
	h.Wait()
	if !kill {
		eventually(t, "nothing is left", func() bool { return client.Leaks() == "" && server.Leaks() == "" })
		server.Drain() // both read to the end
	} else {
		client.Close(nil)
	}
	<-client.Done()
	<-server.Done()
	wires.Wait()
	if a, b := client.Owed(), server.Owed(); !kill && a|b != 0 {
		t.Errorf("the server got no credit for %d bytes, and the client for %d", a, b)
	}
	for name, c := range map[string]*http2.Conn{"client": client, "server": server} {
		if leaks := c.Leaks(); leaks != "" {
			t.Errorf("the %s leaks: %s", name, leaks)
		}
	}
	if n := budget.Used(); n != 0 {
		t.Errorf("%d bytes of the budget are taken", n)
	}
	if handled.Load() == 0 || !kill && handled.Load() == aborted.Load() {
		t.Errorf("%d calls came, and %d were aborted", handled.Load(), aborted.Load())
	}
}

func isEnd(err error) bool {
	var ce *http2.ConnError
	return errors.As(err, &ce)
}

var errGaveUp = errors.New("gave up")

// modelCall makes a call as its seed says, and checks what comes.
func modelCall(t *testing.T, client *http2.Conn, seed uint64) error {
	a := &actor{t: t, rnd: rand.New(rand.NewPCG(seed, 7)), seed: seed}
	c := &modelClient{clientCall: newCall()}
	giveUp := a.rnd.IntN(8)
	parts := a.rnd.IntN(4)
	f := a.frames(parts == 0)
	f.Head, f.HeadMore = postHead, block("seed", strconv.FormatUint(seed, 10))
	if err := client.Open(nil, &c.Stream, c, f); err != nil {
		return err
	}
	// It receives while it sends: a server may answer before it has read, and wait for that to be taken.
	var sending sync.WaitGroup
	defer func() { sending.Wait(); c.Finish() }()
	sending.Go(func() {
		for i := range parts {
			if a.rnd.IntN(3) == 0 {
				runtime.Gosched()
			}
			if giveUp == 0 && i == parts/2 {
				c.Reset(http2.Cancel)
				c.mu.Lock()
				c.err = errGaveUp
				c.mu.Unlock()
				c.poke()
				return
			}
			f := a.frames(i == parts-1)
			if c.Send(f) != nil || a.rnd.IntN(2) == 0 && c.Wait(nil) != nil {
				return // the end tells why
			}
		}
	})
	for {
		if err := c.wait(func() bool { return c.end || len(c.data) > 0 }); err != nil {
			if err == errGaveUp {
				return nil
			}
			return err
		}
		if giveUp == 1 {
			c.Reset(http2.Cancel)
			return nil
		}
		end, err := a.receive(c, ^seed)
		if err != nil {
			t.Error(err)
		}
		if end {
			break
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.calls > 0 {
		t.Error("the receiver was called after the end")
	}
	last := c.heads[len(c.heads)-1]
	if want, ok := last["sent"]; ok && want != strconv.Itoa(a.got) {
		t.Errorf("%d bytes came of %s", a.got, want)
	}
	return nil
}

// modelClient consumes later.
type modelClient struct{ *clientCall }

func (c *modelClient) OnData(p []byte, end bool) { c.inbox.OnData(p, end) }

// Place takes some of it in memory of its own.
func (c *modelClient) Place(n int) []byte {
	if c.ID()%4 == 1 {
		return nil
	}
	return make([]byte, n-n/3)
}

// modelHandler answers as the seed says. An error tells that the stream was aborted.
func modelHandler(t *testing.T, c *serverCall, seed uint64) error {
	a := &actor{t: t, rnd: rand.New(rand.NewPCG(seed, 8)), seed: ^seed}
	early := a.rnd.IntN(8)
	f := &http2.Frames{Head: okHead}
	for early > 2 {
		if err := c.wait(func() bool { return c.end || len(c.data) > 0 }); err != nil {
			return err
		}
		end, err := a.receive(c, seed)
		if err != nil {
			t.Error(err)
		}
		if end {
			break
		}
		if a.rnd.IntN(3) == 0 {
			head := f.Head
			f = a.frames(false)
			f.Head = head
			if err := c.Send(f); err != nil {
				return err
			}
			f = &http2.Frames{}
		}
	}
	switch early {
	case 0:
		c.Reset(http2.Cancel)
		return nil
	case 1:
		return nil // Finish does it
	}
	head := f.Head
	if a.rnd.IntN(4) == 0 {
		f = &http2.Frames{End: true}
	} else {
		f = a.frames(true)
	}
	f.Head = head
	f.TrailMore = block("sent", strconv.Itoa(a.sent), "x", strings.Repeat("x", a.rnd.IntN(100)))
	return c.Send(f)
}

// TestKills makes thousands of calls on connections that are made and killed all the time.
func TestKills(t *testing.T) {
	h := &handler{cfg: http2.Config{MaxResets: -1}}
	defer h.Close()
	defer h.Wait()
	var rounds sync.WaitGroup
	for round := range 20 {
		rounds.Go(func() {
			rnd := rand.New(rand.NewPCG(uint64(round), 3))
			network := []string{"memory", "tcp", "unix", "pipe"}[round%4]
			cn, sn := networks[network](t)
			server := http2.NewServerConn(sn, &h.cfg, h)
			go server.Serve()
			client := http2.NewClientConn(cn, nil, http2.ClientEvents{})
			var all sync.WaitGroup
			var made atomic.Int32
			killAt := int32(rnd.IntN(1000))
			how := rnd.IntN(4)
			for i := range 100 {
				all.Go(func() {
					for range 10 {
						c := newCall()
						done := make(chan struct{})
						if i%10 == 0 {
							close(done)
						}
						if c := client.Open(done, &c.Stream, c, &http2.Frames{Head: postHead, Data: make([]byte, i*100), End: i%3 != 0}); c != nil {
							if c == http2.ErrGaveUp {
								continue
							}
							return
						}
						if made.Add(1) == killAt {
							switch how {
							case 0:
								cn.Close()
							case 1:
								server.Close(nil)
							case 2:
								client.Close(nil)
							case 3:
								server.Drain()
							}
						}
						if i%3 == 0 {
							if i%2 == 0 {
								c.Reset(http2.Cancel)
								continue
							}
							c.Send(&http2.Frames{Data: make([]byte, 100), End: true})
						}
						if err := c.waitEnd(); err != nil && !isEnd(err) {
							t.Error(err)
						}
					}
				})
			}
			all.Wait()
			client.Close(nil)
			<-client.Done()
			<-server.Done()
			if leaks := client.Leaks(); leaks != "" {
				t.Error(leaks)
			}
		})
	}
	rounds.Wait()
}
