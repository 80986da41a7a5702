package events

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// memoryGroup is what a group has got of a topic. All of it is guarded by the topic's mutex.
type memoryGroup struct {
	topic   *memoryTopic
	name    string
	ordered bool
	next    uint64               // number of the first message that was not looked at
	again   []pending            // that can be delivered again at once, in no order
	delayed map[uint64]time.Time // by number, that are to be delivered again later: when they were stored
	keys    map[string]*memoryKey
	free    []*memoryKey // keys with messages to deliver that no member holds; some may have changed since
	members map[string]*memoryMember
	idle    []*memoryMember // that wait for messages
}

// pending is a message that is to be delivered.
type pending struct {
	memoryEntry
	number   uint64
	attempts int // deliveries so far
}

// memoryKey is a key of which messages are held, or wait for those that are.
type memoryKey struct {
	name    string
	owner   *memoryMember // who holds messages of it; nil when nobody does
	held    int
	waiting []pending // in their order
	listed  bool      // in the owner's list or, without an owner, in the group's
}

// memoryMember is the Source of a member.
type memoryMember struct {
	group       *memoryGroup
	name        string
	ackWait     time.Duration
	maxInFlight int
	first, last *memoryDelivery // held, by the end of their AckWait
	held        int
	mine        []*memoryKey // keys that it owns with messages to deliver; some may have changed since
	timer       *time.Timer  // of the end of an AckWait; nil when nothing is held
	waits       bool
	closed      bool
	wake        chan struct{}
	out         []Delivery
}

type memoryDelivery struct {
	pending
	group    *memoryGroup
	member   *memoryMember // nil when it is settled, or taken away
	key      *memoryKey
	deadline time.Time

	prev, succ *memoryDelivery
}

// Subscribe joins a group.
func (b *Memory) Subscribe(ctx context.Context, s SubscriptionInfo) (Source, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	t, err := b.topic(s.Topic)
	if err != nil {
		return nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	name := s.Group
	if name == "" {
		name = "/" + s.Member
		s.Start = Start{}
	}
	g := t.groups[name]
	if g == nil {
		g = &memoryGroup{topic: t, name: name, ordered: s.Ordered, keys: make(map[string]*memoryKey), members: make(map[string]*memoryMember)}
		g.next = t.start(s.Start)
		t.groups[name] = g
		t.all = append(t.all, g)
	}
	if g.ordered != s.Ordered {
		if g.held() > 0 || len(g.members) > 0 {
			return nil, fmt.Errorf("%w: group %q of topic %q has members that are ordered by key, or not, otherwise than this one: use another group, or change all", ErrDrift, s.Group, s.Topic)
		}
		g.reorder(s.Ordered)
	}
	if g.members[s.Member] != nil {
		return nil, fmt.Errorf("group %q of topic %q has a member %q already", s.Group, s.Topic, s.Member)
	}
	m := &memoryMember{
		group: g, name: s.Member, ackWait: cmp.Or(s.AckWait, defaultAckWait), maxInFlight: cmp.Or(s.MaxInFlight, defaultMaxInFlight),
		wake: make(chan struct{}, 1),
	}
	g.members[s.Member] = m
	return m, nil
}

// start returns the number with which a new group begins.
func (t *memoryTopic) start(s Start) uint64 {
	switch {
	case s.All:
		return t.log.first
	case !s.Time.IsZero():
		return t.log.since(s.Time)
	case s.Sequence > 0:
		return max(s.Sequence, t.log.first)
	}
	return t.log.next
}

func (g *memoryGroup) held() (n int) {
	for _, m := range g.members {
		n += m.held
	}
	return n
}

// reorder changes whether messages come in the order of their keys, while nothing is held.
func (g *memoryGroup) reorder(ordered bool) {
	all := g.again
	for _, k := range g.keys {
		all = append(all, k.waiting...)
	}
	slices.SortFunc(all, func(a, b pending) int { return cmp.Compare(a.number, b.number) })
	g.ordered, g.again, g.free = ordered, nil, nil
	clear(g.keys)
	for _, p := range all {
		g.putBack(p)
	}
}

// putBack has a message delivered again that nobody holds now.
func (g *memoryGroup) putBack(p pending) {
	if !g.ordered || p.message.Key == "" {
		g.again = append(g.again, p)
		return
	}
	k := g.key(p.message.Key)
	at, _ := slices.BinarySearchFunc(k.waiting, p.number, func(p pending, number uint64) int { return cmp.Compare(p.number, number) })
	k.waiting = slices.Insert(k.waiting, at, p)
	g.list(k)
}

func (g *memoryGroup) key(name string) *memoryKey {
	k := g.keys[name]
	if k == nil {
		k = &memoryKey{name: name}
		g.keys[name] = k
	}
	return k
}

// list puts a key with messages to deliver where who may have them finds it.
func (g *memoryGroup) list(k *memoryKey) {
	switch {
	case k.listed || len(k.waiting) == 0:
	case k.owner != nil:
		k.listed = true
		k.owner.mine = append(k.owner.mine, k)
		g.wakeMember(k.owner)
	default:
		k.listed = true
		g.free = append(g.free, k)
		g.wakeOne()
	}
}

// wakeOne wakes a member that waits.
func (g *memoryGroup) wakeOne() {
	for len(g.idle) > 0 {
		m := g.idle[0]
		g.idle = slices.Delete(g.idle, 0, 1)
		if m.waits {
			m.waits = false
			m.wake <- struct{}{}
			return
		}
	}
}

func (g *memoryGroup) wakeMember(m *memoryMember) {
	if m.waits {
		m.waits = false
		g.idle = slices.DeleteFunc(g.idle, func(other *memoryMember) bool { return other == m })
		m.wake <- struct{}{}
	}
}

// Next waits for messages.
func (m *memoryMember) Next(ctx context.Context, limit int) ([]Delivery, error) {
	g, t := m.group, m.group.topic
	for {
		now := time.Now()
		t.mu.Lock()
		if ctx.Err() != nil {
			g.wakeOne() // what this one was woken for is for another
			t.mu.Unlock()
			return nil, context.Cause(ctx)
		}
		if m.closed {
			t.mu.Unlock()
			return nil, ErrClosed
		}
		t.expire(now)
		m.take(limit, now)
		if len(m.out) > 0 {
			if g.more() {
				g.wakeOne()
			}
			t.mu.Unlock()
			return m.out, nil
		}
		m.waits = true
		if m.held < m.maxInFlight { // else it can take nothing before it settles something
			g.idle = append(g.idle, m)
		}
		t.mu.Unlock()
		select {
		case <-m.wake:
		case <-ctx.Done():
			t.mu.Lock()
			g.wakeMember(m)
			t.mu.Unlock()
			<-m.wake
		}
	}
}

// more reports whether there may be something for another member.
func (g *memoryGroup) more() bool {
	return len(g.again) > 0 || len(g.free) > 0 || g.next < g.topic.log.next
}

// take fills m.out with what m may have.
func (m *memoryMember) take(limit int, now time.Time) {
	g, log := m.group, &m.group.topic.log
	clear(m.out)
	m.out = m.out[:0]
	n := min(limit, m.maxInFlight-m.held)
	if n <= 0 {
		return
	}
	var batch []memoryDelivery
	deliver := func(p pending, k *memoryKey) {
		if len(batch) == cap(batch) {
			batch = make([]memoryDelivery, 0, min(n-len(m.out), max(8, int(log.next-g.next)+1)))
		}
		p.attempts++
		batch = append(batch, memoryDelivery{pending: p, group: g, member: m, key: k, deadline: now.Add(m.ackWait)})
		d := &batch[len(batch)-1]
		m.link(d)
		if k != nil {
			k.owner = m
			k.held++
		}
		m.out = append(m.out, d)
	}
	for len(m.out) < n && len(g.again) > 0 {
		deliver(g.again[0], nil)
		g.again[0] = pending{}
		g.again = g.again[1:]
	}
	for len(m.out) < n {
		k := m.nextKey()
		if k == nil {
			break
		}
		for len(m.out) < n && len(k.waiting) > 0 {
			deliver(k.waiting[0], k)
			k.waiting[0] = pending{}
			k.waiting = k.waiting[1:]
		}
		g.list(k)
	}
	g.next = max(g.next, log.first)
	for len(m.out) < n && g.next < log.next {
		p := pending{memoryEntry: *log.get(g.next), number: g.next}
		g.next++
		if p.message == nil {
			continue
		}
		if !g.ordered || p.message.Key == "" {
			deliver(p, nil)
			continue
		}
		k := g.key(p.message.Key)
		if (k.owner == nil || k.owner == m) && len(k.waiting) == 0 {
			deliver(p, k)
			continue
		}
		k.waiting = append(k.waiting, p)
		g.list(k)
	}
	if m.timer == nil && m.held > 0 {
		m.timer = time.AfterFunc(m.ackWait, m.look)
	}
}

// nextKey returns a key of which m may have what waits, nil when there is none.
func (m *memoryMember) nextKey() *memoryKey {
	g := m.group
	for len(m.mine) > 0 {
		k := m.mine[0]
		m.mine = m.mine[1:]
		if k.owner == m && k.listed {
			k.listed = false
			return k
		}
	}
	for len(g.free) > 0 {
		k := g.free[0]
		g.free = g.free[1:]
		if k.owner == nil && k.listed {
			k.listed = false
			return k
		}
	}
	return nil
}

// link adds a delivery to those that are held.
func (m *memoryMember) link(d *memoryDelivery) {
	d.prev, d.succ = m.last, nil
	if m.last == nil {
		m.first = d
	} else {
		m.last.succ = d
	}
	m.last = d
	m.held++
}

func (m *memoryMember) unlink(d *memoryDelivery) {
	if d.prev == nil {
		m.first = d.succ
	} else {
		d.prev.succ = d.succ
	}
	if d.succ == nil {
		m.last = d.prev
	} else {
		d.succ.prev = d.prev
	}
	d.prev, d.succ = nil, nil
	m.held--
}

// end ends a delivery, and frees its key when it was the last one held. Messages of the key that come again were put back before.
func (m *memoryMember) end(d *memoryDelivery) {
	full := m.held >= m.maxInFlight
	m.unlink(d)
	d.member = nil
	if k := d.key; k != nil {
		d.key = nil
		if k.held--; k.held == 0 {
			k.owner, k.listed = nil, false
			if len(k.waiting) == 0 {
				delete(m.group.keys, k.name)
			} else {
				m.group.list(k)
			}
		}
	}
	if full { // there is room again
		m.group.wakeMember(m)
	}
}

// look takes away what m has held for too long without a word.
func (m *memoryMember) look() {
	t := m.group.topic
	t.mu.Lock()
	defer t.mu.Unlock()
	m.timer = nil
	now := time.Now()
	for m.first != nil && !m.first.deadline.After(now) {
		if k := m.first.key; k != nil {
			m.takeBack(func(d *memoryDelivery) bool { return d.key == k }) // for others, all of it or nothing
		} else {
			d := m.first
			m.group.putBack(d.pending)
			m.end(d)
			m.group.wakeOne()
		}
	}
	if m.first != nil {
		m.timer = time.AfterFunc(m.first.deadline.Sub(now), m.look)
	}
}

// takeBack has deliveries made again, to whoever comes.
func (m *memoryMember) takeBack(which func(*memoryDelivery) bool) {
	for d := m.first; d != nil; {
		next := d.succ
		if which(d) {
			m.group.putBack(d.pending)
			m.end(d)
			m.group.wakeOne()
		}
		d = next
	}
}

// Close leaves the group.
func (m *memoryMember) Close(context.Context) error {
	g := m.group
	t := g.topic
	t.mu.Lock()
	defer t.mu.Unlock()
	if m.closed {
		return nil
	}
	m.closed = true
	delete(g.members, m.name)
	if g.name[0] == '/' {
		delete(t.groups, g.name)
		t.all = slices.DeleteFunc(t.all, func(other *memoryGroup) bool { return other == g })
	}
	m.takeBack(func(*memoryDelivery) bool { return true })
	if m.timer != nil {
		m.timer.Stop()
		m.timer = nil
	}
	g.wakeMember(m)
	return nil
}

var errNotHeld = errors.New("the event is not held by this member any more")

func (d *memoryDelivery) Message() *Message     { return d.message }
func (d *memoryDelivery) Attempt() int          { return d.attempts }
func (d *memoryDelivery) Sequence() uint64      { return d.number }
func (d *memoryDelivery) Lost() <-chan struct{} { return nil }

// settled ends the delivery, after something else was done with the lock held.
func (d *memoryDelivery) settled(before func()) error {
	mu := &d.group.topic.mu
	mu.Lock()
	defer mu.Unlock()
	if d.member == nil {
		return errNotHeld
	}
	if before != nil {
		before()
	}
	d.member.end(d)
	return nil
}

func (d *memoryDelivery) Ack(context.Context) error { return d.settled(nil) }

func (d *memoryDelivery) Retry(_ context.Context, after time.Duration) error {
	return d.settled(func() {
		g, p := d.group, d.pending
		if after <= 0 || d.key != nil {
			g.putBack(p)
			g.wakeOne()
			return
		}
		if g.delayed == nil {
			g.delayed = make(map[uint64]time.Time)
		}
		g.delayed[p.number] = p.at
		time.AfterFunc(after, func() {
			g.topic.mu.Lock()
			defer g.topic.mu.Unlock()
			delete(g.delayed, p.number)
			g.putBack(p)
			g.wakeOne()
		})
	})
}

func (d *memoryDelivery) Extend(context.Context) error {
	mu := &d.group.topic.mu
	mu.Lock()
	defer mu.Unlock()
	if d.member != nil {
		m := d.member
		m.unlink(d)
		d.deadline = time.Now().Add(m.ackWait)
		m.link(d)
	}
	return nil
}
