package etcddiscovery

import (
	"context"
	"sync"
	"time"

	"github.com/hanse-go/hanse/discovery/driver"
	"google.golang.org/grpc/connectivity"
)

const (
	calm      = 10 * time.Second       // between two looks at an etcd with which nothing happens
	hurry     = time.Second            // between two attempts to reach it
	pause     = 100 * time.Millisecond // between two looks, whatever happens
	operation = 3 * time.Second        // for one request
)

// pulse tells whether etcd is there, and whether it is the one that it was: after a wipe, what is remembered of its revisions and leases
// means nothing, and etcd's own client would wait for ever for a revision to come again. It runs from the first watcher or lease to the
// last, and looks when the connection changes, and from time to time.
type pulse struct {
	registry *Registry
	cancel   context.CancelFunc
	done     chan struct{}

	looking    chan struct{} // holds a value during a look: one at a time, so that a later one knows more
	mu         sync.Mutex
	users      int
	breaks     int       // of the connection
	broken     bool      // etcd has not answered since the last break
	away       time.Time // since when it does not answer; zero: it does
	doubtUntil time.Time
	epoch      string
	revision   int64
	life       context.Context // of the registry, until it is wiped
	endLife    context.CancelFunc
	wakes      map[chan struct{}]struct{}
}

// joinPulse returns the pulse and keeps it running until leavePulse.
func (r *Registry) joinPulse() *pulse {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.pulse == nil {
		ctx, cancel := context.WithCancel(context.Background())
		p := &pulse{registry: r, cancel: cancel, done: make(chan struct{}), looking: make(chan struct{}, 1), wakes: make(map[chan struct{}]struct{})}
		p.life, p.endLife = context.WithCancel(context.Background())
		r.pulse = p
		go p.run(ctx)
	}
	r.pulse.users++
	return r.pulse
}

func (r *Registry) leavePulse(p *pulse) {
	r.mu.Lock()
	p.users--
	last := p.users == 0
	if last {
		r.pulse = nil
	}
	r.mu.Unlock()
	if last {
		p.cancel()
		<-p.done
		p.endLife()
	}
}

func (p *pulse) run(ctx context.Context) {
	defer close(p.done)
	changed := make(chan struct{}, 1)
	var wg sync.WaitGroup
	wg.Go(func() { p.followConnection(ctx, changed) })
	defer wg.Wait()
	failures := 0
	for {
		err := p.look(ctx)
		delay := driver.Jitter(calm)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			failures++
			p.missed(err)
			delay = driver.Backoff(failures, hurry)
		default:
			failures = 0
		}
		driver.Sleep(ctx, pause)
		wait(ctx, delay, changed)
	}
}

// followConnection tells each change of the connection, and has it made again soon when it cannot be made: grpc's own pauses grow up to
// two minutes.
func (p *pulse) followConnection(ctx context.Context, changed chan<- struct{}) {
	conn := p.registry.client.ActiveConnection()
	before := conn.GetState()
	for ctx.Err() == nil {
		if before == connectivity.TransientFailure {
			driver.Sleep(ctx, driver.Jitter(hurry))
			conn.ResetConnectBackoff()
		} else {
			conn.WaitForStateChange(ctx, before)
		}
		state := conn.GetState()
		if before == connectivity.Ready && ctx.Err() == nil {
			p.broke()
		}
		if state != before {
			poke(changed)
		}
		before = state
	}
}

// lookFirst looks, unless that has been done. What is read after it is of the epoch that it found, or of one whose beginning will be noticed.
func (p *pulse) lookFirst(ctx context.Context) error {
	p.mu.Lock()
	looked := p.revision > 0
	p.mu.Unlock()
	if looked {
		return nil
	}
	return p.look(ctx)
}

// look asks etcd for the epoch.
func (p *pulse) look(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, operation)
	defer cancel()
	select {
	case p.looking <- struct{}{}:
		defer func() { <-p.looking }()
	case <-ctx.Done():
		return ctx.Err()
	}
	p.mu.Lock()
	breaks := p.breaks
	p.mu.Unlock()
	res, err := p.registry.client.Get(ctx, p.registry.epochKey())
	if err != nil {
		return err
	}
	epoch := ""
	if len(res.Kvs) > 0 {
		epoch = string(res.Kvs[0].Value)
	}
	p.found(breaks, epoch, res.Header.GetRevision())
	return nil
}

// found takes what etcd said, when it was asked after so many breaks.
func (p *pulse) found(breaks int, epoch string, revision int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	wiped := revision < p.revision || p.epoch != "" && epoch != p.epoch
	if wiped {
		p.registry.opts.Logger.Warn("the registry was wiped or restored; instances announce themselves again, and the last known ones stay meanwhile", "registry", p.registry.String())
		p.doubtUntil = now.Add(p.registry.opts.TTL)
	}
	if wiped || epoch != p.epoch && p.revision > 0 { // who follows may have read of an epoch that was never found here
		p.endLife()
		p.life, p.endLife = context.WithCancel(context.Background())
	}
	if !p.away.IsZero() {
		p.registry.opts.Logger.Info("etcd is back", "registry", p.registry.String(), "away", now.Sub(p.away).Round(time.Millisecond))
		p.away = time.Time{}
	}
	if p.broken {
		p.broken, p.doubtUntil = breaks != p.breaks, now.Add(p.registry.opts.TTL)
	}
	if now.Before(p.doubtUntil) { // something happened: see to the leases
		for wake := range p.wakes {
			poke(wake)
		}
	}
	p.epoch, p.revision = epoch, revision
}

// missed takes that etcd did not answer.
func (p *pulse) missed(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.broken = true
	if p.away.IsZero() {
		p.away = time.Now()
		p.registry.opts.Logger.Warn("etcd does not answer; the last known instances stay", "error", p.registry.explain("look for the registry", err))
	}
}

// broke takes that the connection broke.
func (p *pulse) broke() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.breaks++
	p.broken = true
}

// doubtful returns until when an instance that is not found may be one that had no time yet to announce itself again.
func (p *pulse) doubtful() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.broken {
		return time.Now().Add(p.registry.opts.TTL)
	}
	return p.doubtUntil
}

// current returns a context that ends when the registry is found to be wiped, or to have begun.
func (p *pulse) current() context.Context {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.life
}

// wakeOn has the channel, which has room for one, get a value when leases may have been lost, until the function that it returns is
// called.
func (p *pulse) wakeOn(wake chan struct{}) (stop func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wakes[wake] = struct{}{}
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.wakes, wake)
	}
}

func poke(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// wait waits for d, for a value of the channel, or for the end of ctx.
func wait(ctx context.Context, d time.Duration, c <-chan struct{}) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-c:
	case <-ctx.Done():
	}
}
