package store

import (
	"context"
	"errors"
	"time"

	"github.com/hanse-go/hanse/internal/backoff"
)

// Elect runs lead in one process of those that call Elect with the same name, and in another when that process ends or loses touch. It is
// [Lock] again and again: when the lock is lost the context of lead ends, and the process stands for election anew when lead has
// returned. A lead that returns nil steps down: others have a chance, and then this process stands again.
//
// It returns nil when ctx ends, and else an error of lead that came while it was the leader, or one of the store that time does not heal.
// That fits a task of a service:
//
//	svc.Go("sweeper", func(ctx context.Context) error { return store.Elect(ctx, svc, "sweeper", sweep) })
func Elect(ctx context.Context, h Host, name string, lead func(ctx context.Context, token uint64) error, opts ...LockOption) error {
	config := lockConfig{ttl: defaultLockTTL}
	for _, o := range opts {
		_ = o.lock(&config) // Lock says it
	}
	pause := backoff.Policy{Min: config.ttl / 3, Max: config.ttl / 3}
	for {
		led := false
		err := Lock(ctx, h, name, func(ctx context.Context, token uint64) error {
			led = true
			return lead(ctx, token)
		}, opts...)
		switch {
		case ctx.Err() != nil && (err == nil || errors.Is(err, ctx.Err()) || errors.Is(err, context.Canceled) || errors.Is(err, ErrLost)):
			return nil
		case err == nil, errors.Is(err, ErrLocked), errors.Is(err, ErrUnavailable) && !led:
		case errors.Is(err, ErrLost):
			h.Store().logger().Warn("leadership lost", "name", name, "error", err)
		default:
			return err
		}
		wait(ctx, min(pause.Delay(1), 5*time.Second))
	}
}
