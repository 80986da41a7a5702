package hanse

import (
	"context"
	"errors"
	"time"

	"github.com/hanse-go/hanse/events"
	"github.com/hanse-go/hanse/store"
)

// jobStates has what became of the jobs that services declare with [events.Every], by SERVICE/NAME.
var jobStates = store.NewBucket[[]byte]("hanse-jobs")

// storeJobs is the store of a service as what keeps its jobs.
type storeJobs struct{ host store.Host }

var _ events.JobKeeper = storeJobs{}

// LoadJob implements [events.JobKeeper].
func (k storeJobs) LoadJob(ctx context.Context, job string) ([]byte, uint64, error) {
	e, err := jobStates.Get(ctx, k.host, job)
	if errors.Is(err, store.ErrNotFound) {
		return nil, 0, nil
	}
	return e.Value, e.Revision, err
}

// StoreJob implements [events.JobKeeper].
func (k storeJobs) StoreJob(ctx context.Context, job string, state []byte, revision uint64) (uint64, error) {
	latest, err := jobStates.Update(ctx, k.host, job, state, revision)
	if errors.Is(err, store.ErrExists) || errors.Is(err, store.ErrRevision) {
		return 0, nil
	}
	return latest, err
}

// HoldJob implements [events.JobKeeper].
func (k storeJobs) HoldJob(ctx context.Context, job string, lost time.Duration, f func(ctx context.Context, token uint64)) (held bool, err error) {
	err = store.Lock(ctx, k.host, jobStates.Name()+"/"+job, func(ctx context.Context, token uint64) error {
		held = true
		f(ctx, token)
		return nil
	}, store.TTL(lost), store.Wait(0))
	if held || errors.Is(err, store.ErrLocked) { // who was held up finds out by the revision
		err = nil
	}
	return held, err
}
