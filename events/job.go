package events

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"
)

// Firing is one time of a job that [Every] declared.
type Firing struct {
	// ID is the same for each attempt, and of no other firing. Published with it, by [ID], an event is stored once.
	ID string

	Job  string
	Time time.Time // when it was due, in the zone of the schedule

	// Last is the Time of the firing before that succeeded, zero when there was none: what is due since then, this one may do.
	Last time.Time

	Attempt int // counts from 1

	// Token grows from attempt to attempt, whichever instance makes it. A resource that is told it, and refuses smaller ones than it has
	// seen, knows nothing of what a frozen instance does when it goes on.
	Token uint64
}

// Every has a function called when a job is due: by one instance, of all in the system that declare it, at a time. The name is the job's in its
// service, has the form [a-z][a-z0-9-]* and at most 63 bytes. Jobs are fired while the host runs.
//
//	events.Every(s, "report", events.Cron("0 3 * * *").In("Europe/Berlin"), func(ctx context.Context, f events.Firing) error {
//		return report(ctx, f.Last, f.Time)
//	})
//
// What became of a job is kept in the app's store. So each firing is done once, as far as that can be: when an instance is lost while it is at it
// another does it again, and so it is when what became of it could not be stored. A firing that fails, by an error or a panic, is done again
// too, see [Retry]; after the last attempt, or a [Permanent] error, it is given up, logged and counted. What was due while nobody could do it,
// because all instances were down or the firing before still ran, is done once, late, unless [StartWithin] says otherwise: several
// that were missed are one firing, with the Time of the latest. Firings of one job never run at the same time.
//
// A job begins with the first time when it is due after it was declared first. Another schedule counts from when it was declared, in all
// instances: those that were started before go by it, too, so that the instances of a new version can come one after the other.
//
// The function's context ends at [Timeout], if there is one, when a drain takes too long, and when the instance has lost the job. Mistakes are errors
// of the host's start, and so is a host that has nothing to keep a job in.
//
// Options: [StartWithin], [Timeout], [Retry], [AckWait].
func Every(host Host, name string, schedule Schedule, f func(ctx context.Context, f Firing) error, opts ...JobOption) *Job {
	j := &Job{name: name, schedule: schedule, handle: f, ended: make(chan struct{})}
	b := busOf(host)
	if b == nil {
		return j // as dead as its host
	}
	var errs []error
	if !groupName.MatchString(name) {
		errs = append(errs, errors.New("its name must be 1 to 63 of a-z, 0-9 and '-', beginning with a letter"))
	}
	if f == nil {
		errs = append(errs, errors.New("its function is nil"))
	}
	errs = append(errs, schedule.Err(), j.configure(opts))
	if err := errors.Join(errs...); err != nil {
		b.mistake(fmt.Errorf("%s: %w", j, err))
		return j
	}
	j.bus = b
	j.handlers, j.cut = context.WithCancel(context.Background())
	j.settling, j.settled = context.WithCancel(context.Background())
	if err := b.addJob(j); err != nil {
		b.mistake(err)
	}
	return j
}

// Job is what [Every] returns. Its methods may be called concurrently, also before the host runs.
type Job struct {
	settings

	name     string
	schedule Schedule
	handle   func(ctx context.Context, f Firing) error

	bus    *Bus // nil when the job is dead
	keeper JobKeeper
	id     string // of the job in its system
	log    *slog.Logger

	handlers context.Context // of all calls of handle
	cut      context.CancelFunc
	settling context.Context // of what is stored of firings that were begun
	settled  context.CancelFunc
	ended    chan struct{} // closed when it is not fired here any more

	mu      sync.Mutex
	known   bool // its state is there
	started bool
	stats   JobStats
}

// JobStats is what a job did in this instance since its host was started.
type JobStats struct {
	Name     string
	Schedule string // that counts, which another instance may have declared

	Next time.Time // when this instance looks what is due; zero before it runs

	Begun     uint64 // attempts
	Succeeded uint64 // of these
	Failed    uint64 // of these
	Panics    uint64 // of those that failed
	GivenUp   uint64 // firings that failed too often, or for good
	Lost      uint64 // attempts that ended when the job was another instance's already: the firing is done again

	Running   bool
	LastError string // of the function or the store
}

// String names the job.
func (j *Job) String() string { return fmt.Sprintf("job %q", j.name) }

// Stats returns what the job did so far.
func (j *Job) Stats() JobStats {
	j.mu.Lock()
	defer j.mu.Unlock()
	stats := j.stats
	stats.Name = j.name
	if stats.Schedule == "" {
		stats.Schedule = j.schedule.String()
	}
	return stats
}

// count changes the stats.
func (j *Job) count(f func(s *JobStats)) {
	j.mu.Lock()
	defer j.mu.Unlock()
	f(&j.stats)
}

// declare makes the state of the job be there, with its schedule. It returns at once when that was done.
func (j *Job) declare(ctx context.Context) (err error) {
	if j.isKnown() {
		return nil
	}
	if j.keeper, err = j.bus.jobKeeper(); err != nil {
		return err
	}
	j.id = strings.TrimPrefix(j.bus.source(), "hanse:///") + "/" + j.name
	j.log = j.bus.logger().With("job", j.name)
	for {
		r, revision, err := j.load(ctx)
		if err != nil {
			return err
		}
		if schedule := j.schedule.String(); r.Schedule != schedule {
			if r.Schedule != "" {
				j.log.Info("events: a job has another schedule from now on", "was", r.Schedule, "is", schedule)
			}
			r.Version, r.Schedule, r.Since = jobVersion, schedule, time.Now().UTC()
			if revision, err = j.store(ctx, r, revision); err != nil {
				return err
			}
		}
		if revision != 0 { // else somebody else was faster
			j.mu.Lock()
			defer j.mu.Unlock()
			j.known = true
			return nil
		}
	}
}

func (j *Job) isKnown() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.known
}

// start begins to fire. The caller holds the lock of the bus.
func (j *Job) start(ctx context.Context) {
	j.mu.Lock()
	j.started = true
	j.mu.Unlock()
	go func() {
		defer close(j.ended)
		j.run(ctx)
	}()
}

// drain waits for a firing that runs. The context of the bus has ended.
func (j *Job) drain(last context.Context) error {
	defer j.settled()
	defer j.cut()
	j.mu.Lock()
	started := j.started
	j.mu.Unlock()
	if started && !within(last, j.ended) {
		return fmt.Errorf("%s still runs %v after it was cancelled: let it heed its context", j, grace)
	}
	return nil
}

// cutShort cancels a firing that runs.
func (j *Job) cutShort() {
	if j.Stats().Running {
		j.log.Warn("events: drain timeout: cancelling a job that still runs")
	}
	j.cut()
}
