package events

import (
	"context"
	"slices"
	"sync"
	"time"
)

var _ JobKeeper = (*Memory)(nil)

// memoryJobs is the jobs of a [Memory], by name.
type memoryJobs struct {
	mu     sync.Mutex
	byName map[string]*memoryJob
}

type memoryJob struct {
	state    []byte
	revision uint64
	held     bool
	token    uint64 // of the last holder
}

// with calls f with a job.
func (m *memoryJobs) with(name string, f func(j *memoryJob)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	j := m.byName[name]
	if j == nil {
		if m.byName == nil {
			m.byName = make(map[string]*memoryJob)
		}
		j = new(memoryJob)
		m.byName[name] = j
	}
	f(j)
}

// LoadJob returns what was stored last.
func (b *Memory) LoadJob(_ context.Context, job string) (state []byte, revision uint64, err error) {
	b.jobs.with(job, func(j *memoryJob) { state, revision = slices.Clone(j.state), j.revision })
	return state, revision, nil
}

// StoreJob replaces the state of a revision.
func (b *Memory) StoreJob(_ context.Context, job string, state []byte, revision uint64) (latest uint64, err error) {
	b.jobs.with(job, func(j *memoryJob) {
		if j.revision == revision {
			j.state = slices.Clone(state)
			j.revision++
			latest = j.revision
		}
	})
	return latest, nil
}

// HoldJob calls f unless another call does so for the job. Nobody is lost without the process.
func (b *Memory) HoldJob(ctx context.Context, job string, _ time.Duration, f func(ctx context.Context, token uint64)) (held bool, err error) {
	if ctx.Err() != nil {
		return false, context.Cause(ctx)
	}
	var token uint64
	b.jobs.with(job, func(j *memoryJob) {
		if held = !j.held; held {
			j.held = true
			j.token++
			token = j.token
		}
	})
	if held {
		defer b.jobs.with(job, func(j *memoryJob) { j.held = false })
		f(ctx, token)
	}
	return held, nil
}
