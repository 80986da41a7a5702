package framed

import "sync"

type request struct {
	id      uint32
	message *buffer
}

// queue hands requests to workers. While requests are queued there is always one worker that is awake and not inside a handler
// (searching): it takes one, and wakes the next worker before it begins, so that a handler which blocks holds nobody up, and a hundred
// requests with quick handlers cost two wake-ups.
type queue struct {
	handle func(request, *worker) error
	out    *flusher
	ended  sync.WaitGroup

	mu        sync.Mutex
	requests  []request // from first
	first     int
	searching bool
	closed    bool
	idle      []*worker
	err       error
}

type worker struct {
	wake  chan struct{} // capacity 1
	id    uint32        // of the request that it answers
	reply func(message any) error
}

// push adds requests and sees to it that somebody takes them.
func (q *queue) push(batch []request) {
	if len(batch) == 0 {
		return
	}
	q.mu.Lock()
	if q.first == len(q.requests) {
		q.requests, q.first = q.requests[:0], 0
	}
	q.requests = append(q.requests, batch...)
	q.wakeOne()
	q.mu.Unlock()
}

// wakeOne makes a worker search if none does. The caller holds q.mu.
func (q *queue) wakeOne() {
	if q.searching {
		return
	}
	q.searching = true
	if n := len(q.idle); n > 0 {
		w := q.idle[n-1]
		q.idle = q.idle[:n-1]
		w.wake <- struct{}{}
		return
	}
	w := &worker{wake: make(chan struct{}, 1)}
	w.reply = func(m any) error {
		size := q.out.codec.Size(m)
		encoded, err := q.out.encodeLarge(m, size)
		if err != nil {
			return err
		}
		q.out.mu.Lock()
		defer q.out.mu.Unlock()
		return q.out.add(w.id, m, size, encoded)
	}
	q.ended.Go(func() { q.work(w) })
}

// work is the life of a worker that was just woken.
func (q *queue) work(w *worker) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.searching = false
	for {
		if q.first == len(q.requests) {
			if q.closed {
				return
			}
			q.idle = append(q.idle, w)
			q.mu.Unlock()
			<-w.wake
			q.mu.Lock()
			q.searching = false
			continue
		}
		r := q.requests[q.first]
		q.requests[q.first] = request{}
		q.first++
		if q.first < len(q.requests) {
			q.wakeOne()
		}
		q.mu.Unlock()
		err := q.handle(r, w)
		r.message.free()
		q.mu.Lock()
		if q.err == nil {
			q.err = err
		}
	}
}

// close waits until all requests are answered and the workers have ended.
func (q *queue) close() {
	q.mu.Lock()
	q.closed = true
	for _, w := range q.idle {
		w.wake <- struct{}{}
	}
	q.idle = nil
	q.mu.Unlock()
	q.ended.Wait()
}
