package rpc

import "sync"

// A queue holds the messages of one direction of a stream within the process until they are read. Its writer waits when the queue is
// full, as it would for a wire's flow control. One goroutine writes and one reads.
type queue struct {
	readable, writable chan struct{} // of capacity 1: the other side changed something

	mu     sync.Mutex
	items  []payload // from head on
	head   int
	size   int
	closed bool // the writer has no more
}

// queueSize is about what a wire holds between two programs: a write buffer and a window. Each message counts queueItem more than its
// size, which bounds the number of empty ones. A message of any size fits into an empty queue.
const (
	queueSize = 128 << 10
	queueItem = 64
)

func newQueue() queue {
	return queue{readable: make(chan struct{}, 1), writable: make(chan struct{}, 1)}
}

// put adds p when there is room, or returns false when one of the channels is closed.
func (q *queue) put(p payload, a, b <-chan struct{}) bool {
	for {
		select {
		case <-a:
			return false
		case <-b:
			return false
		default:
		}
		q.mu.Lock()
		if q.size == 0 || q.size+p.size+queueItem <= queueSize {
			if q.head > 0 && len(q.items) == cap(q.items) { // room at the front before growing
				n := copy(q.items, q.items[q.head:])
				clear(q.items[n:])
				q.items, q.head = q.items[:n], 0
			}
			q.items = append(q.items, p)
			q.size += p.size + queueItem
			q.mu.Unlock()
			wake(q.readable)
			return true
		}
		q.mu.Unlock()
		select {
		case <-q.writable:
		case <-a:
		case <-b:
		}
	}
}

// close says that there will be no more messages.
func (q *queue) close() {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	wake(q.readable)
}

// get takes the first message. It returns false when there is none and the queue was closed, or one of the channels is closed: end
// after what was put before it was closed, abort at once.
func (q *queue) get(end, abort <-chan struct{}) (payload, bool) {
	for {
		select {
		case <-abort:
			return payload{}, false
		default:
		}
		ended := false
		select {
		case <-end: // looked at before the items: what was put before is there
			ended = true
		default:
		}
		q.mu.Lock()
		if q.size > 0 {
			p := q.items[q.head]
			q.items[q.head] = payload{}
			if q.head++; q.head == len(q.items) {
				q.items, q.head = q.items[:0], 0
			}
			q.size -= p.size + queueItem
			q.mu.Unlock()
			wake(q.writable)
			return p, true
		}
		ended = ended || q.closed
		q.mu.Unlock()
		if ended {
			return payload{}, false
		}
		select {
		case <-q.readable:
		case <-end:
		case <-abort:
		}
	}
}

func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
