package store

import (
	"context"
	"errors"
	"iter"
)

// Change is what a watch tells. The Entry has the Key and the Value of a [Put], and the Key of what is [Deleted]; the Revision is that of the
// write, or of the deletion. Those of [Synced] and [Reset] have nothing.
type Change[T any] struct {
	Kind Kind
	Entry[T]
}

// Watch tells what there is, and then what changes:
//
//	for c, err := range carts.Watch(ctx, svc) {
//		if err != nil {
//			return err
//		}
//		switch c.Kind {
//		case store.Put: // c.Key has c.Value
//		case store.Deleted: // c.Key is gone
//		case store.Synced: // all was told that there was at first
//		}
//	}
//
// It ends with the context, whose error comes last, or with the loop. Changes of a key come in their order; of those that come together the
// last one may be all that is told. While the store is away Watch waits for it, and tells then what has changed. A value that cannot be
// decoded is an error with the key in the Change; the loop may go on after it.
//
// With [After] a watch goes on where an earlier one was, in this process or another. Then, and only then, there may be a [Reset].
func (b *Bucket[T]) Watch(ctx context.Context, h Host, opts ...WatchOption) iter.Seq2[Change[T], error] {
	return func(yield func(Change[T], error) bool) {
		more := true
		err := b.watch(ctx, h, opts, func(u Update) bool {
			c := Change[T]{Kind: u.Kind, Entry: Entry[T]{Key: u.Key, Revision: u.Revision, Time: u.Time}}
			var err error
			if u.Kind == Put {
				c.Entry, err = b.entry(u.Record)
				err = b.explain("watch", u.Key, err)
			}
			more = yield(c, err)
			return more
		})
		if more {
			yield(Change[T]{}, b.explain("watch", "", err))
		}
	}
}

func (b *Bucket[T]) watch(ctx context.Context, h Host, opts []WatchOption, notify func(Update) bool) error {
	if b.err != nil {
		return b.err
	}
	var info WatchInfo
	for _, o := range opts {
		if err := o.watch(&info); err != nil {
			return err
		}
	}
	driver, err := h.Store().ready(ctx, b.info)
	for errors.Is(err, ErrUnavailable) && ctx.Err() == nil {
		driver, err = h.Store().ready(ctx, b.info)
	}
	if err != nil {
		return err
	}
	if info.After == 0 {
		notify = (&resets{notify: notify, known: make(map[string]uint64)}).update
	}
	return driver.Watch(ctx, b.info.Name, info, notify)
}

// resets turns what follows a [Reset] into changes, for who knows all that was told before.
type resets struct {
	notify func(Update) bool
	known  map[string]uint64 // revisions, by key
	fresh  map[string]uint64 // those since a Reset, until it is synced
	synced bool
}

func (r *resets) update(u Update) bool {
	switch u.Kind {
	case Reset:
		r.fresh = make(map[string]uint64)
		return true
	case Put:
		if r.fresh != nil {
			r.fresh[u.Key] = u.Revision
		}
		if r.known[u.Key] == u.Revision {
			return true
		}
		r.known[u.Key] = u.Revision
	case Deleted:
		if _, ok := r.known[u.Key]; !ok {
			return true
		}
		delete(r.known, u.Key)
	case Synced:
		for key := range r.known {
			if _, ok := r.fresh[key]; r.fresh != nil && !ok {
				delete(r.known, key)
				if !r.notify(Update{Kind: Deleted, Record: Record{Key: key}}) {
					return false
				}
			}
		}
		r.fresh = nil
		if r.synced {
			return true
		}
		r.synced = true
	}
	return r.notify(u)
}
