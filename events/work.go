package events

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/hanse-go/hanse/internal/backoff"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
)

// feed wakes a worker when there is something to do; that one wakes the next. The caller holds s.mu.
func (s *Subscription) feed() {
	switch {
	case s.lanes.ready.n == 0 || s.paused || s.draining:
	case s.idle > 0:
		s.wake.Signal()
	case s.workers < s.concurrency:
		s.workers++
		go s.work()
	}
}

// work handles events until the subscription has ended.
func (s *Subscription) work() {
	var it *item
	ended := false
	defer func() {
		if ended {
			return
		}
		go s.work() // in the place of this one, whose handler called runtime.Goexit
		s.judge(it, errors.New("the handler called runtime.Goexit"))
	}()
	s.mu.Lock()
	for {
		if s.ended {
			if s.workers--; s.workers == 0 {
				close(s.gone)
			}
			s.mu.Unlock()
			ended = true
			return
		}
		it = nil
		if !s.paused && !s.draining {
			it = s.lanes.take()
		}
		if it == nil {
			s.idle++
			s.wake.Wait()
			s.idle--
			continue
		}
		s.running++
		s.feed()
		s.mu.Unlock()
		s.process(it)
		s.mu.Lock()
	}
}

// doubtWait is how long an event waits of which it is not known whether it is this member's still.
const doubtWait = 100 * time.Millisecond

// process does what is to be done with an event.
func (s *Subscription) process(it *item) {
	most := s.retry.attempts()
	switch only, forGroup := it.message.OnlyFor(); {
	case it.lost():
		s.finish(it, &s.stats.Lost)
	case it.doubtful():
		s.later(it, doubtWait)
	case it.failed != nil:
		s.bury(it)
	case forGroup && only != s.group:
		s.ack(it, &s.stats.Skipped)
	case most > 0 && it.attempt > crashes*most:
		it.failed = fmt.Errorf("it was delivered %d times and never settled: its handling ends the process, or takes longer than processes live", it.attempt-1)
		s.bury(it)
	default:
		s.judge(it, s.call(it))
	}
}

// call calls the handler.
func (s *Subscription) call(it *item) (err error) {
	ctx := s.handlers
	if it.lease != nil {
		ctx = it.lease.ctx
	}
	if s.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, s.timeout)
		defer cancel()
	}
	if it.work = s.told.begin(ctx, it); it.work != nil {
		ctx = it.work.Ctx()
	}
	defer func() {
		if p := recover(); p != nil {
			s.mu.Lock()
			s.stats.Panics++
			s.mu.Unlock()
			err = newPanicked(p)
		}
	}()
	return s.handle(ctx, it)
}

// judge decides what becomes of an event whose handler has returned.
func (s *Subscription) judge(it *item, err error) {
	switch most := s.retry.attempts(); {
	case err == nil:
		s.tell(it, nil, "")
		s.ack(it, &s.stats.Handled)
	case it.lost():
		s.tell(it, err, "lost")
		logPanic(s.log, "events: a handler failed", err, "id", it.message.ID, "attempt", it.attempt)
		s.finish(it, &s.stats.Lost)
	case s.handlers.Err() != nil: // it was cut short
		s.tell(it, err, "returned")
		logPanic(s.log, "events: a handler failed", err, "id", it.message.ID, "attempt", it.attempt)
		s.putBack(it, 0)
	default:
		s.mu.Lock()
		s.stats.Failed++
		s.stats.LastError = err.Error()
		s.mu.Unlock()
		if IsPermanent(err) && !isDeadTopic(s.decl.info.Name) || most > 0 && it.attempt >= most {
			s.tell(it, err, "dead-letter")
			it.failed = err
			s.bury(it)
			return
		}
		wait := s.retry.delay(it.attempt)
		s.tell(it, err, "retry", attribute.Float64("hanse.event.delay", wait.Seconds()))
		logFailure(s.log, slog.LevelWarn, "events: a handler failed", err, "id", it.message.ID, "attempt", it.attempt, "again in", wait)
		if s.ordered {
			it.attempt++
			s.later(it, wait)
			return
		}
		s.putBack(it, wait)
	}
}

// tell tells how the handling of an event ended, and what follows.
func (s *Subscription) tell(it *item, err error, what string, attrs ...attribute.KeyValue) {
	if it.work != nil {
		s.told.over(it.work, err, what, attrs...)
	}
}

// ack settles an event, and counts it.
func (s *Subscription) ack(it *item, count *uint64) {
	if err := it.delivery.Ack(s.settling); err != nil {
		s.settle(err, nil)
		count = nil
	}
	s.finish(it, count)
}

// putBack gives an event back. One with an order stays in hand until the group is left, so that none behind it comes before it.
func (s *Subscription) putBack(it *item, wait time.Duration) {
	if s.ordered {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.running--
		s.rest()
		return
	}
	s.settle(it.delivery.Retry(s.settling, wait), &s.stats.Returned)
	s.finish(it, nil)
}

// finish ends the stay of an event, and counts it.
func (s *Subscription) finish(it *item, count *uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if count != nil {
		*count++
	}
	s.running--
	s.release(it)
	s.rest()
}

// later has an event processed again here; those of its key wait behind it.
func (s *Subscription) later(it *item, wait time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running--
	s.rest()
	s.invite()
	if s.draining {
		return // it is given back when the group is left
	}
	it.timer = time.AfterFunc(wait, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.lanes.again(it)
		s.feed()
	})
}

// bury makes an event a dead letter. When that fails it is tried again and again, for an event must not get lost.
func (s *Subscription) bury(it *item) {
	log := s.log.With("id", it.message.ID, "attempt", it.attempt)
	topic, m := s.deadLetter(it)
	ctx := s.settling
	if it.work != nil {
		ctx = trace.ContextWithSpan(ctx, &it.work.Span)
	}
	err := s.bus.publishDead(ctx, topic, m)
	if err == nil {
		logFailure(log, slog.LevelError, "events: an event became a dead letter", it.failed)
		s.ack(it, &s.stats.DeadLettered)
		return
	}
	it.tries++
	wait := backoff.Policy{}.Delay(it.tries)
	s.mu.Lock()
	s.stats.LastError = err.Error()
	s.mu.Unlock()
	log.Error("events: cannot make an event a dead letter", "error", err, "of", it.failed, "again in", wait)
	s.later(it, wait)
}
