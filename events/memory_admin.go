package events

import (
	"context"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"
)

// Topics implements [Admin].
func (b *Memory) Topics(context.Context) ([]TopicState, error) {
	var all []TopicState
	for _, t := range b.topics.Range {
		all = append(all, t.(*memoryTopic).state(time.Now()))
	}
	slices.SortFunc(all, func(x, y TopicState) int { return strings.Compare(x.Name, y.Name) })
	return all, nil
}

func (t *memoryTopic) state(now time.Time) TopicState {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.expire(now)
	s := TopicState{
		TopicInfo: t.info, Messages: t.log.count, Bytes: uint64(t.log.bytes), Waiting: uint64(len(t.later)),
		First: t.log.first, Last: t.log.next - 1, LastTime: t.last,
		LastMinute: t.log.countFrom(t.log.since(now.Add(-time.Minute))),
	}
	if t.log.len() > 0 {
		s.FirstTime = t.log.get(t.log.first).at
	}
	return s
}

// Groups implements [Admin].
func (b *Memory) Groups(_ context.Context, topic string) ([]GroupState, error) {
	t, err := b.topic(topic)
	if err != nil {
		return nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.expire(time.Now())
	var all []GroupState
	for _, g := range t.all {
		if g.name[0] != '/' { // that of a single member
			all = append(all, g.state())
		}
	}
	slices.SortFunc(all, func(x, y GroupState) int { return strings.Compare(x.Name, y.Name) })
	return all, nil
}

func (g *memoryGroup) state() GroupState {
	log := &g.topic.log
	s := GroupState{Name: g.name, Ordered: g.ordered, InFlight: uint64(g.held()), Members: slices.Sorted(maps.Keys(g.members))}
	oldest := func(at time.Time) {
		if s.Oldest.IsZero() || at.Before(s.Oldest) {
			s.Oldest = at
		}
	}
	next := max(g.next, log.first)
	s.Lag = s.InFlight + uint64(len(g.again)+len(g.delayed)) + log.countFrom(next)
	for n := next; n < log.next; n++ {
		if e := log.get(n); e.message != nil {
			oldest(e.at)
			break
		}
	}
	for _, p := range g.again {
		oldest(p.at)
	}
	for _, at := range g.delayed {
		oldest(at)
	}
	for _, k := range g.keys {
		s.Lag += uint64(len(k.waiting))
		if len(k.waiting) > 0 {
			oldest(k.waiting[0].at)
		}
	}
	for _, m := range g.members {
		for d := m.first; d != nil; d = d.succ {
			oldest(d.at)
		}
	}
	return s
}

// readAtOnce is how many messages are read before others get the lock.
const readAtOnce = 256

// Read implements [Admin].
func (b *Memory) Read(ctx context.Context, topic string, from Start) iter.Seq2[Stored, error] {
	return func(yield func(Stored, error) bool) {
		t, err := b.topic(topic)
		if err != nil {
			yield(Stored{}, err)
			return
		}
		t.mu.Lock()
		t.expire(time.Now())
		next, end := t.start(from), t.log.next
		t.mu.Unlock()
		for next < end {
			if ctx.Err() != nil {
				yield(Stored{}, context.Cause(ctx))
				return
			}
			var some []Stored
			t.mu.Lock()
			t.expire(time.Now())
			for next = max(next, t.log.first); next < end && len(some) < readAtOnce; next++ {
				if e := t.log.get(next); e.message != nil {
					some = append(some, Stored{Message: e.message, Sequence: next, Time: e.at})
				}
			}
			t.mu.Unlock()
			for _, s := range some {
				if !yield(s, nil) {
					return
				}
			}
		}
	}
}

// Delete implements [Admin].
func (b *Memory) Delete(_ context.Context, topic string, sequence uint64) error {
	t, err := b.topic(topic)
	if err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if sequence >= t.log.first && sequence < t.log.next && t.log.get(sequence).message != nil {
		t.log.remove(sequence)
	}
	return nil
}
