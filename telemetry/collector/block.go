package collector

import (
	"encoding/binary"
	"errors"
	"math"
	"sync"
)

// signal is what a block holds.
type signal byte

const (
	spans signal = iota
	logs
)

func (s signal) String() string { return [...]string{"spans", "logs"}[s] }

const (
	blockRecords = 1000      // a block ends with as many records,
	blockBytes   = 192 << 10 // or with as many bytes
)

// block is some records that came one after the other, the unit of writing and of reading. What it says of them tells a search
// whether it has to look into it.
type block struct {
	id      int64 // ascending in the order of arrival
	signal  signal
	count   int
	first   int64 // smallest start of a span or time of a line, in nanoseconds since 1970
	last    int64 // largest
	longest int64 // duration of the longest span
	worst   int32 // largest severity of a line; 1 where a span failed
	size    int   // bytes of content before compression

	seg     *segment // nil as long as the block is in memory alone
	content []byte   // nil when it has to be read from seg
	traces  []uint32 // hashes of trace IDs, sorted unless the block grows; nil when they have to be read
	indexed bool     // seg has its grams

	sealed    bool // it does not grow any more
	saved     int  // how many of its records are on disk,
	savedSize int  // and how many bytes of content
}

// grown is a block that grows. Its mutex is the store's.
type grown struct {
	*block
	origins map[*origin]int
	seen    map[uint32]bool // hashes in traces
}

// newGrown makes a block that follows on another one, which is sealed, or nil: it will be about as large.
func newGrown(id int64, s signal, before *grown) *grown {
	g := &grown{block: &block{id: id, signal: s, first: math.MaxInt64, last: math.MinInt64}}
	if before == nil {
		g.origins, g.seen = make(map[*origin]int), make(map[uint32]bool)
		return g
	}
	g.origins, g.seen = before.origins, before.seen
	g.content = make([]byte, 0, min(before.size+before.size/8, blockBytes+blockBytes/8))
	g.traces = make([]uint32, 0, len(before.seen))
	clear(g.origins)
	clear(g.seen)
	return g
}

// add appends a record. The content is a row of entries: 0, length and bytes of an origin, or the number of an origin, counted from 1,
// and length and bytes of a record.
func (g *grown) add(o *origin, raw []byte, at, duration int64, worst int32, trace []byte) {
	n, ok := g.origins[o]
	if !ok {
		n = len(g.origins) + 1
		g.origins[o] = n
		g.content = append(g.content, 0)
		g.content = binary.AppendUvarint(g.content, uint64(len(o.raw)))
		g.content = append(g.content, o.raw...)
	}
	g.content = binary.AppendUvarint(g.content, uint64(n))
	g.content = binary.AppendUvarint(g.content, uint64(len(raw)))
	g.content = append(g.content, raw...)
	g.size = len(g.content)
	g.count++
	g.first, g.last = min(g.first, at), max(g.last, at)
	g.longest, g.worst = max(g.longest, duration), max(g.worst, worst)
	if len(trace) == 16 {
		if h := traceHash(trace); !g.seen[h] {
			g.seen[h] = true
			g.traces = append(g.traces, h)
		}
	}
}

func (g *grown) full() bool { return g.count >= blockRecords || g.size >= blockBytes }

// traceHash is a part of a trace ID that is random even where the first half is a time.
func traceHash(id []byte) uint32 { return binary.LittleEndian.Uint32(id[12:16]) }

var errBlock = errors.New("a block is damaged")

// records calls yield with each record of a content, until it returns false. at counts from 0.
func records(content []byte, yield func(at int, o *origin, raw []byte) bool) error {
	var known []*origin
	for at := 0; len(content) > 0; {
		n, a := binary.Uvarint(content)
		if a <= 0 || n > uint64(len(known)) {
			return errBlock
		}
		size, b := binary.Uvarint(content[a:])
		if b <= 0 || size > uint64(len(content)-a-b) {
			return errBlock
		}
		data := content[a+b : a+b+int(size)]
		content = content[a+b+int(size):]
		if n == 0 {
			o, err := readOrigin(data)
			if err != nil {
				return errBlock
			}
			known = append(known, o)
			continue
		}
		if !yield(at, known[n-1], data) {
			return nil
		}
		at++
	}
	return nil
}

// cache keeps contents of blocks that were read lately. It is safe for concurrent use.
type cache struct {
	mu    sync.Mutex
	most  int // bytes
	size  int
	used  uint64
	items map[int64]*cached
}

type cached struct {
	content []byte
	used    uint64
}

func (c *cache) get(id int64) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	it := c.items[id]
	if it == nil {
		return nil
	}
	c.used++
	it.used = c.used
	return it.content
}

func (c *cache) put(id int64, content []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.items[id] != nil || len(content) > c.most/4 {
		return
	}
	if c.items == nil {
		c.items = make(map[int64]*cached)
	}
	c.used++
	c.items[id] = &cached{content, c.used}
	for c.size += len(content); c.size > c.most; {
		var oldest int64
		least := uint64(math.MaxUint64)
		for id, it := range c.items {
			if it.used < least {
				oldest, least = id, it.used
			}
		}
		c.size -= len(c.items[oldest].content)
		delete(c.items, oldest)
	}
}
