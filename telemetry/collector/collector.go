package collector

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hanse-go/hanse/internal/lease"
)

// ErrNotFound is returned for a trace, a service or a metric that is not there, or not any more.
var ErrNotFound = errors.New("not found")

// Collector takes telemetry in and answers questions. Set its fields before [Collector.Run]; all methods may then be called concurrently.
// What comes before Run and after it is counted as dropped.
type Collector struct {
	// Dir is the folder of its files, which nothing else uses. It is made on demand.
	Dir string

	// MaxBytes limits the files. Default 1 GiB.
	MaxBytes int64

	// MaxAge is how long spans and log lines are kept. Default 72 h.
	MaxAge time.Duration

	// Logger is told of what goes wrong. Default: slog's.
	Logger *slog.Logger

	once  sync.Once
	parts *parts
}

// parts is what a Collector consists of.
type parts struct {
	started time.Time
	store   *store
	origins origins
	drops   drops
	numbers *numbers
	joins   joins
	notices notices
	counts  [3]counter // spans, logs, points
	ready   chan struct{}
	running atomic.Bool
	rooms   chan *room    // for as many requests as are read at a time
	turns   chan struct{} // has room for as many as are decoded at a time
}

// of returns the parts, which begin with the first who needs them.
func (c *Collector) of() *parts {
	c.once.Do(func() {
		c.parts = &parts{
			started: time.Now(), store: newStore(), numbers: newNumbers(), ready: make(chan struct{}),
			rooms: make(chan *room, mostBusy),
			// Half of the processors are left to those whose telemetry this is.
			turns: make(chan struct{}, min(max(runtime.GOMAXPROCS(0)/2, 1), mostBusy)),
		}
		for range mostBusy {
			c.parts.rooms <- new(room)
		}
	})
	return c.parts
}

// room waits until a request may be read; nil when ctx ends first. [parts.leave] gives the room back.
func (p *parts) room(ctx context.Context) *room {
	select {
	case m := <-p.rooms:
		return m
	case <-ctx.Done():
		return nil
	}
}

func (p *parts) leave(m *room) {
	m.empty()
	p.rooms <- m
}

// take takes in what a request has of one signal.
type take func(p *parts, m *room, body []byte) (refused, error)

// take takes in the body of a request when it is its turn.
func (p *parts) take(m *room, body []byte, add take) (refused, error) {
	p.turns <- struct{}{}
	defer func() { <-p.turns }()
	return add(p, m, body)
}

// Run keeps what comes until ctx ends, then writes what is in memory and returns. The error says why it cannot work: the folder is
// not to be written, or another collector has it. A Collector runs once.
func (c *Collector) Run(ctx context.Context) error {
	p := c.of()
	if !p.running.CompareAndSwap(false, true) {
		return errors.New("collector: it ran before: make a new one")
	}
	if c.Dir == "" {
		return errors.New("collector: Dir is not set: give it a folder of its own")
	}
	dir, err := filepath.Abs(c.Dir)
	if err == nil {
		err = os.MkdirAll(dir, 0o700)
	}
	if err != nil {
		return fmt.Errorf("collector: the folder for telemetry: %w", err)
	}
	lock, err := lease.Dir(dir).Hold("collector", []byte(strconv.Itoa(os.Getpid())))
	if errors.Is(err, lease.ErrHeld) {
		return fmt.Errorf("collector: another process keeps telemetry in %s: give each a Dir of its own", dir)
	}
	if err != nil {
		return fmt.Errorf("collector: the folder for telemetry: %w", err)
	}
	s := p.store
	s.dir, s.logger = dir, cmp.Or(c.Logger, slog.Default())
	s.maxBytes, s.maxAge = cmp.Or(max(c.MaxBytes, 0), defaultBytes), cmp.Or(max(c.MaxAge, 0), defaultAge)
	s.dropped = func(sig signal, reason string, n int) { p.drops.add(sig.String(), reason, n) }
	s.mu.Lock()
	s.open = true
	s.mu.Unlock()
	close(p.ready)

	var work sync.WaitGroup
	work.Go(func() { p.notices.run(ctx, p) })
	err = s.run(ctx)
	work.Wait()
	return errors.Join(err, lock.Close())
}

const (
	defaultBytes = 1 << 30
	defaultAge   = 72 * time.Hour
)

// Ready waits until Run takes in what comes. It returns ctx's error when that ends first.
func (c *Collector) Ready(ctx context.Context) error {
	select {
	case <-c.of().ready:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
