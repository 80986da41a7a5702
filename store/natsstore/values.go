package natsstore

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/hanse-go/hanse/store"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Headers of messages in key-value buckets.
const (
	operationHeader = "KV-Operation"
	operationPurge  = "PURGE"
)

// isDeletion reports whether a message stands for a key that has no value.
func isDeletion(h nats.Header) bool {
	return h.Get(operationHeader) != "" || h.Get(jetstream.MarkerReasonHeader) != ""
}

// Get implements [store.Driver].
func (s *Store) Get(ctx context.Context, name, key string) (store.Record, error) {
	b, err := s.bucket(name)
	if err != nil {
		return store.Record{}, err
	}
	m, err := s.last(ctx, b, key)
	if err != nil {
		return store.Record{}, err
	}
	if m == nil || isDeletion(m.Header) {
		return store.Record{}, store.ErrNotFound
	}
	return store.Record{Key: key, Value: m.Data, Revision: m.Sequence, Time: m.Time}, nil
}

// last returns the last message of a key, or nil.
func (s *Store) last(ctx context.Context, b *bucket, key string) (m *jetstream.RawStreamMsg, err error) {
	err = s.onBucket(ctx, b, func(ctx context.Context, b *bucket) (err error) {
		m, err = b.stream.GetLastMsgForSubject(ctx, b.subject(key))
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			return nil
		}
		return err
	})
	return m, err
}

// onBucket does something with a bucket, which is made anew when it is gone.
func (s *Store) onBucket(ctx context.Context, b *bucket, do func(context.Context, *bucket) error) error {
	first := true
	return s.persist(ctx, func(ctx context.Context) error {
		if !first {
			fresh, err := s.again(ctx, b)
			if err != nil {
				return err
			}
			b = fresh
		}
		first = false
		return do(ctx, b)
	})
}

// Put implements [store.Driver].
func (s *Store) Put(ctx context.Context, name string, w store.Write) (uint64, error) {
	b, err := s.bucket(name)
	if err != nil {
		return 0, err
	}
	write := func(expect expectation) (uint64, error) {
		return s.write(ctx, b, w.Key, expect, func(m *nats.Msg) {
			m.Data = w.Value
			if w.TTL > 0 {
				m.Header.Set(jetstream.MsgTTLHeader, wholeSeconds(w.TTL))
			}
		})
	}
	if !w.Create {
		return write(expectation{on: w.Revision > 0, revision: w.Revision})
	}
	for revision := uint64(0); ; {
		seq, err := write(expectation{on: true, revision: revision})
		if !errors.Is(err, store.ErrRevision) {
			return seq, err
		}
		m, err := s.last(ctx, b, w.Key)
		switch {
		case err != nil:
			return 0, err
		case m == nil:
			revision = 0
		case !isDeletion(m.Header):
			return 0, store.ErrExists
		default:
			revision = m.Sequence // the deletion's
		}
	}
}

// Delete implements [store.Driver].
func (s *Store) Delete(ctx context.Context, name, key string, revision uint64) error {
	b, err := s.bucket(name)
	if err != nil {
		return err
	}
	_, err = s.write(ctx, b, key, expectation{on: revision > 0, revision: revision}, func(m *nats.Msg) {
		m.Header.Set(operationHeader, operationPurge)
		m.Header.Set(jetstream.MsgRollup, jetstream.MsgRollupSubject)
		m.Header.Set(jetstream.MsgTTLHeader, wholeSeconds(s.markerTTL()))
	})
	return err
}

// expectation is the revision that the last message of a key must have; 0 is none.
type expectation struct {
	on       bool
	revision uint64
}

// write publishes one message about a key, once: an attempt whose answer is lost is made again with the same ID, which JetStream knows.
func (s *Store) write(ctx context.Context, b *bucket, key string, expect expectation, fill func(*nats.Msg)) (revision uint64, err error) {
	js, err := s.jetStream()
	if err != nil {
		return 0, err
	}
	id := rand.Text()
	attempts := 0
	err = s.onBucket(ctx, b, func(ctx context.Context, b *bucket) error {
		attempts++
		m := nats.NewMsg(b.subject(key))
		fill(m)
		opts := []jetstream.PublishOpt{jetstream.WithMsgID(id)}
		if expect.on {
			opts = append(opts, jetstream.WithExpectLastSequencePerSubject(expect.revision))
		}
		ack, err := js.PublishMsg(ctx, m, opts...)
		if err == nil {
			revision = ack.Sequence
		}
		return err
	})
	if !changed(err) {
		return revision, err
	}
	if attempts > 1 { // an attempt before may be what has changed it
		m, err := s.last(ctx, b, key)
		if err != nil {
			return 0, err
		}
		if m != nil && m.Header.Get(jetstream.MsgIDHeader) == id {
			return m.Sequence, nil
		}
	}
	return 0, store.ErrRevision
}

// wholeSeconds is how JetStream takes a TTL.
func wholeSeconds(d time.Duration) string {
	return fmt.Sprintf("%ds", (d+time.Second-1)/time.Second)
}
