package http2

import (
	"sync"
	"time"
)

// Job is what a worker runs, once. A panic in it is not recovered; runtime.Goexit ends the worker and is made good.
type Job interface{ Run(w *Worker) }

// Worker is a goroutine that runs jobs.
type Worker struct {
	// Local belongs to the jobs: what they make once per worker and use again, such as buffers. nil at first.
	Local any

	// A job that knows when it ends tells that by After, and the next one, if it is run right then, finds it in Before: that spares it
	// a look at the clock. Zero: not known.
	Before, After time.Time

	wake   chan bool // capacity 1; true: look for work, false: end
	parked time.Time
}

// Workers runs jobs on goroutines that are kept, for a fresh goroutine would grow its stack on every call. A batch wakes one worker; a
// worker that takes a job wakes the next one before it runs the job, if there is more to do and nobody is on the way to it. So jobs
// that do not block are run by few goroutines with few wakes, and a job that blocks never holds up another: as long as jobs wait,
// some worker that is not inside a job is runnable. The zero value is ready for use. Its methods are safe for concurrent use.
type Workers struct {
	// IdleTime is after how long without work a worker ends; at most twice as long. 0 means 5 s. Set it before the first Push.
	IdleTime time.Duration

	mu        sync.Mutex
	queue     []Job // from head on, in a ring
	head, n   int
	searching bool      // a worker was woken that has not looked at the queue yet
	idle      []*Worker // parked, the latest last
	sweep     *time.Timer
	closed    bool
	alive     int       // goroutines
	gone      sync.Cond // alive became 0
}

const defaultWorkerIdle = 5 * time.Second

// Push hands over a batch of jobs, which are begun in this order. The slice is not kept. After Close they are run all the same.
func (p *Workers) Push(batch []Job) {
	if len(batch) == 0 {
		return
	}
	p.mu.Lock()
	for _, j := range batch {
		p.put(j)
	}
	w, spawn := p.next()
	p.mu.Unlock()
	p.start(w, spawn)
}

// next says who takes the next job: a parked worker or a new one, if anybody is needed. It is called with the lock held.
func (p *Workers) next() (w *Worker, spawn bool) {
	if p.searching || p.n == 0 {
		return nil, false
	}
	p.searching = true
	if last := len(p.idle) - 1; last >= 0 {
		w = p.idle[last]
		p.idle[last] = nil
		p.idle = p.idle[:last]
		return w, false
	}
	p.alive++
	return nil, true
}

func (p *Workers) start(w *Worker, spawn bool) {
	if w != nil {
		w.wake <- true
	} else if spawn {
		go p.run(&Worker{wake: make(chan bool, 1)})
	}
}

func (p *Workers) run(w *Worker) {
	defer p.end()
	for {
		p.mu.Lock()
		p.searching = false
		w.After = time.Time{}
		for p.n > 0 {
			j := p.take()
			next, spawn := p.next()
			p.mu.Unlock()
			p.start(next, spawn)
			w.Before, w.After = w.After, time.Time{}
			p.job(w, j)
			p.mu.Lock()
		}
		if p.closed {
			p.mu.Unlock()
			return
		}
		p.park(w)
		p.mu.Unlock()
		if !<-w.wake {
			return
		}
	}
}

// job runs j. When it ends the goroutine (runtime.Goexit), another takes its place: the queue may hold jobs that only this one would
// come to.
func (p *Workers) job(w *Worker, j Job) {
	returned := false
	defer func() {
		if !returned {
			p.mu.Lock()
			next, spawn := p.next()
			p.mu.Unlock()
			p.start(next, spawn)
		}
	}()
	j.Run(w)
	returned = true
}

func (p *Workers) put(j Job) {
	if p.n == len(p.queue) {
		bigger := make([]Job, max(64, 2*len(p.queue)))
		k := copy(bigger, p.queue[p.head:])
		copy(bigger[k:], p.queue[:p.head])
		p.queue, p.head = bigger, 0
	}
	p.queue[(p.head+p.n)&(len(p.queue)-1)] = j
	p.n++
}

func (p *Workers) take() Job {
	j := p.queue[p.head]
	p.queue[p.head] = nil
	p.head = (p.head + 1) & (len(p.queue) - 1)
	p.n--
	return j
}

func (p *Workers) park(w *Worker) {
	w.parked = time.Now()
	p.idle = append(p.idle, w)
	if p.sweep == nil {
		p.sweep = time.AfterFunc(p.idleTime(), p.endIdle)
	}
}

func (p *Workers) idleTime() time.Duration {
	if p.IdleTime > 0 {
		return p.IdleTime
	}
	return defaultWorkerIdle
}

// endIdle ends the workers that are parked for long: they are the first of the list.
func (p *Workers) endIdle() {
	p.mu.Lock()
	defer p.mu.Unlock()
	since := time.Now().Add(-p.idleTime())
	n := 0
	for n < len(p.idle) && !p.idle[n].parked.After(since) {
		p.idle[n].wake <- false
		n++
	}
	p.idle = append(p.idle[:0], p.idle[n:]...)
	p.sweep = nil
	if len(p.idle) > 0 {
		p.sweep = time.AfterFunc(p.idleTime(), p.endIdle)
	}
}

// Close ends the workers and waits for the jobs that run and those that are queued. Jobs that come later are run too, but not waited
// for. Closing twice is no error.
func (p *Workers) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	p.gone.L = &p.mu
	for _, w := range p.idle {
		w.wake <- false
	}
	p.idle = nil
	if p.sweep != nil {
		p.sweep.Stop()
	}
	for p.alive > 0 {
		p.gone.Wait()
	}
}

func (p *Workers) end() {
	p.mu.Lock()
	if p.alive--; p.alive == 0 && p.closed {
		p.gone.Broadcast()
	}
	p.mu.Unlock()
}
