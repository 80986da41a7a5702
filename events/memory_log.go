package events

import (
	"container/heap"
	"sort"
	"time"
)

// memoryLog is the messages that a topic keeps, by their numbers.
type memoryLog struct {
	chunks [][]memoryEntry // of logChunk entries each, but the last
	base   uint64          // number of the first entry of the first chunk
	first  uint64          // number of the oldest that is kept
	next   uint64          // number of the next that is stored
	count  uint64          // of those that are kept
	bytes  int64
}

type memoryEntry struct {
	message *Message // nil when it was deleted
	at      time.Time
	size    int64
}

const logChunk = 512

func (l *memoryLog) init() { l.base, l.first, l.next = 1, 1, 1 }

// len returns how many numbers there are from the oldest message on: with those of messages that were deleted. The first is of one that is kept.
func (l *memoryLog) len() uint64 { return l.next - l.first }

func (l *memoryLog) get(number uint64) *memoryEntry {
	at := number - l.base
	return &l.chunks[at/logChunk][at%logChunk]
}

func (l *memoryLog) add(m *Message, size int64, now time.Time) {
	if (l.next-l.base)%logChunk == 0 {
		l.chunks = append(l.chunks, make([]memoryEntry, 0, logChunk))
	}
	last := &l.chunks[len(l.chunks)-1]
	*last = append(*last, memoryEntry{m, now, size})
	l.next++
	l.count++
	l.bytes += size
}

// drop drops the oldest message.
func (l *memoryLog) drop() { l.remove(l.first) }

// remove takes a message out that is kept.
func (l *memoryLog) remove(number uint64) {
	e := l.get(number)
	l.count--
	l.bytes -= e.size
	e.message, e.size = nil, 0
	for l.len() > 0 && l.get(l.first).message == nil {
		l.first++
		if l.first-l.base == logChunk {
			l.chunks[0] = nil
			l.chunks = l.chunks[1:]
			l.base = l.first
		}
	}
}

// since returns the number of the first message that was stored at or after a time.
func (l *memoryLog) since(at time.Time) uint64 {
	return l.first + uint64(sort.Search(int(l.len()), func(i int) bool { return !l.get(l.first + uint64(i)).at.Before(at) }))
}

// countFrom returns how many messages there are from a number on.
func (l *memoryLog) countFrom(number uint64) uint64 {
	n := uint64(0)
	if l.count == l.len() {
		return max(l.next, number) - number
	}
	for ; number < l.next; number++ {
		if l.get(number).message != nil {
			n++
		}
	}
	return n
}

// dueHeap is messages that are to be delivered later, the next one first.
type dueHeap []*Message

func (h dueHeap) Len() int           { return len(h) }
func (h dueHeap) Less(i, j int) bool { return h[i].Due.Before(h[j].Due) }
func (h dueHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *dueHeap) Push(m any)        { *h = append(*h, m.(*Message)) }
func (h *dueHeap) Pop() any {
	old := *h
	m := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return m
}

func (h *dueHeap) push(m *Message) { heap.Push(h, m) }
func (h *dueHeap) pop() *Message   { return heap.Pop(h).(*Message) }
