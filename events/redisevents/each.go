package redisevents

import (
	"context"
	"time"

	"github.com/hanse-go/hanse/events"
)

// each is a subscription without a group. The server knows nothing of it: it has its place, and what is to be delivered again, for itself.
type each struct {
	*member
	last  []any // ID of the last delivery of each lane
	turns int   // which lane is asked first
	again []again
}

// again is a delivery that was given back.
type again struct {
	d   *delivery
	due time.Time
}

func (b *Broker) subscribeEach(ctx context.Context, t *topic, info events.SubscriptionInfo) (events.Source, error) {
	s := &each{member: b.newMember(t, info)}
	for range t.lanes {
		s.last = append(s.last, "$")
	}
	err := b.patiently(ctx, func(ctx context.Context) error {
		_, _, err := s.fetch(ctx, 0) // from now on
		if isGone(err) {
			if err = b.restore(ctx, t); err == nil {
				return errAgain
			}
		}
		return err
	})
	if err != nil {
		return nil, explain(err)
	}
	if err := s.start(s); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *each) free(*delivery) bool { return true }
func (s *each) hand(*delivery)      {}
func (s *each) settle(*delivery)    {}

func (s *each) turn(ctx context.Context, settled []settlement, n int) (time.Duration, error) {
	wait := s.b.opts.Poll
	var got []*delivery
	if n > 0 {
		var err error
		if got, wait, err = s.fetch(ctx, n); err != nil {
			return 0, err
		}
	}
	now := time.Now()
	for _, x := range settled {
		if x.what == "retry" {
			d := *x.d
			d.over = false
			d.attempt++
			s.again = append(s.again, again{&d, now.Add(x.wait)})
		}
	}
	rest := s.again[:0]
	for _, a := range s.again {
		if left := a.due.Sub(now); left > 0 {
			wait = min(wait, left)
			rest = append(rest, a)
		} else {
			got = append(got, a.d)
		}
	}
	clear(s.again[len(rest):])
	s.again = rest
	s.take(got)
	return wait, nil
}

// fetch returns up to n events that it did not have.
func (s *each) fetch(ctx context.Context, n int) ([]*delivery, time.Duration, error) {
	t := s.topic
	s.turns++
	answer, err := s.b.eval(ctx, eachScript, t.keys(t.record, t.waiting, t.due, t.later), append([]any{n, s.turns % len(t.lanes)}, s.last...)...)
	if err != nil {
		return nil, 0, err
	}
	all, err := list(answer, 3)
	if err != nil {
		return nil, 0, err
	}
	last, err := list(all[1], len(t.lanes))
	if err != nil {
		return nil, 0, err
	}
	got, err := s.deliveries(all[2])
	if err == nil {
		s.last = last
	}
	return got, soon(all[0], s.b.opts.Poll), err
}

func (s *each) leave(context.Context, []settlement, []*delivery) error { return nil }
