package store

import (
	"errors"
	"fmt"
	"time"
)

// TTL is how long values are kept: as an option of [NewBucket] those of a bucket that say nothing else, as one of a write that value; -1
// is until it is deleted, the default of buckets. It counts from the last write. Values are kept at least that long; package natsstore
// keeps them up to 2 s longer.
//
// As an option of [Lock] and [Elect] it is how long a holder that was killed, or cannot reach the store, keeps others out. The default is
// 15 s, the least 100 ms.
type TTL time.Duration

// Prefix limits Watch and Keys to the keys that begin with it.
type Prefix string

// Key limits Watch to one key.
type Key string

// After makes Watch begin after what was written up to a revision, that of a [Change] that the program has seen. When it cannot be told
// what was deleted since then, because it was long ago, the first change is a [Reset].
type After uint64

// IfRevision makes Delete fail with [ErrRevision] unless the key has this revision.
type IfRevision uint64

// Wait is how long [Lock] waits, at most, for others to release the lock; with 0 it does not. Without this option it waits as long as its
// context.
type Wait time.Duration

// BucketOption is an option of [NewBucket]: [TTL] or [Limits].
type BucketOption interface{ bucket(*bucketConfig) error }

// PutOption is an option of writes: [TTL].
type PutOption interface{ put(*putConfig) error }

// DeleteOption is an option of deletions: [IfRevision].
type DeleteOption interface{ delete(*deleteConfig) }

// WatchOption is an option of Watch: [Prefix], [Key] or [After].
type WatchOption interface{ watch(*WatchInfo) error }

// KeysOption is an option of Keys: [Prefix].
type KeysOption interface{ keys(*WatchInfo) error }

// LockOption is an option of [Lock] and [Elect]: [TTL], or for Lock [Wait].
type LockOption interface{ lock(*lockConfig) error }

type bucketConfig struct {
	ttl    time.Duration // 0: for ever
	limits Limits
}

type putConfig struct{ ttl time.Duration }

type deleteConfig struct{ revision uint64 }

type lockConfig struct {
	ttl  time.Duration
	wait time.Duration // -1: for ever
}

// forEver is what -1 means; a driver takes 0 for it.
func (t TTL) forEver() (time.Duration, error) {
	switch {
	case t == -1:
		return 0, nil
	case t <= 0:
		return 0, fmt.Errorf("a TTL of %v: it must be above 0, or -1 for ever", time.Duration(t))
	}
	return time.Duration(t), nil
}

func (t TTL) bucket(c *bucketConfig) (err error) { c.ttl, err = t.forEver(); return err }
func (t TTL) put(c *putConfig) (err error)       { c.ttl, err = t.forEver(); return err }

func (t TTL) lock(c *lockConfig) error {
	if time.Duration(t) < leastLockTTL {
		return fmt.Errorf("a lock with a TTL of %v: it must be at least %v", time.Duration(t), leastLockTTL)
	}
	c.ttl = time.Duration(t)
	return nil
}

func (l Limits) bucket(c *bucketConfig) error {
	if l.MaxBytes < -1 || l.MaxSize < -1 || l.Replicas < 0 {
		return fmt.Errorf("limits %+v: they must be above 0, or 0 for the default, or -1 for none", l)
	}
	c.limits = l
	return nil
}

func (p Prefix) watch(w *WatchInfo) error   { w.Prefix = string(p); return checkWatch(*w) }
func (p Prefix) keys(w *WatchInfo) error    { w.Prefix = string(p); return nil }
func (r IfRevision) delete(c *deleteConfig) { c.revision = uint64(r) }
func (a After) watch(w *WatchInfo) error    { w.After = uint64(a); return nil }

func (k Key) watch(w *WatchInfo) error {
	w.Key = string(k)
	if err := checkKey(w.Key); err != nil {
		return err
	}
	return checkWatch(*w)
}

func checkWatch(w WatchInfo) error {
	if w.Prefix != "" && w.Key != "" {
		return errors.New("a watch is of one Key or of a Prefix, not of both")
	}
	return nil
}

func (w Wait) lock(c *lockConfig) error {
	if w < 0 {
		return fmt.Errorf("a Wait of %v: it must not be negative; leave it out to wait as long as it takes", time.Duration(w))
	}
	c.wait = time.Duration(w)
	return nil
}
