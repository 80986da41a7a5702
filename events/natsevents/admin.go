package natsevents

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hanse-go/hanse/events"
	"github.com/hanse-go/hanse/events/driver"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"
)

// Topics implements [events.Admin].
func (b *Broker) Topics(ctx context.Context) (all []events.TopicState, err error) {
	if err := b.use(); err != nil {
		return nil, err
	}
	err = b.patiently(ctx, func(ctx context.Context) error {
		all = nil
		list := b.js.ListStreams(ctx, jetstream.WithStreamListSubject(b.names.system+".events.>"))
		for s := range list.Info() {
			name := s.Config.Metadata[metaTopic]
			if s.Config.Name != b.names.stream(name) {
				continue // not a topic's
			}
			state, err := b.topicState(ctx, name, s)
			if err != nil {
				return err
			}
			all = append(all, state)
		}
		return list.Err()
	})
	slices.SortFunc(all, func(x, y events.TopicState) int { return strings.Compare(x.Name, y.Name) })
	return all, explain(err)
}

func (b *Broker) topicState(ctx context.Context, name string, s *jetstream.StreamInfo) (events.TopicState, error) {
	state := events.TopicState{
		TopicInfo: b.infoOf(name, s.Config), Messages: s.State.Msgs, Bytes: s.State.Bytes, First: s.State.FirstSeq, Last: s.State.LastSeq,
	}
	if s.State.Msgs > 0 {
		state.FirstTime = s.State.FirstTime
	}
	if s.State.LastSeq > 0 {
		state.LastTime = s.State.LastTime
	}
	var err error
	switch since := s.TimeStamp.Add(-time.Minute); {
	case s.State.Msgs == 0 || s.State.LastTime.Before(since):
	case !s.State.FirstTime.Before(since):
		state.LastMinute = s.State.Msgs
	default:
		state.LastMinute, err = b.count(ctx, s.Config.Name, events.Start{Time: since})
	}
	if state.Delayed && err == nil {
		t := b.newTopic(state.TopicInfo)
		state.Waiting, err = b.count(ctx, b.names.later(), events.Start{All: true}, t.later+"*")
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			err = nil
		}
	}
	return state, err
}

// count returns how many messages of a stream there are from a position on, with any of the subjects.
func (b *Broker) count(ctx context.Context, stream string, from events.Start, subjects ...string) (uint64, error) {
	c, forget, err := b.look(ctx, stream, from, subjects...)
	if err != nil {
		return 0, err
	}
	defer forget()
	return c.CachedInfo().NumPending, nil
}

// lookGone is after how long the server forgets a consumer that was made to look at a stream.
const lookGone = 30 * time.Second

// look makes a consumer that changes nothing, and returns a function that ends it.
func (b *Broker) look(ctx context.Context, stream string, from events.Start, subjects ...string) (c jetstream.Consumer, forget func(), err error) {
	config := jetstream.ConsumerConfig{
		Name: "look_" + nuid.Next(), AckPolicy: jetstream.AckNonePolicy, InactiveThreshold: lookGone, MemoryStorage: true, Replicas: 1, FilterSubjects: subjects,
	}
	start(&config, from)
	once, cancel := b.request(ctx)
	defer cancel()
	if c, err = b.js.CreateConsumer(once, stream, config); err != nil {
		return nil, nil, err
	}
	return c, func() {
		once, cancel := b.request(context.WithoutCancel(ctx))
		defer cancel()
		_ = b.js.DeleteConsumer(once, stream, config.Name) // where it fails, the server forgets it
	}, nil
}

// partName matches the consumers of ordered groups.
var partName = regexp.MustCompile(`_p\d+_\d+$`)

// Groups implements [events.Admin].
func (b *Broker) Groups(ctx context.Context, topic string) (all []events.GroupState, err error) {
	t, err := b.topic(ctx, topic)
	if err != nil {
		return nil, err
	}
	err = b.patiently(ctx, func(ctx context.Context) (err error) {
		all, err = b.groups(ctx, t)
		return err
	})
	slices.SortFunc(all, func(x, y events.GroupState) int { return strings.Compare(x.Name, y.Name) })
	return all, explain(err)
}

func (b *Broker) groups(ctx context.Context, t *topic) (all []events.GroupState, err error) {
	s, err := b.js.Stream(ctx, t.stream)
	if err != nil {
		return nil, err
	}
	consumers := make(map[string]*jetstream.ConsumerInfo)
	list := s.ListConsumers(ctx)
	for c := range list.Info() {
		consumers[c.Name] = c
	}
	if err := list.Err(); err != nil {
		return nil, err
	}
	for name, c := range consumers {
		if c.Config.Durable == "" || partName.MatchString(name) {
			continue
		}
		g := events.GroupState{Name: driver.Untoken(name), InFlight: uint64(c.NumAckPending), Lag: c.NumPending + uint64(c.NumAckPending)}
		if g.Lag > 0 {
			if g.Oldest, err = oldest(ctx, s, c.AckFloor.Stream+1, ">"); err != nil {
				return nil, err
			}
		}
		all = append(all, g)
	}
	ordered, err := b.orderedGroups(ctx, t)
	if err != nil {
		return nil, err
	}
	for _, o := range ordered {
		g, err := b.orderedState(ctx, t, s, o, consumers)
		if err != nil {
			return nil, err
		}
		all = append(all, g)
	}
	return all, nil
}

// oldest returns when the first message from a number on was stored that has one of the subjects; zero when there is none.
func oldest(ctx context.Context, s jetstream.Stream, from uint64, subjects ...string) (first time.Time, err error) {
	for _, subject := range subjects {
		m, err := s.GetMsg(ctx, max(from, 1), jetstream.WithGetMsgSubject(subject))
		switch {
		case errors.Is(err, jetstream.ErrMsgNotFound):
		case err != nil:
			return first, err
		case first.IsZero() || m.Time.Before(first):
			first = m.Time
		}
	}
	return first, nil
}

// orderedGroup is the records of a group that keeps the order of keys.
type orderedGroup struct {
	name    string
	start   groupRecord
	parts   [partitions]partRecord
	members []string
}

// orderedGroups reads the records of a topic's ordered groups.
func (b *Broker) orderedGroups(ctx context.Context, t *topic) ([]*orderedGroup, error) {
	kv, err := b.js.KeyValue(ctx, b.names.bucket())
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	w, err := kv.Watch(ctx, groupKey(t, "")+">", jetstream.IgnoreDeletes())
	if err != nil {
		return nil, err
	}
	defer w.Stop()
	groups := make(map[string]*orderedGroup)
	for {
		var e jetstream.KeyValueEntry
		select {
		case e = <-w.Updates():
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		if e == nil { // that was all
			break
		}
		path := strings.Split(e.Key(), ".") // group, topic, group, kind, …
		if len(path) < 4 {
			continue
		}
		name, kind, rest := driver.Untoken(path[2]), path[3], path[4:]
		g := groups[name]
		if g == nil {
			g = &orderedGroup{name: name}
			groups[name] = g
		}
		switch {
		case kind == "start":
			err = json.Unmarshal(e.Value(), &g.start)
		case kind == "part" && len(rest) == 1:
			n, wrong := strconv.Atoi(rest[0])
			if wrong == nil && n >= 0 && n < partitions {
				err = json.Unmarshal(e.Value(), &g.parts[n])
			}
		case kind == "member" && len(rest) == 1 && time.Since(e.Created()) < 2*b.opts.Lease:
			g.members = append(g.members, driver.Untoken(rest[0]))
		}
		if err != nil {
			return nil, fmt.Errorf("the record %s cannot be read: %w", e.Key(), err)
		}
	}
	maps.DeleteFunc(groups, func(_ string, g *orderedGroup) bool { return g.start.Version == 0 })
	return slices.Collect(maps.Values(groups)), nil
}

// orderedState adds up what the partitions of a group have still to do.
func (b *Broker) orderedState(ctx context.Context, t *topic, s jetstream.Stream, g *orderedGroup, consumers map[string]*jetstream.ConsumerInfo) (events.GroupState, error) {
	state := events.GroupState{Name: g.name, Ordered: true, Members: slices.Sorted(slices.Values(g.members))}
	if state.Members == nil {
		state.Members = []string{}
	}
	first := g.start.position()
	for n, p := range g.parts {
		subjects := t.laneSubjects(n)
		var lag uint64
		var err error
		at := p.position
		if p.Epoch == 0 {
			at = first
		}
		if c := consumers[cmp.Or(p.Consumer, "-")]; c != nil {
			lag = c.NumPending + uint64(c.NumAckPending)
			state.InFlight += uint64(c.NumAckPending)
			at.Start = max(at.Start, c.AckFloor.Stream+1)
		} else {
			from := events.Start{Sequence: max(at.Start, at.Max+1), Time: at.StartTime}
			if !from.Time.IsZero() {
				from.Sequence = 0
			}
			if lag, err = b.count(ctx, t.stream, from, subjects...); err != nil {
				return state, err
			}
			lag += uint64(len(at.Unsettled))
		}
		if lag == 0 {
			continue
		}
		state.Lag += lag
		when, err := oldest(ctx, s, at.Start, subjects...)
		if err != nil {
			return state, err
		}
		if !when.IsZero() && (state.Oldest.IsZero() || when.Before(state.Oldest)) {
			state.Oldest = when
		}
	}
	return state, nil
}

// Read implements [events.Admin].
func (b *Broker) Read(ctx context.Context, topic string, from events.Start) iter.Seq2[events.Stored, error] {
	return func(yield func(events.Stored, error) bool) {
		r := &reading{b: b, from: from, yield: yield}
		if err := r.run(ctx, topic); err != nil {
			yield(events.Stored{}, fmt.Errorf("read topic %q: %w", topic, explain(err)))
		}
	}
}

// reading is a run through the messages of a topic.
type reading struct {
	b     *Broker
	topic *topic
	from  events.Start // what comes next
	last  uint64       // number of the last one
	yield func(events.Stored, error) bool
}

func (r *reading) run(ctx context.Context, name string) (err error) {
	if r.topic, err = r.b.topic(ctx, name); err != nil {
		return err
	}
	err = r.b.patiently(ctx, func(ctx context.Context) error {
		s, err := r.b.js.Stream(ctx, r.topic.stream)
		if err == nil {
			r.last = s.CachedInfo().State.LastSeq
		}
		return err
	})
	if err != nil || r.from == (events.Start{}) {
		return err
	}
	for failures := 0; ; failures++ {
		before := r.from
		ended, err := r.pass(ctx)
		switch {
		case ended:
			return nil
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err != nil && !passing(err) && !errors.Is(err, jetstream.ErrConsumerNotFound) && !errors.Is(err, jetstream.ErrConsumerDeleted):
			return err
		}
		if r.from != before {
			failures = 0
		}
		select {
		case <-time.After(driver.RetryDelay(failures + 1)):
		case <-ctx.Done():
		}
	}
}

// readAtOnce is how many messages are asked for at a time.
const readAtOnce = 256

// pass reads on, until the end or until something gets in the way.
func (r *reading) pass(ctx context.Context) (ended bool, err error) {
	c, forget, err := r.b.look(ctx, r.topic.stream, r.from)
	if err != nil {
		return false, err
	}
	defer forget()
	number := uint64(0)
	for pending := c.CachedInfo().NumPending; pending > 0; {
		some, ended, err := r.batch(ctx, c, min(pending, readAtOnce), &number, &pending)
		if ended || err != nil {
			return ended, err
		}
		if some == 0 { // they are gone meanwhile, or the connection is
			return false, errAgain
		}
	}
	return true, nil
}

// batch reads up to n messages that are there.
func (r *reading) batch(ctx context.Context, c jetstream.Consumer, n uint64, number, pending *uint64) (some int, ended bool, err error) {
	once, cancel := r.b.request(ctx)
	defer cancel()
	batch, err := c.Fetch(int(n), jetstream.FetchContext(once))
	if err != nil {
		return 0, false, err
	}
	for m := range batch.Messages() {
		meta, err := m.Metadata()
		if err != nil {
			return some, false, err
		}
		if *number++; meta.Sequence.Consumer != *number {
			return some, false, errAgain // one got lost on its way
		}
		seq := meta.Sequence.Stream
		if seq > r.last {
			return some, true, nil
		}
		if !r.yield(events.Stored{Message: stored(m, meta), Sequence: seq, Time: meta.Timestamp}, nil) || seq == r.last {
			return some, true, nil
		}
		some++
		*pending, r.from = meta.NumPending, events.Start{Sequence: seq + 1}
	}
	if err := batch.Error(); err != nil && some == 0 {
		return 0, false, err
	}
	return some, false, nil
}

// Delete implements [events.Admin].
func (b *Broker) Delete(ctx context.Context, topic string, sequence uint64) error {
	t, err := b.topic(ctx, topic)
	if err != nil {
		return err
	}
	err = b.patiently(ctx, func(ctx context.Context) error {
		s, err := b.js.Stream(ctx, t.stream)
		if err == nil {
			err = s.DeleteMsg(ctx, sequence)
		}
		if errors.Is(err, jetstream.ErrMsgDeleteUnsuccessful) {
			if _, gone := s.GetMsg(ctx, sequence); errors.Is(gone, jetstream.ErrMsgNotFound) {
				return nil
			}
		}
		return err
	})
	return explain(err)
}
