package redisevents

import (
	"context"
	"fmt"
	"time"

	"github.com/hanse-go/hanse/events"
)

// shared is a member of a group without an order.
type shared struct {
	*member
	group group
	turns int // which lane is asked first

	held map[*delivery]struct{} // what was handed out and not settled; the lock of the member guards it
}

func (b *Broker) subscribeShared(ctx context.Context, t *topic, info events.SubscriptionInfo) (events.Source, error) {
	s := &shared{member: b.newMember(t, info), group: t.group(info.Group), held: make(map[*delivery]struct{})}
	if err := b.join(ctx, t, s.group, "shared", info.Start); err != nil {
		return nil, err
	}
	if err := s.start(s); err != nil {
		return nil, err
	}
	return s, nil
}

// place is what scripts are told of where to begin.
func place(start events.Start) (from string, value int64) {
	switch {
	case start.All:
		return "all", 0
	case !start.Time.IsZero():
		return "time", start.Time.UnixMilli()
	case start.Sequence > 0:
		return "sequence", int64(start.Sequence)
	}
	return "new", 0
}

// join makes a group, or finds it.
func (b *Broker) join(ctx context.Context, t *topic, g group, mode string, start events.Start) error {
	from, value := place(start)
	err := b.patiently(ctx, func(ctx context.Context) error {
		if err := b.link.note(time.Now(), b.client.SAdd(ctx, t.groups(), g.name).Err()); err != nil {
			return err
		}
		is, err := b.eval(ctx, joinScript, t.keys(t.record, t.waiting, g.record), len(t.lanes), g.name, mode, from, value)
		switch {
		case err == nil && is != mode:
			return fmt.Errorf("%w: the group %q of the topic %s is %v, and this member wants it %s: subscribe it in that way, or by another name", events.ErrDrift, g.name, t.info.Name, is, mode)
		case isGone(err):
			if err := b.restore(ctx, t); err != nil {
				return err
			}
			return errAgain
		}
		return err
	})
	return explain(err)
}

func (s *shared) free(*delivery) bool { return true }
func (s *shared) hand(*delivery)      {}
func (s *shared) settle(d *delivery)  { delete(s.held, d) }

func (s *shared) turn(ctx context.Context, settled []settlement, n int) (time.Duration, error) {
	if err := s.tell(ctx, settled); err != nil {
		return 0, err
	}
	wait := s.b.opts.Poll
	if n == 0 {
		return wait, nil
	}
	t := s.topic
	s.turns++
	answer, err := s.b.eval(ctx, sharedScript, t.keys(t.record, t.waiting, t.due, t.later, s.group.held),
		len(t.lanes), s.group.name, n, s.info.AckWait.Milliseconds(), s.turns%len(t.lanes))
	if err != nil {
		return 0, err
	}
	all, err := list(answer, 2)
	if err != nil {
		return 0, err
	}
	got, err := s.deliveries(all[1])
	if err != nil {
		return 0, err
	}
	s.mu.Lock()
	for _, d := range got {
		s.held[d] = struct{}{}
	}
	s.mu.Unlock()
	s.take(got)
	return soon(all[0], wait), nil
}

// soon takes what a script says of when there is something to do.
func soon(answer any, most time.Duration) time.Duration {
	if ms, ok := answer.(int64); ok && ms >= 0 {
		return min(most, time.Duration(ms+1)*time.Millisecond)
	}
	return most
}

// tell settles deliveries.
func (s *shared) tell(ctx context.Context, settled []settlement) error {
	if len(settled) == 0 {
		return nil
	}
	args := []any{len(s.topic.lanes), s.group.name}
	for _, x := range settled {
		wait := x.wait
		if x.what == "extend" {
			wait = s.info.AckWait
		}
		args = append(args, x.what, x.d.lane, x.d.id, x.d.attempt, wait.Milliseconds())
	}
	_, err := s.b.eval(ctx, settleScript, s.topic.keys(s.topic.record, s.topic.waiting, s.group.held), args...)
	return err
}

func (s *shared) leave(ctx context.Context, settled []settlement, came []*delivery) error {
	for _, d := range came {
		delete(s.held, d)
		settled = append(settled, settlement{d, "back", 0})
	}
	s.mu.Lock()
	for d := range s.held {
		d.over = true
		settled = append(settled, settlement{d, "retry", 0})
	}
	clear(s.held)
	s.mu.Unlock()
	for len(settled) > 0 {
		n := min(len(settled), mostSettled)
		if err := s.tell(ctx, settled[:n]); err != nil {
			return err
		}
		settled = settled[n:]
	}
	return nil
}
