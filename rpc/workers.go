package rpc

import (
	"sync"
	"time"
)

// Handlers run on goroutines that are kept for the next call: a fresh goroutine would grow its stack through protobuf on every call.
// Each call has a worker of its own, so a handler that blocks never holds up another. A worker that had nothing to do for a while ends.

const (
	maxIdleWorkers = 512
	workerIdleTime = 5 * time.Second // a worker ends after one to two of these
)

// job is what a worker runs.
type job interface{ run(w *worker) }

// worker is one goroutine and the channel by which its job tells that it is done.
type worker struct {
	jobs  chan job      // capacity 1; closed to end the worker
	done  chan struct{} // capacity 1
	dead  bool          // the job ended the goroutine by runtime.Goexit; set before done
	round uint32        // when it was parked
	next  *worker
}

func newWorker() *worker {
	return &worker{jobs: make(chan job, 1), done: make(chan struct{}, 1)}
}

func (w *worker) run() {
	for j := range w.jobs {
		j.run(w)
	}
}

// workers are those that are parked, the most recent first. The server's lock guards them.
type workers struct {
	idle     *worker
	n        int
	round    uint32
	sweeping bool
}

// take returns a parked worker, or nil.
func (p *workers) take() *worker {
	w := p.idle
	if w != nil {
		p.idle, w.next = w.next, nil
		p.n--
	}
	return w
}

// put parks w, or ends it when it may not be kept.
func (p *workers) put(w *worker, mu *sync.Mutex, keep bool) {
	if w.dead {
		return
	}
	if !keep || p.n >= maxIdleWorkers {
		close(w.jobs)
		return
	}
	w.round, w.next = p.round, p.idle
	p.idle = w
	p.n++
	if !p.sweeping {
		p.sweeping = true
		time.AfterFunc(workerIdleTime, func() { p.sweep(mu) })
	}
}

// sweep ends the workers that have been parked since before the last sweep, and comes back while there are others.
func (p *workers) sweep(mu *sync.Mutex) {
	mu.Lock()
	defer mu.Unlock()
	at := &p.idle
	n := 0
	for ; *at != nil && (*at).round == p.round; at = &(*at).next {
		n++
	}
	for w := *at; w != nil; w = w.next {
		close(w.jobs)
	}
	*at, p.n = nil, n
	p.round++
	if p.sweeping = n > 0; p.sweeping {
		time.AfterFunc(workerIdleTime, func() { p.sweep(mu) })
	}
}

// endIdle ends all that are parked.
func (p *workers) endIdle() {
	for w := p.idle; w != nil; w = w.next {
		close(w.jobs)
	}
	p.idle, p.n = nil, 0
}
