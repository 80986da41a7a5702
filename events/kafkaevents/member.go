package kafkaevents

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hanse-go/hanse/events"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

// member is a member of a group, or one that gets all events for itself. It consumes through a session, and without one while nobody asks
// for events: others have its partitions then.
type member struct {
	b     *Broker
	t     *topic
	info  events.SubscriptionInfo
	group string // on Kafka, "" for one that gets all events

	wake    chan struct{} // for Next
	closing sync.Once
	starts  map[int32]int64 // of one that gets all events: where it begins

	mu     sync.Mutex
	s      *session
	held   int
	waits  bool      // Next does
	wanted bool      // Next was called
	active time.Time // when something was last heard of who handles the events
	err    error     // why there are no more events
	out    []events.Delivery
}

func newMember(b *Broker, t *topic, info events.SubscriptionInfo) *member {
	m := &member{b: b, t: t, info: info, wake: make(chan struct{}, 1), active: time.Now()}
	if info.Group != "" {
		m.group = b.opts.GroupName(t.info.Name, info.Group)
	}
	return m
}

// prepare decides where the events begin: for a new group in the cluster, so that it is the same for all members.
//
// Several members may do that for a group at the same time, and the last one wins. Each looked for the end of the topic before it saw that there
// is no group yet, so that end is before all events that are published after another one has returned.
func (m *member) prepare(ctx context.Context, a *kadm.Client) error {
	if m.group == "" {
		ends, err := listed(a.ListEndOffsets(ctx, m.t.name))
		if err != nil {
			return err
		}
		m.starts = make(map[int32]int64)
		for n, o := range ends[m.t.name] {
			m.starts[n] = o.Offset
		}
		return nil
	}
	if there, err := m.begun(ctx, a); err != nil || there {
		return err
	}
	var starts kadm.ListedOffsets
	var err error
	switch start := m.info.Start; {
	case start.All:
		starts, err = listed(a.ListStartOffsets(ctx, m.t.name))
	case !start.Time.IsZero():
		starts, err = listed(a.ListOffsetsAfterMilli(ctx, start.Time.UnixMilli(), m.t.name))
	default:
		starts, err = listed(a.ListEndOffsets(ctx, m.t.name))
	}
	if err != nil {
		return err
	}
	if there, err := m.begun(ctx, a); err != nil || there {
		return err
	}
	var at kadm.Offsets
	for n, o := range starts[m.t.name] {
		at.AddOffset(m.t.name, n, o.Offset, o.LeaderEpoch)
	}
	answers, err := a.CommitOffsets(ctx, m.group, at)
	if err == nil {
		err = answers.Error()
	}
	if errors.Is(err, kerr.UnknownMemberID) || errors.Is(err, kerr.IllegalGeneration) {
		return fmt.Errorf("%w: the group has members already", errAgain)
	}
	return m.denied(err)
}

// begun says whether the group has a position in the topic.
func (m *member) begun(ctx context.Context, a *kadm.Client) (bool, error) {
	all, err := a.FetchOffsets(ctx, m.group)
	if errors.Is(err, kerr.GroupIDNotFound) {
		return false, nil
	}
	if err != nil {
		return false, m.denied(err)
	}
	begun := false
	all.Each(func(o kadm.OffsetResponse) {
		if o.Topic == m.t.name {
			begun = begun || o.At >= 0
			err = errors.Join(err, o.Err)
		}
	})
	return begun, m.denied(err)
}

// denied says what can be done about an answer.
func (m *member) denied(err error) error {
	if errors.Is(err, kerr.GroupAuthorizationFailed) || errors.Is(err, kerr.TopicAuthorizationFailed) {
		return fmt.Errorf("group %s of topic %s: %w: let this user read both", m.group, m.t.name, err)
	}
	return err
}

// settleTime is how long Subscribe waits at most until the member has its share of the partitions; it may have none when there are many members.
const settleTime = 5 * time.Second

// join begins to consume.
func (m *member) join(ctx context.Context) error {
	m.b.mu.Lock()
	if m.b.closed {
		m.b.mu.Unlock()
		return errClosed
	}
	m.b.members[m] = struct{}{}
	m.b.mu.Unlock()
	m.mu.Lock()
	s, err := m.begin()
	m.mu.Unlock()
	if err != nil {
		m.forget()
		return err
	}
	timer := time.NewTimer(settleTime)
	defer timer.Stop()
	select {
	case <-s.joined:
	case <-timer.C:
	case <-ctx.Done(): // it goes on joining
	}
	return nil
}

func (m *member) forget() {
	m.b.mu.Lock()
	defer m.b.mu.Unlock()
	delete(m.b.members, m)
}

// begin makes a session. The caller holds m.mu.
func (m *member) begin() (*session, error) {
	s, err := newSession(m)
	if err != nil {
		return nil, err
	}
	m.s, m.active = s, time.Now()
	s.start()
	return s, nil
}

// Next implements [events.Source].
func (m *member) Next(ctx context.Context, limit int) ([]events.Delivery, error) {
	for {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		m.mu.Lock()
		m.wanted, m.active = true, time.Now()
		if m.err == nil && m.s == nil {
			_, m.err = m.begin()
		}
		if m.err != nil {
			defer m.mu.Unlock()
			return nil, m.err
		}
		m.out = m.s.pop(m.out[:0], min(limit, m.info.MaxInFlight-m.held))
		m.waits = len(m.out) == 0
		m.mu.Unlock()
		if len(m.out) > 0 {
			return m.out, nil
		}
		select {
		case <-m.wake:
		case <-ctx.Done():
		}
		m.mu.Lock()
		m.waits, m.active = false, time.Now()
		m.mu.Unlock()
	}
}

// Close implements [events.Source]. A second call has no effect.
func (m *member) Close(ctx context.Context) (err error) {
	m.closing.Do(func() {
		m.mu.Lock()
		s := m.s
		m.s = nil
		if m.err == nil {
			m.err = events.ErrClosed
		}
		if s != nil {
			s.closing = true
			signal(s.idle)
		}
		signal(m.wake)
		m.mu.Unlock()
		if s != nil {
			err = s.end(ctx)
		}
		m.forget()
	})
	return err
}

// rest gives the partitions to others, until Next is called again. The caller holds m.mu.
func (m *member) rest(s *session) {
	if m.s != s || s.closing {
		return
	}
	m.s = nil
	s.closing = true
	signal(s.idle)
	signal(m.wake)
	m.b.opts.Logger.Warn("events: nothing is heard of who handles the events; others get them", "topic", m.info.Topic, "group", m.info.Group)
	m.b.routines.Go(func() {
		ctx, cancel := context.WithTimeout(m.b.work, leaveTimeout)
		defer cancel()
		if err := s.end(ctx); err != nil {
			m.b.opts.Logger.Warn("events: cannot leave the group", "group", m.group, "error", err)
		}
	})
}

// fail ends the source with an error. The caller holds m.mu.
func (m *member) fail(err error) {
	if m.err == nil {
		m.err = err
	}
	signal(m.wake)
}
