package store

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/hanse-go/hanse/internal/backoff"
)

const (
	defaultLockTTL = 15 * time.Second
	leastLockTTL   = 100 * time.Millisecond
	releaseTime    = 2 * time.Second // for giving a lock back, at most
)

// locks has a value for each lock that is held.
var locks = NewBucket[lockRecord]("hanse-locks")

// lockRecord says who holds a lock. Programs of other versions read it.
type lockRecord struct {
	Version int       `json:"version"`
	Holder  string    `json:"holder"` // unique
	Host    string    `json:"host"`
	PID     int       `json:"pid"`
	Since   time.Time `json:"since"`
}

// Lock waits until nobody else holds the lock of a name, runs f and releases the lock when f returns or panics. Names are those of keys, and
// are shared by the system.
//
// The context of f ends when the lock is lost, because it could not be renewed in time (it is each third of its [TTL]) or was taken away, and
// with ctx. It ends by the clocks of this process, before others can have the lock, also when the process was stopped for a while:
// ctx.Err() is not nil then before f can look. What f does right after it has looked may still come too late. A resource that must
// not see that is told the token, which grows from holder to holder, and refuses smaller ones than it has seen. While f runs the lock is
// kept, also after ctx has ended.
//
// Lock returns what f returns. It returns [ErrLost], maybe joined with that, when the lock was lost while f ran; [ErrLocked] when [Wait] is
// over; and the error of ctx when that ended before. Waiters are not served in any order.
func Lock(ctx context.Context, h Host, name string, f func(ctx context.Context, token uint64) error, opts ...LockOption) error {
	l := &lock{host: h, name: name, ttl: defaultLockTTL, wait: -1}
	config := lockConfig{ttl: l.ttl, wait: l.wait}
	for _, o := range opts {
		if err := o.lock(&config); err != nil {
			return fmt.Errorf("store: lock %q: %w", name, err)
		}
	}
	l.ttl, l.wait = config.ttl, config.wait
	l.record = lockRecord{Version: 1, Holder: rand.Text(), PID: os.Getpid()}
	l.record.Host, _ = os.Hostname()
	until, err := l.acquire(ctx)
	if err != nil {
		return fmt.Errorf("store: lock %q: %w", name, err)
	}
	return l.hold(ctx, until, f)
}

// lock is one attempt to get and hold a lock.
type lock struct {
	host      Host
	name      string
	ttl, wait time.Duration
	record    lockRecord
	token     uint64
	revision  uint64 // of the record
}

// kept is how long the store keeps the record: a bit longer than the holder believes, for clocks do not run alike.
func (l *lock) kept() TTL { return TTL(l.ttl + l.ttl/10) }

// acquire waits for the lock, and returns until when it is held.
func (l *lock) acquire(ctx context.Context) (until time.Time, err error) {
	waiting := ctx
	if l.wait > 0 {
		limited, cancel := context.WithTimeout(ctx, l.wait)
		defer cancel()
		waiting = limited
	}
	pause := backoff.Policy{Min: 50 * time.Millisecond, Max: 2 * time.Second}
	for failures := 0; ; {
		err = l.tryCreate(waiting, &until)
		switch {
		case err == nil:
			return until, nil
		case errors.Is(err, ErrExists):
			failures = 0
			if l.wait == 0 {
				return until, fmt.Errorf("%w%s", ErrLocked, l.holder(ctx))
			}
			err = l.awaitFree(waiting)
		case waiting.Err() == nil && !errors.Is(err, ErrUnavailable):
			return until, err
		}
		if err != nil && waiting.Err() == nil {
			if failures++; failures == 1 {
				l.host.Store().logger().Warn("lock cannot be acquired; it is tried on", "lock", l.name, "error", err)
			}
			wait(waiting, pause.Delay(failures))
		}
		switch {
		case ctx.Err() != nil:
			return until, ctx.Err()
		case waiting.Err() != nil && err != nil:
			return until, fmt.Errorf("%w, for %v: %w", ErrUnavailable, l.wait, err)
		case waiting.Err() != nil:
			return until, fmt.Errorf("%w, for %v%s", ErrLocked, l.wait, l.holder(ctx))
		}
	}
}

// tryCreate makes the record, and finds that it has made it before when an earlier attempt seemed to fail.
func (l *lock) tryCreate(ctx context.Context, until *time.Time) error {
	began := time.Now()
	l.record.Since = began.UTC()
	revision, err := locks.Create(ctx, l.host, l.name, l.record, l.kept())
	if errors.Is(err, ErrExists) {
		e, gerr := locks.Get(ctx, l.host, l.name)
		if gerr != nil || e.Value.Holder != l.record.Holder {
			return err
		}
		revision, err = locks.Update(ctx, l.host, l.name, l.record, e.Revision, l.kept())
	}
	if err != nil {
		return err
	}
	l.token, l.revision = revision, revision
	*until = began.Add(l.ttl)
	return nil
}

// holder tells people who holds the lock, if that is known.
func (l *lock) holder(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(ctx, releaseTime)
	defer cancel()
	e, err := locks.Get(ctx, l.host, l.name)
	if err != nil {
		return ""
	}
	return fmt.Sprintf(": process %d on %s, since %v", e.Value.PID, e.Value.Host, e.Value.Since.Format(time.RFC3339))
}

// awaitFree returns when it is time to try again.
func (l *lock) awaitFree(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, l.ttl) // in case that nobody tells
	defer cancel()
	there := false
	for c, err := range locks.Watch(ctx, l.host, Key(l.name)) {
		switch {
		case err != nil && ctx.Err() != nil:
			return nil
		case err != nil && c.Key == "":
			return err
		case c.Kind == Put:
			there = true
		case c.Kind == Deleted, c.Kind == Synced && !there:
			return nil
		}
	}
	return nil
}

// hold runs f while the lock is held.
func (l *lock) hold(ctx context.Context, until time.Time, f func(context.Context, uint64) error) (err error) {
	lease := newLeaseContext(ctx, until)
	renewing, stop := context.WithCancel(context.WithoutCancel(ctx))
	renewed := make(chan struct{})
	go func() {
		defer close(renewed)
		l.renew(renewing, lease)
	}()
	defer func() {
		stop()
		<-renewed
		if lost := lease.lost(); lost || !l.release(context.WithoutCancel(ctx)) {
			err = l.lostError(err)
		}
		lease.end()
	}()
	return f(lease, l.token)
}

// lostError is the error of a holder that ended with err after it had lost the lock.
func (l *lock) lostError(err error) error {
	lost := fmt.Errorf("store: lock %q: %w", l.name, ErrLost)
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, ErrLost) {
		return lost
	}
	return errors.Join(lost, err)
}

// renew keeps the record, and says to the lease until when.
func (l *lock) renew(ctx context.Context, lease *leaseContext) {
	for wait(ctx, l.ttl/3) == nil {
		for warned := false; ; {
			err := l.renewOnce(ctx, lease)
			if err == nil {
				break
			}
			if ctx.Err() != nil || lease.lost() {
				return
			}
			if !warned {
				l.host.Store().logger().Warn("lock cannot be renewed; it is tried on until it is lost", "lock", l.name, "left", lease.left(), "error", err)
			}
			warned = true
			if wait(ctx, l.ttl/20) != nil {
				return
			}
		}
	}
}

func (l *lock) renewOnce(ctx context.Context, lease *leaseContext) error {
	began := time.Now()
	ctx, cancel := context.WithTimeout(ctx, min(lease.left(), l.ttl/2)) // a lost answer must leave time to ask again
	defer cancel()
	revision, err := locks.Update(ctx, l.host, l.name, l.record, l.revision, l.kept())
	if errors.Is(err, ErrRevision) {
		var mine bool
		if mine, err = l.find(ctx); mine { // an answer was lost
			revision, err = locks.Update(ctx, l.host, l.name, l.record, l.revision, l.kept())
		} else if err == nil {
			lease.lose()
			return ErrLost
		}
	}
	if err != nil {
		return err
	}
	l.revision = revision
	lease.extend(began.Add(l.ttl))
	return nil
}

// find looks which revision the record has, and whether it is this holder's.
func (l *lock) find(ctx context.Context) (mine bool, err error) {
	e, err := locks.Get(ctx, l.host, l.name)
	switch {
	case errors.Is(err, ErrNotFound):
		return false, nil
	case err != nil:
		return false, err
	case e.Value.Holder != l.record.Holder:
		return false, nil
	}
	l.revision = e.Revision
	return true, nil
}

// release gives the lock back. It reports false when it was not this holder's any more.
func (l *lock) release(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, min(releaseTime, l.ttl))
	defer cancel()
	err := locks.Delete(ctx, l.host, l.name, IfRevision(l.revision))
	if errors.Is(err, ErrRevision) {
		var mine bool
		if mine, err = l.find(ctx); mine { // a renewal was on its way
			err = locks.Delete(ctx, l.host, l.name, IfRevision(l.revision))
		} else if err == nil {
			return false
		}
	}
	if err != nil {
		l.host.Store().logger().Warn("lock cannot be released; it is free when its TTL is over", "lock", l.name, "ttl", l.ttl, "error", err)
	}
	return true
}
