package store

import (
	"bytes"
	"context"
	"fmt"
	"sort"
	"sync"
	"time"
)

// Memory is a [Driver] in the memory of the process: for tests, and for programs that need no more. What ends with the process is all of
// it. It goes by the clock of testing/synctest where a test has one. The zero value is empty and ready to use. A Memory must not be copied.
type Memory struct {
	mu      sync.Mutex
	buckets map[string]*memoryBucket
}

var _ Driver = (*Memory)(nil)

// memoryBucket is a bucket, guarded by the mutex of its Memory.
type memoryBucket struct {
	info     BucketInfo
	revision uint64 // the last one
	entries  map[string]*memoryEntry
	bytes    int64         // of entries
	deleted  int           // of entries, how many are deletions
	log      []memoryWrite // in the order of revisions; one that is not its entry's any more is out of date
	horizon  uint64        // deletions up to this revision may be forgotten
	changed  chan struct{} // closed, and replaced, when something changes
}

// memoryEntry is a value, or a deletion that watchers may have to be told of.
type memoryEntry struct {
	Record
	deleted bool
	expires time.Time // zero: never
	timer   *time.Timer
}

type memoryWrite struct {
	revision uint64
	key      string
}

const (
	memoryOverhead  = 64   // bytes, about, that an entry takes besides
	memoryDeletions = 4096 // that a bucket remembers, at least
)

func (e *memoryEntry) size() int64 {
	if e == nil || e.deleted {
		return 0
	}
	return int64(len(e.Key) + len(e.Value) + memoryOverhead)
}

// Declare implements [Driver].
func (m *Memory) Declare(ctx context.Context, b BucketInfo) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	have := m.buckets[b.Name]
	switch {
	case have == nil:
		if m.buckets == nil {
			m.buckets = make(map[string]*memoryBucket)
		}
		m.buckets[b.Name] = &memoryBucket{info: b, entries: make(map[string]*memoryEntry), changed: make(chan struct{})}
		return nil
	case have.info.Type != b.Type:
		return fmt.Errorf("%w: it has values of type %s, not %s: use another name", ErrDrift, have.info.Type, b.Type)
	case b.Limits.MaxBytes > 0 && b.Limits.MaxBytes < have.bytes:
		return fmt.Errorf("%w: Limits.MaxBytes is %d, and it has %d bytes: delete some, or allow more", ErrDrift, b.Limits.MaxBytes, have.bytes)
	}
	have.info = b
	return nil
}

// bucket returns a bucket whose entries that have had their time are gone. The caller holds m.mu.
func (m *Memory) bucket(ctx context.Context, name string) (*memoryBucket, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	b := m.buckets[name]
	if b == nil {
		return nil, fmt.Errorf("bucket %s was not declared", name)
	}
	return b, nil
}

// live returns the entry of a key that has a value.
func (b *memoryBucket) live(key string) *memoryEntry {
	e := b.entries[key]
	if e == nil || e.deleted {
		return nil
	}
	if !e.expires.IsZero() && !time.Now().Before(e.expires) {
		b.remove(key)
		return nil
	}
	return e
}

// Get implements [Driver].
func (m *Memory) Get(ctx context.Context, bucket, key string) (Record, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	b, err := m.bucket(ctx, bucket)
	if err != nil {
		return Record{}, err
	}
	e := b.live(key)
	if e == nil {
		return Record{}, ErrNotFound
	}
	return e.copy(), nil
}

func (e *memoryEntry) copy() Record {
	r := e.Record
	r.Value = bytes.Clone(r.Value)
	return r
}

// Put implements [Driver].
func (m *Memory) Put(ctx context.Context, bucket string, w Write) (uint64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	b, err := m.bucket(ctx, bucket)
	if err != nil {
		return 0, err
	}
	old := b.live(w.Key)
	switch {
	case w.Create && old != nil:
		return 0, ErrExists
	case w.Revision > 0 && (old == nil || old.Revision != w.Revision):
		return 0, ErrRevision
	}
	e := &memoryEntry{Record: Record{Key: w.Key, Value: append([]byte{}, w.Value...), Time: time.Now()}}
	if most := b.info.Limits.MaxBytes; most > 0 && b.bytes-old.size()+e.size() > most {
		return 0, fmt.Errorf("%w: it may have %d bytes (Limits.MaxBytes)", ErrFull, most)
	}
	b.set(e)
	if w.TTL > 0 {
		revision := e.Revision
		e.expires = e.Time.Add(w.TTL)
		e.timer = time.AfterFunc(w.TTL, func() { m.expire(b, w.Key, revision) })
	}
	return e.Revision, nil
}

// expire ends an entry whose time is over.
func (m *Memory) expire(b *memoryBucket, key string, revision uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if e := b.entries[key]; e != nil && e.Revision == revision {
		b.remove(key)
	}
}

// Delete implements [Driver].
func (m *Memory) Delete(ctx context.Context, bucket, key string, revision uint64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	b, err := m.bucket(ctx, bucket)
	if err != nil {
		return err
	}
	e := b.live(key)
	if revision > 0 && (e == nil || e.Revision != revision) {
		return ErrRevision
	}
	if e != nil {
		b.remove(key)
	}
	return nil
}

// remove puts a deletion in the place of a value.
func (b *memoryBucket) remove(key string) {
	b.set(&memoryEntry{Record: Record{Key: key, Time: time.Now()}, deleted: true})
}

// set gives a key a value, or a deletion, with the next revision.
func (b *memoryBucket) set(e *memoryEntry) {
	old := b.entries[e.Key]
	if old != nil && old.timer != nil {
		old.timer.Stop()
	}
	if old != nil && old.deleted {
		b.deleted--
	}
	if e.deleted {
		b.deleted++
	}
	b.bytes += e.size() - old.size()
	b.revision++
	e.Revision = b.revision
	b.entries[e.Key] = e
	b.log = append(b.log, memoryWrite{e.Revision, e.Key})
	if len(b.log) > 2*len(b.entries)+memoryDeletions || b.deleted > 2*memoryDeletions {
		b.compact()
	}
	close(b.changed)
	b.changed = make(chan struct{})
}

// compact drops what is out of date from the log, and the oldest deletions.
func (b *memoryBucket) compact() {
	forget := b.deleted - memoryDeletions
	kept := b.log[:0]
	for _, w := range b.log {
		e := b.entries[w.key]
		switch {
		case e == nil || e.Revision != w.revision:
		case e.deleted && forget > 0:
			forget--
			b.deleted--
			b.horizon = w.revision
			delete(b.entries, w.key)
		default:
			kept = append(kept, w)
		}
	}
	clear(b.log[len(kept):])
	b.log = kept
}

// Watch implements [Driver].
func (m *Memory) Watch(ctx context.Context, bucket string, w WatchInfo, notify func(Update) bool) error {
	last, synced, first := w.After, false, w.After == 0
	for {
		m.mu.Lock()
		b, err := m.bucket(ctx, bucket)
		if err != nil {
			m.mu.Unlock()
			return err
		}
		var updates []Update
		if !first && (last < b.horizon || last > b.revision) { // what was deleted since then is forgotten
			updates = append(updates, Update{Kind: Reset})
			last, synced, first = 0, false, true
		}
		updates = append(updates, b.since(last, w, first)...)
		last, first = b.revision, false
		changed := b.changed
		m.mu.Unlock()
		if !synced {
			synced = true
			updates = append(updates, Update{Kind: Synced})
		}
		for _, u := range updates {
			if !notify(u) {
				return nil
			}
			if err := ctx.Err(); err != nil {
				return err
			}
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// since returns what was written after a revision, for a first look without deletions.
func (b *memoryBucket) since(revision uint64, w WatchInfo, first bool) (updates []Update) {
	from := sort.Search(len(b.log), func(i int) bool { return b.log[i].revision > revision })
	for _, written := range b.log[from:] {
		e := b.entries[written.key]
		if e == nil || e.Revision != written.revision || !w.matches(e.Key) || first && e.deleted {
			continue
		}
		u := Update{Kind: Put, Record: e.Record}
		switch {
		case e.deleted:
			u.Kind = Deleted
		case w.KeysOnly:
			u.Value = nil
		default:
			u.Record = e.copy()
		}
		updates = append(updates, u)
	}
	return updates
}
