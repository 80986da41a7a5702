package redisevents

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/hanse-go/hanse/events"
)

// Topics implements [events.Admin].
func (b *Broker) Topics(ctx context.Context) ([]events.TopicState, error) {
	names, err := b.names(ctx, b.topicsKey())
	if err != nil {
		return nil, err
	}
	var all []events.TopicState
	for _, name := range names {
		t := newTopic(b.system, events.TopicInfo{Name: name})
		r, err := b.load(ctx, t)
		if err != nil {
			return nil, explain(err)
		}
		if r.revision == 0 {
			continue // it was deleted
		}
		r.Name = name
		t = newTopic(b.system, r.TopicInfo)
		n, _, err := b.numbers(ctx, stateScript, t.keys(t.record, t.waiting, t.due), 8)
		if err != nil {
			return nil, err
		}
		all = append(all, events.TopicState{
			TopicInfo: r.TopicInfo, Messages: uint64(n[0]), Waiting: uint64(n[1]), Bytes: uint64(n[2]), First: uint64(n[3]), Last: uint64(n[4]),
			FirstTime: stamp(n[5]), LastTime: stamp(n[6]), LastMinute: uint64(n[7]),
		})
	}
	return all, nil
}

// names returns a set of names, in order.
func (b *Broker) names(ctx context.Context, key string) ([]string, error) {
	if err := b.use(); err != nil {
		return nil, err
	}
	begun := time.Now()
	names, err := b.client.SMembers(ctx, key).Result()
	if err = b.link.note(begun, err); err != nil {
		return nil, explain(err)
	}
	slices.Sort(names)
	return names, nil
}

// numbers runs a script whose answer is a list of at least so many, and returns it, and as numbers.
func (b *Broker) numbers(ctx context.Context, s *script, keys []string, n int, args ...any) (numbers []int64, all []any, err error) {
	answer, err := b.eval(ctx, s, keys, args...)
	if err == nil {
		all, err = list(answer, n)
	}
	if err != nil {
		return nil, nil, explain(err)
	}
	for _, v := range all {
		number, _ := v.(int64)
		numbers = append(numbers, number)
	}
	return numbers, all, nil
}

func stamp(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// Groups implements [events.Admin]. It knows the members of ordered groups. What was given back for later counts as in flight.
func (b *Broker) Groups(ctx context.Context, topic string) ([]events.GroupState, error) {
	t, err := b.topic(ctx, topic)
	if err != nil {
		return nil, err
	}
	names, err := b.names(ctx, t.groups())
	if err != nil {
		return nil, err
	}
	var groups []events.GroupState
	for _, name := range names {
		g := t.group(name)
		n, all, err := b.numbers(ctx, groupScript, t.keys(t.record, t.waiting, g.record, g.members, g.parts, g.held), 5, name)
		if err != nil {
			return nil, err
		}
		if all[0] == "" {
			continue // it was deleted
		}
		s := events.GroupState{Name: name, Ordered: all[0] == "ordered", Lag: uint64(n[1]), InFlight: uint64(n[2]), Oldest: stamp(n[3])}
		members, _ := all[4].([]any)
		for _, m := range members {
			member, _ := m.(string)
			if i := strings.LastIndexByte(member, '/'); i >= 0 {
				member = member[:i]
			}
			s.Members = append(s.Members, member)
		}
		slices.Sort(s.Members)
		groups = append(groups, s)
	}
	return groups, nil
}

// readAtOnce is how many events of a lane are read in one go.
const readAtOnce = 100

// reading is how far a lane was read.
type reading struct {
	stream   string
	next, to string // IDs: after which to go on, and the last
	came     []events.Stored
	done     bool
}

// Read implements [events.Admin].
func (b *Broker) Read(ctx context.Context, topic string, from events.Start) iter.Seq2[events.Stored, error] {
	return func(yield func(events.Stored, error) bool) {
		t, err := b.topic(ctx, topic)
		if err != nil {
			yield(events.Stored{}, err)
			return
		}
		kind, value := place(from)
		_, places, err := b.numbers(ctx, findScript, t.keys(t.record, t.waiting), 2*len(t.lanes), kind, value)
		if err != nil {
			yield(events.Stored{}, err)
			return
		}
		lanes := make([]*reading, len(t.lanes))
		for i, stream := range t.lanes {
			next, _ := places[2*i].(string)
			to, _ := places[2*i+1].(string)
			lanes[i] = &reading{stream: stream, next: next, to: to}
		}
		for {
			var first *reading
			for _, l := range lanes {
				if err := b.read(ctx, l); err != nil {
					yield(events.Stored{}, err)
					return
				}
				if len(l.came) > 0 && (first == nil || before(l.came[0], first.came[0])) {
					first = l
				}
			}
			if first == nil || !yield(first.came[0], nil) {
				return
			}
			first.came = first.came[1:]
		}
	}
}

// before says which of two events was stored first. One without a number is placed by its time alone.
func before(a, b events.Stored) bool {
	if a.Sequence == 0 || b.Sequence == 0 || a.Sequence == b.Sequence {
		return a.Time.Before(b.Time)
	}
	return a.Sequence < b.Sequence
}

// read has a lane have something, or be done.
func (b *Broker) read(ctx context.Context, l *reading) error {
	if len(l.came) > 0 || l.done {
		return nil
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	begun := time.Now()
	answer, err := b.client.Do(ctx, "xrange", l.stream, "("+l.next, l.to, "count", readAtOnce).Result()
	if err = b.link.note(begun, err); err != nil {
		return explain(err)
	}
	entries, err := list(answer, 0)
	if err != nil {
		return err
	}
	l.done = len(entries) < readAtOnce
	for _, e := range entries {
		of, err := list(e, 2)
		if err != nil {
			return err
		}
		id, _ := of[0].(string)
		fields, err := list(of[1], 0)
		if err != nil {
			return fmt.Errorf("entry %s: %w", id, err)
		}
		m, sequence := message(l.stream, id, fields)
		l.came = append(l.came, events.Stored{Message: m, Sequence: sequence, Time: stamp(milliseconds(id))})
		l.next = id
	}
	return nil
}

// Delete implements [events.Admin].
func (b *Broker) Delete(ctx context.Context, topic string, sequence uint64) error {
	t, err := b.topic(ctx, topic)
	if err != nil {
		return err
	}
	_, err = b.eval(ctx, deleteScript, t.keys(t.record, t.waiting), sequence)
	return explain(err)
}
