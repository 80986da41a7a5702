package store

import (
	"context"
	"time"
)

// Driver keeps buckets of bytes. It is what an engine implements; programs use [Bucket]. What it must hold is written here and tested by
// package storetest. Its methods may be called concurrently, and by many processes for the same bucket.
//
// While its engine is away a driver tries on until the context ends, and says then what the trouble was. All methods but Watch get a
// context with a deadline. Keys and names have been checked.
type Driver interface {
	// Declare makes the bucket be there as it is declared, or says why it cannot: it may be called again and by many processes at once. A
	// bucket that is there with other settings is changed where no value is lost by it; else the error wraps [ErrDrift] and says which
	// setting is what, and what to do. The other methods are called for buckets that were declared.
	Declare(ctx context.Context, b BucketInfo) error

	// Get returns the value that was written last, or an error that wraps [ErrNotFound].
	Get(ctx context.Context, bucket, key string) (Record, error)

	// Put writes a value if the condition of w holds, and returns its revision. Errors wrap [ErrExists], [ErrRevision], [ErrFull] or
	// [ErrTooLarge] when nothing was written. A write that may have been made is not made a second time: who tries again has to find
	// that out. The driver keeps no part of w after it returned.
	Put(ctx context.Context, bucket string, w Write) (revision uint64, err error)

	// Delete deletes a key if it has the revision, or in any case where that is 0; then what is not there is no error. The error wraps
	// [ErrRevision] when the key has another one, or none.
	Delete(ctx context.Context, bucket, key string, revision uint64) error

	// Watch tells what there is and what changes until ctx ends, whose error it returns, or until notify returns false, when it returns nil.
	// It calls notify on the goroutine of the caller. Changes of one key come in their order; those that come together may be one. While
	// the engine is away Watch waits, and then tells what has changed, or begins anew with an update of the kind [Reset].
	Watch(ctx context.Context, bucket string, w WatchInfo, notify func(Update) bool) error
}

// BucketInfo is what a driver is told of a bucket.
type BucketInfo struct {
	Name   string
	Limits Limits

	// Type says what values are: the full name of a message, "bytes" or "json". It does not change.
	Type string
}

// Limits bound what a bucket keeps. It is an option of [NewBucket].
type Limits struct {
	// MaxBytes is how much the bucket may take: its keys and values, and what the engine needs to keep them. A write that goes beyond it is
	// refused with [ErrFull]. Default: 128 MiB; -1: no limit.
	MaxBytes int64

	// MaxSize is the most bytes that one value may have. Default: 1 MiB less 16 KiB, which all engines take; -1: what the engine takes.
	MaxSize int

	// Replicas is on how many nodes of a cluster the values are kept. Default: 3 on a cluster, 1 on a single node.
	Replicas int
}

const (
	defaultMaxBytes = 128 << 20
	defaultMaxSize  = 1<<20 - 16<<10
)

// Write is a value to be written.
type Write struct {
	Key   string
	Value []byte

	// TTL is how long it is kept, at least, counted from when it was written. 0: until it is deleted.
	TTL time.Duration

	// Create says that the key must not be there, and Revision which one it must have. Else it does not matter.
	Create   bool
	Revision uint64
}

// Record is a value as a driver keeps it.
type Record struct {
	Key   string
	Value []byte // the caller's

	// Revision is the number of the write. Later writes in a bucket, of whatever key, have higher numbers, also when the key was deleted in
	// between. It is not 0.
	Revision uint64

	// Time is when it was written, by the clock of the engine.
	Time time.Time
}

// WatchInfo says what is to be watched.
type WatchInfo struct {
	// Prefix limits the watch to keys that begin with it, and Key to one. At most one of them is set.
	Prefix string
	Key    string

	// After leaves out what was written up to this revision. It is that of an update that was told before, maybe by another driver's value.
	// When the driver cannot tell all that was deleted since then it begins with [Reset].
	After uint64

	// KeysOnly says that values are not wanted.
	KeysOnly bool
}

// matches reports whether a key is to be watched.
func (w WatchInfo) matches(key string) bool {
	return w.Key == key || w.Key == "" && len(key) >= len(w.Prefix) && key[:len(w.Prefix)] == w.Prefix
}

// Update is what a watch tells.
type Update struct {
	Kind   Kind
	Record // of a deleted key the Key, and the Revision of the deletion
}

// Kind says what a [Change] or an [Update] is about.
type Kind int

const (
	// Put is a key that has a value: as part of what there was at first, or a new one.
	Put Kind = iota + 1

	// Deleted is a key that has none any more: it was deleted, or its time has ended.
	Deleted

	// Synced comes once, when all is told that there was at first, or after the revision where the watch began.
	Synced

	// Reset says that what was told before may be out of date in a way that cannot be told: what follows until Synced is all there is.
	Reset
)

// String returns the name of the kind.
func (k Kind) String() string {
	switch k {
	case Put:
		return "put"
	case Deleted:
		return "deleted"
	case Synced:
		return "synced"
	case Reset:
		return "reset"
	}
	return "unknown"
}
