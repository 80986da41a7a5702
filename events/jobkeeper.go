package events

import (
	"context"
	"time"
)

// JobKeeper keeps what became of jobs where all instances of a system see it, and has one of them at a time work at a job. [Memory] is one in the
// process; an app has one on its store. Programs use [Every]. Its methods may be called concurrently.
type JobKeeper interface {
	// LoadJob returns what was stored last, and its revision; nil and 0 when there is nothing yet.
	LoadJob(ctx context.Context, job string) (state []byte, revision uint64, err error)

	// StoreJob replaces the state of a revision, 0 for none, and returns the new revision; 0 when that was not the latest any more.
	StoreJob(ctx context.Context, job string, state []byte, revision uint64) (latest uint64, err error)

	// HoldJob calls f while no other instance may work at the job, and reports false, at once, when another does. An instance that is not heard of
	// for a time has lost the job; the context of f ends before that. It ends with ctx, too, but the job is held until f returns. The token
	// grows from holder to holder. The error is of a job that could not be held.
	HoldJob(ctx context.Context, job string, lost time.Duration, f func(ctx context.Context, token uint64)) (held bool, err error)
}
