package store

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"sync"
	"time"

	"github.com/hanse-go/hanse/resilience"
)

// Replies is a [resilience.ReplyStore] that all instances of a system share, so that a call which is sent again, with its idempotency key,
// takes effect once, whichever instance it meets:
//
//	svc.Replies = &store.Replies{Host: svc}
//
// They are in the bucket hanse-replies. Its methods may be called concurrently. It must not be copied.
type Replies struct {
	Host Host

	claims sync.Map // revisions of the claims that were made here, by key
}

var _ resilience.ReplyStore = (*Replies)(nil)

// replies has, by the hash of a key, what begins with one of the bytes below.
var replies = NewBucket[[]byte]("hanse-replies")

const (
	claimed = 'c' // and random bytes
	replied = 'r' // and the reply
)

// Declare says that the bucket is used, as [Bucket.Declare] does.
func (r *Replies) Declare() { replies.Declare(r.Host) }

// Claim implements [resilience.ReplyStore].
func (r *Replies) Claim(ctx context.Context, key string, lease time.Duration) ([]byte, error) {
	key = hashed(key)
	claim := append([]byte{claimed}, rand.Text()...)
	for {
		revision, err := replies.Create(ctx, r.Host, key, claim, TTL(lease))
		if err == nil {
			r.claims.Store(key, revision)
			return nil, nil
		}
		if !errors.Is(err, ErrExists) {
			return nil, err
		}
		e, err := replies.Get(ctx, r.Host, key)
		switch {
		case errors.Is(err, ErrNotFound): // it has ended in between
		case err != nil:
			return nil, err
		case len(e.Value) > 0 && e.Value[0] == replied:
			return e.Value[1:], nil
		default:
			return nil, resilience.ErrClaimed
		}
	}
}

// Keep implements [resilience.ReplyStore]. It fails when the claim has ended and another has one, or has replied.
func (r *Replies) Keep(ctx context.Context, key string, reply []byte, keep time.Duration) error {
	key = hashed(key)
	claim, ok := r.claims.LoadAndDelete(key)
	if !ok {
		return errors.New("store: a reply to what was not claimed")
	}
	revision := claim.(uint64)
	_, err := replies.Update(ctx, r.Host, key, append([]byte{replied}, reply...), revision, TTL(keep))
	if errors.Is(err, ErrTooLarge) || errors.Is(err, ErrFull) {
		return errors.Join(err, r.drop(ctx, key, revision)) // else others would wait for it
	}
	return err
}

// Drop implements [resilience.ReplyStore].
func (r *Replies) Drop(ctx context.Context, key string) error {
	key = hashed(key)
	claim, ok := r.claims.LoadAndDelete(key)
	if !ok {
		return nil
	}
	return r.drop(ctx, key, claim.(uint64))
}

func (r *Replies) drop(ctx context.Context, key string, revision uint64) error {
	err := replies.Delete(ctx, r.Host, key, IfRevision(revision))
	if errors.Is(err, ErrRevision) { // it has ended
		return nil
	}
	return err
}

// hashed is a key that others cannot read, and that is not too long.
func hashed(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:])
}
