package rpc

import (
	"sync"
	"sync/atomic"
)

// inbox holds the messages of one direction of a stream that have come from a wire and were not read yet. Its size is bounded by flow
// control: bytes are given back to the peer as credit when their message is read. One goroutine reads; it takes all that is there at
// once, so that a stream of small messages costs neither a lock nor a wake for each of them.
type inbox struct {
	in assembler // only the connection's reader uses it

	mu      sync.Mutex
	came    batch // since the last take
	partial int   // bytes of the message that has begun, as far as no credit was given for them
	end     error // behind the messages; nil: there may be more
	parked  bool  // the goroutine that reads waits for readable

	readable chan struct{}
	dropped  atomic.Bool

	taken  batch // only the goroutine that reads uses it, like what follows
	next   int   // message of taken
	offset int   // of the next small message
	unpaid int   // credit that is not given yet
}

// batch is a list of messages.
type batch struct {
	messages []received
	small    *buffer // the bytes of all that have no buffer of their own, in order; nil: there are none
}

type received struct {
	buf        *buffer // nil: the message lies in its batch's buffer
	size       int
	compressed bool
	owed       int // bytes to be given back when it is read
}

const (
	// smallMessage is how large a message is at most that shares a buffer with others.
	smallMessage = 2 << 10
	// payAt is the credit that is given before a batch is read to its end.
	payAt = 4 << 10
	// keepMessages is how long a list of messages may be that is used again.
	keepMessages = 1 << 10
)

func newInbox() inbox { return inbox{readable: make(chan struct{}, 1)} }

// add takes DATA from the reader, and returns the credit that is due at once. Of a message that is not complete there is no limit to
// what may come while somebody waits for it: a message may be larger than the peer's window.
func (b *inbox) add(p []byte, limit int) (credit int, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for len(p) > 0 {
		m, rest, ok, err := b.in.next(p, limit)
		if err != nil {
			return len(p), err
		}
		b.partial += len(p) - len(rest)
		p = rest
		if ok {
			b.came.add(m, b.partial)
			b.partial = 0
		}
	}
	if len(b.came.messages) > 0 {
		b.wake()
	}
	return b.overdue(), nil
}

// add keeps a message, which lies in the reader's memory unless it has a buffer.
func (l *batch) add(m message, owed int) {
	item := received{size: len(m.data), compressed: m.compressed, owed: owed}
	switch {
	case m.buf != nil || item.size > smallMessage:
		item.buf = m.owned().buf
	case l.small == nil:
		l.small = newBuffer(item.size)
		l.small.b = append(l.small.b, m.data...)
	default:
		l.small = l.small.grown(item.size)
		l.small.b = append(l.small.b, m.data...)
	}
	l.messages = append(l.messages, item)
}

// wake wakes the goroutine that reads, if it waits. b.mu is held.
func (b *inbox) wake() {
	if b.parked {
		b.parked = false
		wake(b.readable)
	}
}

// overdue takes the credit for a message that has begun, if somebody waits for it. b.mu is held.
func (b *inbox) overdue() int {
	if !b.parked {
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
		b.wake()
	}
}

// take returns the first message and the credit that is due, or why there is none; ok is false when there is none yet. The message is
// valid until the next call.
func (b *inbox) take() (m message, credit int, err error, ok bool) {
	if b.next == len(b.taken.messages) {
		credit, err, ok = b.refill()
		if !ok || err != nil {
			return message{}, credit, err, ok
		}
	}
	item := &b.taken.messages[b.next]
	b.next++
	m = message{buf: item.buf, compressed: item.compressed}
	if item.buf != nil {
		m.data, item.buf = item.buf.b, nil
	} else {
		m.data = b.taken.small.b[b.offset : b.offset+item.size]
		b.offset += item.size
	}
	if b.unpaid += item.owed; b.unpaid >= payAt || b.next == len(b.taken.messages) {
		credit += b.unpaid
		b.unpaid = 0
	}
	return m, credit, nil, true
}

// refill takes all messages that have come. Without any it returns why there are no more, or sees to it that the next will wake the
// goroutine that reads.
func (b *inbox) refill() (credit int, err error, ok bool) {
	b.taken.small.free()
	used := b.taken.messages[:0]
	if cap(used) > keepMessages {
		used = nil
	}
	b.next, b.offset = 0, 0

	b.mu.Lock()
	defer b.mu.Unlock()
	b.taken, b.came = b.came, batch{messages: used}
	if len(b.taken.messages) > 0 {
		b.parked = false
		return 0, nil, true
	}
	b.parked = b.end == nil
	return b.overdue(), b.end, b.end != nil
}

// get waits for a message until done is closed, or the messages are dropped; then the result is not ok. Credit may be due without a
// message, so pay is called with it. The message is valid until the next call.
func (b *inbox) get(done <-chan struct{}, pay func(credit int)) (m message, err error, ok bool) {
	for !b.dropped.Load() {
		m, credit, err, ok := b.take()
		if credit > 0 {
			pay(credit)
		}
		if ok {
			return m, err, true
		}
		select {
		case <-b.readable:
		case <-done:
			return message{}, nil, false
		}
	}
	return message{}, nil, false
}

// drop frees what nobody will read.
func (b *inbox) drop() {
	b.dropped.Store(true)
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, item := range b.came.messages {
		item.buf.free()
	}
	b.came.small.free()
	b.came = batch{}
}
