package collector

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	// mostWaiting is how many bytes of records may be in memory that are not on disk. What comes beyond is refused.
	mostWaiting = 32 << 20
	// writeEvery is how long records are in memory alone.
	writeEvery = time.Second
	// growFor is how long a block grows.
	growFor = 10 * time.Minute
	// retryEvery is how long a disk that fails is left alone.
	retryEvery = 2 * time.Second
	// cacheBytes is the room for contents that were read.
	cacheBytes = 16 << 20
	// segments is how many files share the room; at most one part too much is kept or dropped.
	segmentsInRing = 16
)

// store keeps blocks, first in memory, then in files. Its methods are safe for concurrent use.
type store struct {
	dir      string
	maxBytes int64
	maxAge   time.Duration
	logger   *slog.Logger
	dropped  func(s signal, reason string, n int)
	cache    cache
	wake     chan struct{} // tells the writer that a block is full

	mu       sync.Mutex
	open     bool     // takes records
	blocks   []*block // all, by ID
	memory   []*block // those of which something is in memory alone, by ID
	tails    [2]*grown
	last     [2]*grown // the sealed ones before them
	arrived  int       // records since the last tick
	quiet    bool      // few came before that
	lastID   int64
	waiting  int64 // bytes of records that are in memory alone
	segments []*segment
	active   *segment // the one that is written to; nil: the next write makes one
	damaged  []string
	kept     [2]int64
	loaded   chan struct{} // closed when what was there before is known
	pending  int           // sealed blocks without grams
	failing  bool
	began    map[int64]time.Time // when the tails began
}

func newStore() *store {
	return &store{cache: cache{most: cacheBytes}, wake: make(chan struct{}, 1), loaded: make(chan struct{}), began: make(map[int64]time.Time)}
}

// record is what is put into the store.
type record struct {
	origin   *origin
	raw      []byte
	at       int64
	duration int64
	worst    int32
	trace    []byte
}

// add takes records in. It returns false, and takes none, when the disk does not keep up.
func (s *store) add(sig signal, list []record, now time.Time) bool {
	size := 0
	for i := range list {
		size += len(list[i].raw)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.open || s.waiting+int64(size) > mostWaiting {
		return false
	}
	s.arrived += len(list)
	for i := range list {
		r := &list[i]
		g := s.tails[sig]
		if g == nil {
			s.lastID = max(s.lastID+1, now.UnixMilli()*1000)
			g = newGrown(s.lastID, sig, s.last[sig])
			s.last[sig] = nil
			s.tails[sig] = g
			s.began[g.id] = now
			s.blocks = append(s.blocks, g.block)
			s.memory = append(s.memory, g.block)
		}
		before := g.size
		g.add(r.origin, r.raw, r.at, r.duration, r.worst, r.trace)
		s.waiting += int64(g.size - before)
		if g.full() {
			s.seal(sig)
		}
	}
	return true
}

// seal ends the block that grows. The caller holds mu.
func (s *store) seal(sig signal) {
	g := s.tails[sig]
	if g == nil {
		return
	}
	g.block.traces = slices.Clone(g.traces) // searches may be looking at what it was
	slices.Sort(g.block.traces)
	g.sealed = true
	delete(s.began, g.id)
	s.tails[sig], s.last[sig] = nil, g
	s.pending++
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// run writes until ctx ends, and then what is left.
func (s *store) run(ctx context.Context) error {
	s.load(ctx)
	tick := time.NewTicker(writeEvery)
	defer tick.Stop()
	// A block is written when it is full; those that grow, which are written whole each time, once in a while.
	index := time.NewTimer(writeEvery)
	defer index.Stop()
	var retry time.Time
	for last := false; !last; {
		all := false
		select {
		case <-ctx.Done():
			last, all = true, true
			s.mu.Lock()
			s.open = false
			s.seal(spans)
			s.seal(logs)
			s.mu.Unlock()
		case <-s.wake:
		case <-tick.C:
			all = true
			s.sealOld(time.Now())
			s.trim(time.Now())
			s.measureLoad()
			index.Reset(indexEvery)
		case <-index.C:
			if s.index(ctx) {
				index.Reset(indexEvery)
			}
			continue
		}
		if now := time.Now(); last || now.After(retry) {
			if err := s.write(now, all); err != nil {
				retry = now.Add(retryEvery)
				s.fail(err)
			} else if s.failing {
				s.failing = false
				s.logger.Info("telemetry is written again", "dir", s.dir)
			}
		}
	}
	return s.close()
}

// sealOld ends blocks that grow for long.
func (s *store) sealOld(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for sig, g := range s.tails {
		if g != nil && now.Sub(s.began[g.id]) > growFor {
			s.seal(signal(sig))
		}
	}
}

// fail tells, once, that writing does not work.
func (s *store) fail(err error) {
	if s.failing {
		return
	}
	s.failing = true
	s.logger.Error("telemetry cannot be written: it stays in memory, and what does not fit is dropped", "dir", s.dir, "err", err)
}

// write writes what is in memory alone: blocks that are full, or all.
func (s *store) write(now time.Time, all bool) error {
	for {
		s.mu.Lock()
		var list []block
		var own []*block
		size := 0
		for _, b := range s.memory {
			if !b.sealed && (!all || b.saved == b.count) {
				continue
			}
			c := *b // which goes on growing behind what this sees of it
			list, own = append(list, c), append(own, b)
			if size += c.size; size >= 1<<20 {
				break
			}
		}
		all = all && size >= 1<<20 // those that grow are written once, or this would not end while much comes
		s.mu.Unlock()
		if len(list) == 0 {
			return nil
		}
		// The context of Run may have ended: what is left is to be written all the same.
		if err := s.writeBlocks(context.Background(), list, own, now); err != nil {
			return err
		}
	}
}

func (s *store) writeBlocks(ctx context.Context, list []block, own []*block, now time.Time) error {
	seg, err := s.segmentFor(ctx, now)
	if err != nil {
		return err
	}
	// A block that was begun in one file and goes on in another one would be in both.
	groups := map[*segment][]block{}
	s.mu.Lock()
	for i := range list {
		if from := list[i].seg; from == nil || from.gone {
			list[i].seg = seg
		}
		to := list[i].seg
		if list[i].saved < list[i].count {
			groups[to] = append(groups[to], list[i])
		}
	}
	s.mu.Unlock()
	for to, part := range groups {
		if err := to.write(ctx, part); err != nil {
			return s.writeFailed(to, err)
		}
		s.measure(to)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, b := range own {
		c := &list[i]
		if c.seg.gone { // dropped meanwhile: the next write takes another file
			continue
		}
		b.seg = c.seg
		s.kept[b.signal] += int64(c.count - b.saved)
		s.waiting -= int64(c.size - b.savedSize)
		b.saved, b.savedSize = c.count, c.size
		if b.sealed && b.saved == b.count {
			s.cache.put(b.id, b.content)
			b.content, b.traces = nil, nil
		}
	}
	s.memory = slices.DeleteFunc(s.memory, func(b *block) bool { return b.content == nil })
	return nil
}

// measure finds out how large a file is.
func (s *store) measure(seg *segment) {
	bytes := seg.measure()
	s.mu.Lock()
	defer s.mu.Unlock()
	seg.bytes = bytes
}

// writeFailed deals with a file that cannot be written: when it is damaged, the next write makes another one.
func (s *store) writeFailed(seg *segment, err error) error {
	if damaged(err) {
		s.aside(seg, err)
	}
	return err
}

// segmentFor returns the file to write to.
func (s *store) segmentFor(ctx context.Context, now time.Time) (*segment, error) {
	s.mu.Lock()
	seg := s.active
	if seg != nil && seg.gone {
		seg = nil
	}
	s.mu.Unlock()
	if seg != nil && seg.bytes < s.segmentBytes() && now.Sub(seg.made) < s.maxAge/segmentsInRing {
		return seg, nil
	}
	if seg != nil {
		s.mu.Lock()
		s.seal(spans)
		s.seal(logs)
		growing := slices.ContainsFunc(s.blocks, func(b *block) bool { return b.seg == seg && b.saved < b.count })
		s.mu.Unlock()
		if !growing {
			if _, err := seg.db.ExecContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)"); err == nil {
				s.measure(seg)
			}
		}
	}
	made := now
	for {
		path := filepath.Join(s.dir, strconv.FormatInt(made.UnixMilli(), 10)+segmentSuffix)
		if _, err := os.Lstat(path); err == nil {
			made = made.Add(time.Millisecond)
			continue
		}
		seg, err := openSegment(ctx, path)
		if err != nil {
			return nil, fmt.Errorf("making %s: %w", path, err)
		}
		s.mu.Lock()
		s.active = seg
		s.segments = append(s.segments, seg)
		s.mu.Unlock()
		s.trim(now)
		return seg, nil
	}
}

func (s *store) segmentBytes() int64 { return max(s.maxBytes/segmentsInRing, 256<<10) }

// trim drops the oldest files as long as there is too much, or they are too old.
func (s *store) trim(now time.Time) {
	for {
		s.mu.Lock()
		var total int64
		for _, seg := range s.segments {
			total += seg.bytes
		}
		var old *segment
		if len(s.segments) > 1 && s.segments[0] != s.active {
			newest := s.segments[1].made // the file has nothing that came later
			if total > s.maxBytes || now.Sub(newest) > s.maxAge {
				old = s.segments[0]
				s.segments = s.segments[1:]
				s.forget(old)
			}
		} else if len(s.segments) == 1 && now.Sub(s.segments[0].made) > s.maxAge+s.maxAge/segmentsInRing {
			old = s.segments[0]
			if old != s.active || !slices.ContainsFunc(s.blocks, func(b *block) bool { return b.seg == old && b.content != nil }) {
				s.segments, s.active = nil, nil
				s.forget(old)
			} else {
				old = nil
			}
		}
		s.mu.Unlock()
		if old == nil {
			return
		}
		if err := old.remove(); err != nil {
			s.logger.Warn("an old file of telemetry is not to be removed", "file", old.path, "err", err)
		}
	}
}

// forget takes the blocks of a file off the list. Those that are still in memory stay and are written again. The caller holds mu.
func (s *store) forget(seg *segment) {
	seg.gone = true
	// Searches may be going through the list: it gets a new array.
	var rest []*block
	for _, b := range s.blocks {
		if b.seg == seg {
			if b.content == nil {
				continue
			}
			s.waiting += int64(b.savedSize)
			b.seg, b.saved, b.savedSize = nil, 0, 0
		}
		rest = append(rest, b)
	}
	s.blocks = rest
}

// aside takes a damaged file out of use.
func (s *store) aside(seg *segment, why error) {
	s.mu.Lock()
	if seg.gone {
		s.mu.Unlock()
		return
	}
	s.forget(seg)
	s.segments = slices.DeleteFunc(slices.Clone(s.segments), func(o *segment) bool { return o == seg })
	if s.active == seg {
		s.active = nil
	}
	s.mu.Unlock()
	_ = seg.close() // it is damaged: that is what is told
	s.asideFile(seg.path, why)
}

func (s *store) asideFile(path string, why error) {
	err := setAside(path)
	s.logger.Error("a file of telemetry is damaged and was set aside: what was in it is not shown", "file", path+damagedSuffix, "err", errors.Join(why, err))
	s.mu.Lock()
	s.damaged = append(s.damaged, filepath.Base(path)+damagedSuffix)
	s.mu.Unlock()
}

// damaged reports whether an error says that a file is not what it should be.
func damaged(err error) bool {
	if errors.Is(err, errBlock) {
		return true
	}
	text := err.Error()
	return strings.Contains(text, "malformed") || strings.Contains(text, "not a database") || strings.Contains(text, "SQLITE_CORRUPT") ||
		strings.Contains(text, "no such table") || strings.Contains(text, "no such column") || strings.Contains(text, "has no column")
}

// load finds what earlier runs left.
func (s *store) load(ctx context.Context) {
	defer close(s.loaded)
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		s.logger.Error("the folder of telemetry cannot be read", "dir", s.dir, "err", err)
		return
	}
	var set []string
	for _, e := range entries { // by name, which is by time
		name := e.Name()
		path := filepath.Join(s.dir, name)
		if strings.HasSuffix(name, segmentSuffix+damagedSuffix) {
			set = append(set, path)
		}
		if _, err := strconv.ParseInt(strings.TrimSuffix(name, segmentSuffix), 10, 64); err != nil || !strings.HasSuffix(name, segmentSuffix) {
			continue
		}
		seg, err := openSegment(ctx, path)
		var list []*block
		if err == nil {
			if list, err = seg.blocks(ctx); err != nil {
				err = errors.Join(err, seg.close())
			}
		}
		switch {
		case ctx.Err() != nil:
			return
		case errors.Is(err, errFormat):
			s.logger.Warn("a file of telemetry was written by a newer version and is left alone", "file", path)
			continue
		case err != nil:
			s.asideFile(path, err)
			set = append(set, path+damagedSuffix)
			continue
		}
		missing, err := seg.unindexed(ctx)
		if err != nil {
			for _, b := range list {
				missing = append(missing, b.id) // a search then reads the blocks
			}
		}
		for _, b := range list {
			b.indexed = !slices.Contains(missing, b.id)
		}
		s.mu.Lock()
		s.segments = append(s.segments, seg)
		s.blocks = append(s.blocks, list...)
		if n := len(list); n > 0 {
			s.lastID = max(s.lastID, list[n-1].id)
		}
		s.pending += len(missing)
		s.mu.Unlock()
	}
	s.mu.Lock()
	// What came meanwhile stands before what was loaded; both are in order.
	slices.SortStableFunc(s.segments, func(a, b *segment) int { return a.made.Compare(b.made) })
	slices.SortStableFunc(s.blocks, func(a, b *block) int { return compareInt(a.id, b.id) })
	s.mu.Unlock()
	for len(set) > 3 { // they take room, and nobody may ever look at them
		for _, suffix := range []string{"", "-wal", "-shm"} {
			_ = os.Remove(set[0] + suffix) // the next start tries again
		}
		set = set[1:]
	}
	s.trim(time.Now())
}

func compareInt(a, b int64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// close closes all files.
func (s *store) close() error {
	s.mu.Lock()
	list := s.segments
	s.segments, s.active = nil, nil
	lost := s.memory
	s.blocks, s.memory = nil, nil
	s.mu.Unlock()
	for _, b := range lost {
		if b.saved < b.count {
			s.dropped(b.signal, dropDisk, b.count-b.saved)
		}
	}
	var err error
	for _, seg := range list {
		err = errors.Join(err, seg.close())
	}
	return err
}
