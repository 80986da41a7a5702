package natsdiscovery

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/discovery/driver"
	"github.com/nats-io/nats.go/jetstream"
)

// beats is how often in its time an instance is put again. What is left of the time after one is missed outlasts an election.
const beats = 3

// keeper keeps one instance announced.
type keeper struct {
	registry *Registry
	bucket   bucket
	key      string // of the record
	anywhere string // matches the key of any service's instance with that ID
	owner    string
	leave    func() // the link; nil before it was joined

	// revision is that of the record as it was put last; 0: it is not known.
	revision uint64
	tried    bool // there may be a record
}

var _ driver.Keeper = (*keeper)(nil)

// idToken is an ID as a part of a key: dots have a meaning in NATS.
func idToken(id string) string { return strings.ReplaceAll(id, ".", "/") }

// Register implements [discovery.Registrar]. While NATS is away it tries until ctx ends, for at most 20 s. It returns
// [discovery.ErrTaken] when an instance that is announced has the ID.
func (r *Registry) Register(ctx context.Context, inst discovery.Instance) (discovery.Lease, error) {
	if r.err != nil {
		return nil, r.err
	}
	k := &keeper{
		registry: r, bucket: r.instances(), owner: rand.Text(),
		key: "instances." + inst.Service + "." + idToken(inst.ID), anywhere: "instances.*." + idToken(inst.ID),
	}
	return driver.Keep(ctx, inst, k, r.opts.Logger)
}

// Put implements [driver.Keeper].
func (k *keeper) Put(ctx context.Context, inst discovery.Instance) error {
	if k.leave == nil {
		k.leave = k.registry.link.join()
	}
	k.tried = true
	return k.registry.try(ctx, k.bucket, func(ctx context.Context) error {
		err := k.put(ctx, inst)
		if isWrongLast(err) { // it is not as it was: see how it is
			if k.revision, err = k.look(ctx); err == nil {
				err = k.put(ctx, inst)
			}
			if isWrongLast(err) {
				return errAgain
			}
		}
		return err
	})
}

// errAgain has a put tried again: an earlier one, whose answer was lost, came between.
var errAgain = errors.New("the record changes")

// put puts the record in place of what is known to be there.
func (k *keeper) put(ctx context.Context, inst discovery.Instance) error {
	record, err := inst.Record()
	if err != nil {
		return err
	}
	m := k.bucket.message(k.key, record)
	m.Header.Set(ttlHeader, k.registry.opts.TTL.String())
	m.Header.Set(ownerHeader, k.owner)
	revision, err := k.registry.put(ctx, k.bucket, m, k.anywhere, int64(k.revision))
	if err == nil {
		k.revision = revision
	}
	return err
}

// look returns the revision on which a put of this instance builds. It returns [discovery.ErrTaken] when another has the ID.
func (k *keeper) look(ctx context.Context) (uint64, error) {
	last, err := k.registry.last(ctx, k.bucket, k.anywhere)
	switch {
	case err != nil:
		return 0, err
	case last == nil:
		return 0, nil
	case !isGone(last.Header) && last.Header.Get(ownerHeader) != k.owner:
		return 0, discovery.ErrTaken
	}
	return last.Sequence, nil
}

// Check implements [driver.Keeper]: it puts the record again before its time is over.
func (k *keeper) Check(ctx context.Context, inst discovery.Instance) (func(context.Context), error) {
	ctx, cancel := context.WithTimeout(ctx, operation)
	defer cancel()
	changed := k.registry.link.changes()
	began := time.Now()
	err := k.registry.ask(ctx, k.bucket, func(ctx context.Context) error { return k.put(ctx, inst) })
	if isWrongLast(err) || errors.Is(err, jetstream.ErrNoStreamResponse) || code(err) == codeNoStream {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) {
		wait(ctx, driver.Jitter(k.registry.opts.TTL/beats)-time.Since(began), changed)
	}, nil
}

// Withdraw implements [driver.Keeper].
func (k *keeper) Withdraw(ctx context.Context) error {
	if k.leave != nil {
		defer k.leave()
	}
	if !k.tried {
		return nil
	}
	withdraw := func(ctx context.Context) error {
		_, err := k.registry.put(ctx, k.bucket, k.bucket.deletion(k.key), k.anywhere, int64(k.revision))
		return err
	}
	err := k.registry.ask(ctx, k.bucket, func(ctx context.Context) error {
		if k.revision > 0 {
			if err := withdraw(ctx); !isWrongLast(err) {
				return err
			}
		}
		last, err := k.registry.last(ctx, k.bucket, k.key)
		if err != nil || last == nil || isGone(last.Header) || last.Header.Get(ownerHeader) != k.owner {
			return err // it is gone already
		}
		k.revision = last.Sequence
		return withdraw(ctx)
	})
	if err == nil {
		return nil
	}
	return fmt.Errorf("it vanishes in %v: %w", k.registry.opts.TTL, err)
}

// Explain implements [driver.Keeper].
func (k *keeper) Explain(doing string, err error) error { return k.registry.explain(doing, err) }
