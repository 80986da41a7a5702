package rpc

import "sync"

// inbox holds the messages of one direction of a stream that have come from a wire and were not read yet. Its size is bounded by flow
// control: bytes are given back to the peer as credit when their message is read. One goroutine reads.
type inbox struct {
	in assembler // only the connection's reader uses it

	mu       sync.Mutex
	items    []received // from head on
	head     int
	partial  int   // bytes of the message that has begun, as far as no credit was given for them
	end      error // behind the items; nil: there may be more
	readable chan struct{}
}

type received struct {
	message
	owed int // bytes to be given back when it is read
}

func newInbox() inbox { return inbox{readable: make(chan struct{}, 1)} }

// add takes DATA from the reader, and returns the credit that is due at once. Of a message that is not complete there is no limit to
// what may come if nothing else waits: a message may be larger than the peer's window.
func (b *inbox) add(p []byte, limit int) (credit int, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	added := false
	for len(p) > 0 {
		m, rest, ok, err := b.in.next(p, limit)
		if err != nil {
			return len(p), err
		}
		b.partial += len(p) - len(rest)
		p = rest
		if ok {
			b.items = append(b.items, received{m.owned(), b.partial})
			b.partial, added = 0, true
		}
	}
	if added {
		wake(b.readable)
	}
	return b.overdue(), nil
}

// overdue takes the credit for a message that has begun, if nothing else waits. b.mu is held.
func (b *inbox) overdue() int {
	if b.head < len(b.items) {
		return 0
	}
	credit := b.partial
	b.partial = 0
	return credit
}

// close says why there will be no more messages; the first reason counts.
func (b *inbox) close(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.end == nil {
		b.end = err
		wake(b.readable)
	}
}

// take returns the first message and the credit that is due, or why there is none; ok is false when there is none yet.
func (b *inbox) take() (m message, credit int, err error, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.head == len(b.items) {
		return message{}, 0, b.end, b.end != nil
	}
	item := b.items[b.head]
	b.items[b.head] = received{}
	if b.head++; b.head == len(b.items) {
		b.items, b.head = b.items[:0], 0
	}
	return item.message, item.owed + b.overdue(), nil, true
}

// get waits for a message until done is closed; then the result is not ok.
func (b *inbox) get(done <-chan struct{}) (m message, credit int, err error, ok bool) {
	for {
		if m, credit, err, ok = b.take(); ok {
			return m, credit, err, ok
		}
		select {
		case <-b.readable:
		case <-done:
			return message{}, 0, nil, false
		}
	}
}

// drop frees what nobody will read.
func (b *inbox) drop() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, item := range b.items[b.head:] {
		item.free()
	}
	b.items, b.head = nil, 0
}
