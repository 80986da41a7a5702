package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/hanse-go/hanse/internal/backoff"
)

// Bucket is a set of values by key that all instances of a system share. Make one with [NewBucket]. Its methods may be called concurrently.
//
// Keys have 1 to 512 bytes of UTF-8. An operation whose context has no deadline takes at most 10 s; while the store is away it waits for it
// as long. Errors name the bucket and the key, and wrap those of this package.
type Bucket[T any] struct {
	info  BucketInfo
	ttl   time.Duration
	codec codec[T]
	err   error // what is wrong with the declaration
}

// Entry is a value in a bucket.
type Entry[T any] struct {
	Key   string
	Value T

	// Revision is the number of the write. Later writes in the bucket, of whatever key, have higher numbers.
	Revision uint64

	// Time is when it was written.
	Time time.Time
}

// NewBucket declares a bucket. It is meant for a variable of a package and has no effect but to remember what it is given: what is wrong
// with it is an error of the start of the app for [Bucket.Declare], and of the first use. The name has at most 128 of a-z, 0-9 and '-', in
// parts that are separated by '.'. T is a pointer to a message of protobuf, []byte, or what [encoding/json] takes.
func NewBucket[T any](name string, opts ...BucketOption) *Bucket[T] {
	b := &Bucket[T]{info: BucketInfo{Name: name}}
	var config bucketConfig
	errs := []error{checkName(name)}
	for _, o := range opts {
		errs = append(errs, o.bucket(&config))
	}
	codec, err := newCodec[T]()
	b.codec, b.ttl, b.info.Type = codec, config.ttl, codec.name
	b.info.Limits = config.limits
	if b.info.Limits.MaxBytes == 0 {
		b.info.Limits.MaxBytes = defaultMaxBytes
	}
	if b.info.Limits.MaxSize == 0 {
		b.info.Limits.MaxSize = defaultMaxSize
	}
	b.err = errors.Join(append(errs, err)...)
	return b
}

// Name returns the name of the bucket.
func (b *Bucket[T]) Name() string { return b.info.Name }

// Declare says that h uses the bucket. In the Setup of a service it makes the start of the app fail, and not the first use, when there is no
// store or when the bucket cannot be made as it is declared.
func (b *Bucket[T]) Declare(h Host) {
	c := h.Store()
	err := b.err
	if err == nil {
		_, err = c.declare(b.info)
	}
	if err != nil {
		c.mistake(fmt.Errorf("store: bucket %s: %w", b.info.Name, err))
	}
}

// Get returns the value of a key. The error is [ErrNotFound] when there is none.
func (b *Bucket[T]) Get(ctx context.Context, h Host, key string) (e Entry[T], err error) {
	err = b.do(ctx, h, "get", key, func(ctx context.Context, d Driver) error {
		r, err := d.Get(ctx, b.info.Name, key)
		if err == nil {
			e, err = b.entry(r)
		}
		return err
	})
	return e, err
}

// Put writes a value, whatever was there. Errors are [ErrFull] and [ErrTooLarge].
func (b *Bucket[T]) Put(ctx context.Context, h Host, key string, value T, opts ...PutOption) (revision uint64, err error) {
	return b.write(ctx, h, "put", Write{Key: key}, value, opts)
}

// Create writes a value for a key that has none. The error is [ErrExists] when it has one, or [ErrFull] or [ErrTooLarge].
func (b *Bucket[T]) Create(ctx context.Context, h Host, key string, value T, opts ...PutOption) (revision uint64, err error) {
	return b.write(ctx, h, "create", Write{Key: key, Create: true}, value, opts)
}

// Update writes a value for a key that has a revision, that of the [Entry] which the value was made from. The error is [ErrRevision] when it
// has another one or was deleted, or [ErrFull] or [ErrTooLarge]. With the revision 0, that of no entry, it is Create.
func (b *Bucket[T]) Update(ctx context.Context, h Host, key string, value T, revision uint64, opts ...PutOption) (uint64, error) {
	return b.write(ctx, h, "update", Write{Key: key, Create: revision == 0, Revision: revision}, value, opts)
}

// Delete deletes a key. A key that is not there is no error, unless [IfRevision] says which revision it has.
func (b *Bucket[T]) Delete(ctx context.Context, h Host, key string, opts ...DeleteOption) error {
	var config deleteConfig
	for _, o := range opts {
		o.delete(&config)
	}
	return b.do(ctx, h, "delete", key, func(ctx context.Context, d Driver) error {
		return d.Delete(ctx, b.info.Name, key, config.revision)
	})
}

// Modify changes the value of a key by f, which gets the present one, and whether there is one. When somebody else was faster f is called
// again with what is there then, so it must have no other effects. Its error ends Modify.
func (b *Bucket[T]) Modify(ctx context.Context, h Host, key string, f func(old T, found bool) (T, error), opts ...PutOption) (revision uint64, err error) {
	if _, ok := ctx.Deadline(); !ok {
		limited, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		ctx = limited
	}
	pause := backoff.Policy{Min: 5 * time.Millisecond, Max: 500 * time.Millisecond}
	for failures := 1; ; failures++ {
		old, err := b.Get(ctx, h, key)
		if err != nil && !errors.Is(err, ErrNotFound) {
			return 0, err
		}
		value, ferr := f(old.Value, err == nil)
		if ferr != nil {
			return 0, ferr
		}
		revision, err = b.Update(ctx, h, key, value, old.Revision, opts...)
		if err == nil || !errors.Is(err, ErrRevision) && !errors.Is(err, ErrExists) {
			return revision, err
		}
		if wait(ctx, pause.Delay(failures)) != nil {
			return 0, fmt.Errorf("%w; others change it all the time, %d attempts were too slow: %w", err, failures, ctx.Err())
		}
	}
}

// Keys returns the keys that there are, in order.
func (b *Bucket[T]) Keys(ctx context.Context, h Host, opts ...KeysOption) (keys []string, err error) {
	info := WatchInfo{KeysOnly: true}
	for _, o := range opts {
		if err := o.keys(&info); err != nil {
			return nil, b.explain("list the keys of", "", err)
		}
	}
	err = b.explain("list the keys of", "", b.run(ctx, h, func(ctx context.Context, d Driver) error {
		found := make(map[string]bool)
		err := d.Watch(ctx, b.info.Name, info, func(u Update) bool {
			switch u.Kind {
			case Put:
				found[u.Key] = true
			case Deleted:
				delete(found, u.Key)
			case Reset:
				clear(found)
			}
			return u.Kind != Synced
		})
		for key := range found {
			keys = append(keys, key)
		}
		return err
	}))
	slices.Sort(keys)
	return keys, err
}

func (b *Bucket[T]) write(ctx context.Context, h Host, what string, w Write, value T, opts []PutOption) (revision uint64, err error) {
	config := putConfig{ttl: b.ttl}
	for _, o := range opts {
		if err := o.put(&config); err != nil {
			return 0, b.explain(what, w.Key, err)
		}
	}
	w.TTL = config.ttl
	err = b.do(ctx, h, what, w.Key, func(ctx context.Context, d Driver) (err error) {
		if w.Value, err = b.codec.encode(value); err != nil {
			return err
		}
		if most := b.info.Limits.MaxSize; most > 0 && len(w.Value) > most {
			return fmt.Errorf("%w: it has %d bytes, and may have %d (Limits.MaxSize)", ErrTooLarge, len(w.Value), most)
		}
		revision, err = d.Put(ctx, b.info.Name, w)
		return err
	})
	return revision, err
}

// do does something about a key with the driver, when the bucket is there.
func (b *Bucket[T]) do(ctx context.Context, h Host, what, key string, f func(context.Context, Driver) error) error {
	err := checkKey(key)
	if err == nil {
		err = b.run(ctx, h, f)
	}
	return b.explain(what, key, err)
}

func (b *Bucket[T]) run(ctx context.Context, h Host, f func(context.Context, Driver) error) (err error) {
	if b.err != nil {
		return b.err
	}
	ctx, end := withPatience(ctx)
	defer end(&err)
	driver, err := h.Store().ready(ctx, b.info)
	if err != nil {
		return err
	}
	return f(ctx, driver)
}

// explain says what an error is about.
func (b *Bucket[T]) explain(what, key string, err error) error {
	switch {
	case err == nil:
		return nil
	case key == "":
		return fmt.Errorf("store: %s bucket %s: %w", what, b.info.Name, err)
	}
	return fmt.Errorf("store: %s %q of bucket %s: %w", what, key, b.info.Name, err)
}

func (b *Bucket[T]) entry(r Record) (Entry[T], error) {
	value, err := b.codec.decode(r.Value)
	if err != nil {
		err = fmt.Errorf("revision %d is not of type %s: %w", r.Revision, b.info.Type, err)
	}
	return Entry[T]{Key: r.Key, Value: value, Revision: r.Revision, Time: r.Time}, err
}

// wait returns nil after d, or the error of ctx.
func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
