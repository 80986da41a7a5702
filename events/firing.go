package events

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"time"

	"github.com/hanse-go/hanse/internal/backoff"
)

// jobRecord is the state of a job, which all instances share. Programs of other versions read it.
type jobRecord struct {
	Version   int       `json:"version"`
	Schedule  string    `json:"schedule"`  // that was declared last
	Since     time.Time `json:"since"`     // when it was
	Done      time.Time `json:"done"`      // the firing that ended last
	Succeeded time.Time `json:"succeeded"` // the last of these that did
	Firing    time.Time `json:"firing"`    // that was begun and has not ended; zero when there is none
	Attempt   int       `json:"attempt"`   // of it, the last one that was begun
	Again     time.Time `json:"again"`     // when to begin the next one; zero while one runs
	Error     string    `json:"error"`     // of the last attempt, or of the last firing

	others map[string]json.RawMessage // fields of later versions
}

const jobVersion = 1

func (j *Job) load(ctx context.Context) (r jobRecord, revision uint64, err error) {
	state, revision, err := j.keeper.LoadJob(ctx, j.id)
	if err != nil || revision == 0 {
		return r, revision, err
	}
	if err = json.Unmarshal(state, &r); err == nil {
		err = json.Unmarshal(state, &r.others)
	}
	if err != nil {
		err = fmt.Errorf("the state of the job cannot be read: %w", err)
	}
	return r, revision, err
}

// store returns the revision, 0 when another instance has changed the state.
func (j *Job) store(ctx context.Context, r jobRecord, revision uint64) (uint64, error) {
	state, err := json.Marshal(r)
	if err != nil {
		return 0, err
	}
	all := maps.Clone(r.others)
	if err := json.Unmarshal(state, &all); err != nil {
		return 0, err
	}
	if state, err = json.Marshal(all); err != nil {
		return 0, err
	}
	return j.keeper.StoreJob(ctx, j.id, state, revision)
}

// next returns the firing that is next, and when it may begin; zero when it is never due again.
func (r *jobRecord) next(now time.Time, startWithin time.Duration) (firing, begin time.Time, err error) {
	schedule := Cron(r.Schedule)
	if err := schedule.Err(); err != nil {
		return firing, begin, fmt.Errorf("another instance has declared a schedule that this version cannot read: %w", err)
	}
	if !r.Firing.IsZero() {
		return r.Firing.In(schedule.location()), r.Again, nil
	}
	since := r.Since
	if r.Done.After(since) {
		since = r.Done
	}
	firing = schedule.Next(since)
	if !firing.IsZero() && !firing.After(now) {
		firing = schedule.latest(since, now)
		if startWithin > 0 && now.Sub(firing) > startWithin {
			firing = schedule.Next(now)
		}
	}
	return firing, firing, nil
}

// farAhead is how long is waited at a time, for clocks may be set.
const farAhead = time.Minute

// run fires the job until ctx ends.
func (j *Job) run(ctx context.Context) {
	for failures := 0; ctx.Err() == nil; {
		at, err := j.turn(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			failures++
			wait := backoff.Policy{}.Delay(failures)
			at = time.Now().Add(wait)
			j.bus.logger().Error("events: a job cannot be fired", "job", j.name, "error", err, "again in", wait)
			j.count(func(s *JobStats) { s.LastError = err.Error() })
		default:
			failures = 0
		}
		j.count(func(s *JobStats) { s.Next = at })
		for left := time.Until(at); left > 0 && ctx.Err() == nil; left = time.Until(at) {
			sleep(ctx, min(left, farAhead))
		}
	}
}

// turn fires the job if it is due, and returns when to look again.
func (j *Job) turn(ctx context.Context) (at time.Time, err error) {
	if err := j.declare(ctx); err != nil {
		return at, err
	}
	at, err = j.look(ctx)
	if err != nil || at.After(time.Now()) {
		return at, err
	}
	holding, cancel := context.WithCancel(j.handlers)
	defer cancel()
	undrained := context.AfterFunc(ctx, cancel) // until it is held
	defer undrained()
	var failed error
	held, err := j.keeper.HoldJob(holding, j.id, j.ackWait, func(held context.Context, token uint64) {
		if undrained() {
			failed = j.fire(held, token)
		}
	})
	if held || err != nil {
		return time.Now(), errors.Join(err, failed)
	}
	// Another instance is at it. It may get lost, or do the next one, too.
	now := time.Now()
	at = now.Add(j.ackWait/4 + rand.N(j.ackWait/4))
	if next := j.schedule.Next(now); !next.IsZero() && next.Before(at) {
		at = next
	}
	return at, nil
}

// look returns when there will be something to do.
func (j *Job) look(ctx context.Context) (time.Time, error) {
	r, _, err := j.load(ctx)
	if err != nil {
		return time.Time{}, err
	}
	now := time.Now()
	firing, begin, err := r.next(now, j.startWithin)
	if firing.IsZero() { // a schedule that ends; another may be declared
		begin = now.Add(farAhead)
	}
	j.count(func(s *JobStats) { s.Schedule = r.Schedule })
	return begin, err
}

// fire does what is due, while the job is held.
func (j *Job) fire(held context.Context, token uint64) error {
	r, revision, err := j.load(held)
	if err != nil {
		return err
	}
	now := time.Now()
	firing, begin, err := r.next(now, j.startWithin)
	if err != nil || firing.IsZero() || begin.After(now) { // the last is because another has done it
		return err
	}
	if r.Firing.IsZero() {
		r.Attempt = 0
	}
	r.Firing, r.Again = firing.UTC(), time.Time{}
	r.Attempt++
	if revision, err = j.store(held, r, revision); err != nil || revision == 0 {
		return err
	}
	j.count(func(s *JobStats) { s.Begun++; s.Running = true })
	defer j.count(func(s *JobStats) { s.Running = false })
	id := j.id + "@" + r.Firing.Format(time.RFC3339Nano)
	var told *fired
	if most := j.retry.attempts(); most > 0 && r.Attempt > crashes*most {
		err = Permanent(fmt.Errorf("it was begun %d times and never ended: it ends the process, or takes longer than processes live", r.Attempt-1))
	} else {
		f := Firing{ID: id, Job: j.name, Time: firing, Last: r.Succeeded.In(firing.Location()), Attempt: r.Attempt, Token: token}
		told = j.bus.teller().fire(held, f)
		err = j.call(told.in(held), f)
	}
	attempt := r.Attempt
	note := j.judge(&r, id, err)
	told.over(err, r.Again)
	if note {
		j.settle(r, revision, firing, attempt)
	}
	return nil
}

// call calls the function. It has a goroutine of its own, which it may end.
func (j *Job) call(ctx context.Context, f Firing) error {
	if j.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, j.timeout)
		defer cancel()
	}
	done := make(chan error, 1)
	go func() {
		err := errors.New("the function called runtime.Goexit")
		defer func() {
			if p := recover(); p != nil {
				j.count(func(s *JobStats) { s.Panics++ })
				err = newPanicked(p)
			}
			done <- err
		}()
		err = j.handle(ctx, f)
	}()
	return <-done
}

// judge notes in the state what became of an attempt. It reports false when there is nothing to note.
func (j *Job) judge(r *jobRecord, id string, err error) bool {
	if err == nil {
		j.count(func(s *JobStats) { s.Succeeded++ })
		r.Done, r.Succeeded, r.Error = r.Firing, r.Firing, ""
		r.Firing, r.Attempt = time.Time{}, 0
		return true
	}
	if j.handlers.Err() != nil { // it was cut short, so another begins it again
		logPanic(j.log, "events: a job failed", err, "id", id, "attempt", r.Attempt)
		return false
	}
	r.Error = err.Error()
	j.count(func(s *JobStats) { s.Failed++; s.LastError = r.Error })
	if most := j.retry.attempts(); IsPermanent(err) || most > 0 && r.Attempt >= most {
		j.count(func(s *JobStats) { s.GivenUp++ })
		logFailure(j.log, slog.LevelError, "events: a firing of a job is given up", err, "id", id, "attempt", r.Attempt)
		r.Done = r.Firing
		r.Firing, r.Attempt = time.Time{}, 0
		return true
	}
	wait := j.retry.delay(r.Attempt)
	logFailure(j.log, slog.LevelWarn, "events: a job failed", err, "id", id, "attempt", r.Attempt, "again in", wait)
	r.Again = time.Now().Add(wait).UTC()
	return true
}

// settle stores what became of an attempt, and goes on trying while the store is away.
func (j *Job) settle(r jobRecord, revision uint64, firing time.Time, attempt int) {
	for failures := 0; j.settling.Err() == nil; {
		latest, err := j.store(j.settling, r, revision)
		if err == nil && latest != 0 {
			return
		}
		var now jobRecord
		if err == nil {
			now, revision, err = j.load(j.settling)
		}
		switch {
		case err != nil:
			failures++
			wait := backoff.Policy{}.Delay(failures)
			j.log.Error("events: cannot store what became of a job", "error", err, "again in", wait)
			j.count(func(s *JobStats) { s.LastError = err.Error() })
			sleep(j.settling, wait)
		case now.Firing.Equal(firing) && now.Attempt == attempt && now.Again.IsZero(): // it was declared with another schedule
			r.Schedule, r.Since, r.others = now.Schedule, now.Since, now.others
		case now.Firing.Equal(r.Firing) && now.Done.Equal(r.Done) && now.Again.Equal(r.Again): // an answer was lost
			return
		default:
			j.count(func(s *JobStats) { s.Lost++ })
			j.log.Warn("events: a job was lost to another instance while it ran, and is done again")
			return
		}
	}
}
