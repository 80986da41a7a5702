package wire

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hanse-go/hanse/bench/wire/echopb"
)

const (
	callTimeout = 10 * time.Second
	chatTimeout = time.Minute
	sampled     = 8 // one in so many is timed
)

// load is what one process does to a client.
type load struct {
	client *client
	cell   Cell
	once   sync.Once
	own    float64 // allocations of the context of a call, which are the caller's
}

// segment is what became of one turn.
type segment struct {
	Units   int           `json:"units"`
	Took    time.Duration `json:"took"`
	Used    Usage         `json:"used"`
	Latency histogram     `json:"latency,omitempty"`
}

// hand is one of the goroutines that make calls.
type hand struct {
	load    *load
	in      *echopb.Message
	chat    chat
	cancel  context.CancelFunc
	units   int
	latency *counts
	err     error
}

// run keeps all hands busy for d.
func (l *load) run(d time.Duration) (segment, error) {
	l.once.Do(l.measureContext)
	var ready, done, ended sync.WaitGroup
	var stop atomic.Bool
	begin, leave := make(chan struct{}), make(chan struct{})
	latency := new(counts)
	hands := make([]*hand, l.cell.Concurrency)
	for i := range hands {
		h := &hand{load: l, in: &echopb.Message{Body: make([]byte, l.cell.Size)}, latency: latency}
		hands[i] = h
		ready.Add(1)
		done.Add(1)
		ended.Go(func() {
			h.err = h.prepare()
			ready.Done()
			<-begin
			if h.err == nil {
				h.err = h.work(&stop, i)
			}
			if h.err != nil {
				stop.Store(true)
			}
			done.Done()
			<-leave
			h.finish()
		})
	}
	ready.Wait()
	timer := time.AfterFunc(d, func() { stop.Store(true) })
	defer timer.Stop()
	before := Used()
	start := time.Now()
	close(begin)
	done.Wait()
	s := segment{Took: time.Since(start), Used: Used().Sub(before), Latency: latency.histogram()}
	close(leave)
	ended.Wait()
	for _, h := range hands {
		if h.err != nil {
			return s, h.err
		}
		s.Units += h.units
	}
	if l.cell.Kind == Unary {
		s.Used.Mallocs -= min(s.Used.Mallocs, uint64(l.own*float64(s.Units)))
	}
	return s, nil
}

// measureContext finds out what a context with a deadline costs that somebody waits for.
func (l *load) measureContext() {
	const n = 2000
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range n {
		ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
		ctx.Done()
		cancel()
	}
	runtime.ReadMemStats(&after)
	l.own = float64(after.Mallocs-before.Mallocs) / n
}

// prepare makes what lasts longer than a call, and the first call.
func (h *hand) prepare() error {
	h.cancel = func() {}
	if h.load.cell.Kind == Unary {
		return h.call()
	}
	if h.load.client.chat == nil {
		return fmt.Errorf("this peer has no streams")
	}
	var ctx context.Context
	ctx, h.cancel = context.WithTimeout(context.Background(), chatTimeout)
	var err error
	if h.chat, err = h.load.client.chat(ctx); err != nil {
		return err
	}
	return h.exchange()
}

func (h *hand) work(stop *atomic.Bool, offset int) error {
	if h.load.cell.Window > 1 {
		return h.flood(stop)
	}
	one := h.call
	if h.chat != nil {
		one = h.exchange
	}
	for i := offset; h.units == 0 || !stop.Load(); i++ {
		if i%sampled != 0 {
			if err := one(); err != nil {
				return err
			}
		} else {
			begin := time.Now()
			if err := one(); err != nil {
				return err
			}
			h.latency.add(time.Since(begin))
		}
		h.units++
	}
	return nil
}

// call makes one unary call.
func (h *hand) call() error {
	ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	size, err := h.load.client.unary(ctx, h.in)
	if err == nil && size != len(h.in.Body) {
		err = fmt.Errorf("sent %d bytes and got %d back", len(h.in.Body), size)
	}
	return err
}

// exchange sends one message on the stream and waits for its answer.
func (h *hand) exchange() error {
	if err := h.chat.Send(h.in); err != nil {
		return err
	}
	return h.receive()
}

func (h *hand) receive() error {
	out, err := h.chat.Recv()
	if err == nil && len(out.Body) != len(h.in.Body) {
		err = fmt.Errorf("sent %d bytes and got %d back", len(h.in.Body), len(out.Body))
	}
	return err
}

// flood keeps a window of messages in flight on the stream.
func (h *hand) flood(stop *atomic.Bool) error {
	window := h.load.cell.Window
	sent := make([]time.Time, window) // of the messages in flight that are timed
	send := func(n int) error {
		if n%sampled == 0 {
			sent[n%window] = time.Now()
		}
		return h.chat.Send(h.in)
	}
	for n := range window {
		if err := send(n); err != nil {
			return err
		}
	}
	for n := 0; ; n++ {
		if err := h.receive(); err != nil {
			return err
		}
		if n%sampled == 0 {
			h.latency.add(time.Since(sent[n%window]))
		}
		h.units++
		if stop.Load() {
			break
		}
		if err := send(n + window); err != nil {
			return err
		}
	}
	for range window - 1 {
		if err := h.receive(); err != nil {
			return err
		}
		h.units++
	}
	return nil
}

func (h *hand) finish() {
	if h.chat != nil && h.err == nil {
		if h.err = h.chat.CloseSend(); h.err == nil {
			for h.err == nil {
				_, h.err = h.chat.Recv()
			}
			h.err = nil // the end of the stream
		}
	}
	h.cancel()
}
