package events

import (
	"time"

	"github.com/hanse-go/hanse/telemetry"
)

// item is an event in the hands of a subscription.
type item struct {
	delivery Delivery
	message  *Message
	lease    *lease // whose end is that of the event's; nil when nobody tells

	attempt int   // of the handler, counted from 1
	failed  error // for which it is to be a dead letter
	tries   int   // to make it one

	work *telemetry.Work // the last handling, that is told; nil when it is not

	since time.Time   // its AckWait began
	timer *time.Timer // after which it is handled again here

	lane       *lane // in which others wait behind it; nil when it has no order
	next       *item // in a queue
	prev, succ *item // among what is held
	holding    bool
}

// queue is a list of items, first in, first out.
type queue struct {
	first, last *item
	n           int
}

func (q *queue) push(it *item) {
	it.next = nil
	if q.last == nil {
		q.first = it
	} else {
		q.last.next = it
	}
	q.last = it
	q.n++
}

func (q *queue) pop() *item {
	it := q.first
	if it == nil {
		return nil
	}
	if q.first = it.next; q.first == nil {
		q.last = nil
	}
	it.next = nil
	q.n--
	return it
}

// lane is the events of one key that are held: one is out (ready, being handled, or waiting to be handled again), the others wait.
type lane struct {
	key     string
	waiting queue
}

// lanes decide which events may be handled: of each key the first one.
type lanes struct {
	ordered bool
	byKey   map[string]*lane
	ready   queue
}

// add takes an event in, in the order of delivery.
func (l *lanes) add(it *item) {
	if l.ordered && it.message.Key != "" {
		if at := l.byKey[it.message.Key]; at != nil {
			it.lane = at
			at.waiting.push(it)
			return
		}
		if l.byKey == nil {
			l.byKey = make(map[string]*lane)
		}
		it.lane = &lane{key: it.message.Key}
		l.byKey[it.lane.key] = it.lane
	}
	l.ready.push(it)
}

// take returns an event to be handled, nil when there is none. Until again or leave, those of its key wait.
func (l *lanes) take() *item { return l.ready.pop() }

// again has an event handled once more that was taken.
func (l *lanes) again(it *item) { l.ready.push(it) }

// leave ends the stay of an event that was taken: the next one of its key may be handled.
func (l *lanes) leave(it *item) {
	if it.lane == nil {
		return
	}
	if next := it.lane.waiting.pop(); next != nil {
		l.ready.push(next)
	} else {
		delete(l.byKey, it.lane.key)
	}
}

// held is all events that are held, those first that are heard of the longest ago.
type held struct {
	first, last *item
	n           int
}

func (h *held) add(it *item, now time.Time) {
	it.since, it.holding = now, true
	it.prev, it.succ = h.last, nil
	if h.last == nil {
		h.first = it
	} else {
		h.last.succ = it
	}
	h.last = it
	h.n++
}

func (h *held) remove(it *item) {
	if !it.holding {
		return
	}
	it.holding = false
	if it.prev == nil {
		h.first = it.succ
	} else {
		it.prev.succ = it.succ
	}
	if it.succ == nil {
		h.last = it.prev
	} else {
		it.succ.prev = it.prev
	}
	it.prev, it.succ = nil, nil
	h.n--
}
