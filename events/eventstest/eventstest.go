// Package eventstest is the suite that every broker of events passes.
//
// A driver's test is one call:
//
//	func TestBroker(t *testing.T) {
//		eventstest.Run(t, eventstest.Suite{New: func(t *testing.T) events.Broker { return newBroker(t) }})
//	}
//
// What a broker does not promise is said by a field of [Suite].
package eventstest

import (
	"cmp"
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hanse-go/hanse/events"
)

// Suite says how a broker is reached, and what it does not promise. With New alone it promises everything.
type Suite struct {
	// New returns a fresh and empty broker. It is called once in each case.
	New func(t *testing.T) events.Broker

	// Peer returns another handle of a broker, as another process has it. Nil: all use the same one.
	Peer func(t *testing.T, b events.Broker) events.Broker

	// Virtual runs the cases in bubbles of testing/synctest: for brokers that wait for nothing outside of the process.
	Virtual bool

	// AckWait is what the cases wait for when a member is gone; at least 1 s. Default: 2 s.
	AckWait time.Duration

	// Timeout is how long a case waits for what must happen. Default: 30 s.
	Timeout time.Duration

	// Events is how many events are published in the cases with load. Default: 2000.
	Events int

	NoDedup      bool // a second message of the same ID is stored
	NoDelay      bool // Message.Due is refused
	NoLimits     bool // MaxMessages is not held
	NoDropOldest bool // Limits.DropOldest is refused
	NoMaxSize    bool // MaxSize is not held
	NoReplay     bool // a new group gets what is published from then on, and any other start of it is refused
	NoTime       bool // a group cannot begin with a time
	NoSequence   bool // messages have no numbers, and a group cannot begin with one
	NoHandOver   bool // what a member holds when it closes is delivered again after AckWait only
	NoAttempts   bool // deliveries of other members are not counted
}

// Run tests a broker.
func Run(t *testing.T, s Suite) {
	s.AckWait = cmp.Or(s.AckWait, 2*time.Second)
	s.Timeout = cmp.Or(s.Timeout, 30*time.Second)
	s.Events = cmp.Or(s.Events, 2000)
	for _, c := range []struct {
		name string
		test func(*env)
		skip bool
	}{
		{"Declare", (*env).declareAgain, false},
		{"Undeclared", (*env).undeclared, false},
		{"Attributes", (*env).attributes, false},
		{"Share", (*env).share, false},
		{"Groups", (*env).groups, false},
		{"Each", (*env).each, false},
		{"GroupGoesOn", (*env).groupGoesOn, false},
		{"StartAll", (*env).startAll, s.NoReplay},
		{"StartTime", (*env).startTime, s.NoReplay || s.NoTime},
		{"StartSequence", (*env).startSequence, s.NoReplay || s.NoSequence},
		{"StartRefused", (*env).startRefused, !s.NoReplay},
		{"MaxInFlight", (*env).maxInFlight, false},
		{"Retry", (*env).retry, false},
		{"MemberGone", (*env).memberGone, false},
		{"Extend", (*env).extend, false},
		{"ExtendOne", (*env).extendOne, false},
		{"HandOver", (*env).handOver, s.NoHandOver},
		{"AckThenClose", (*env).ackThenClose, false},
		{"NextEnds", (*env).nextEnds, false},
		{"PublishEnds", (*env).publishEnds, false},
		{"Dedup", (*env).dedup, s.NoDedup},
		{"Due", (*env).due, s.NoDelay},
		{"Full", (*env).full, s.NoLimits},
		{"DropOldest", (*env).dropOldest, s.NoLimits || s.NoDropOldest},
		{"TooLarge", (*env).tooLarge, s.NoMaxSize},
		{"KeyOrder", (*env).keyOrder, false},
		{"KeyHeld", (*env).keyHeld, false},
		{"KeyMemberGone", (*env).keyMemberGone, false},
		{"Schema", (*env).schema, false},
		{"Typed", (*env).typed, false},
		{"Poison", (*env).poison, false},
		{"PoisonKey", (*env).poisonKey, false},
		{"Scale", (*env).scale, false},
		{"Crash", (*env).crash, false},
		{"Drain", (*env).drain, false},
		{"Redelivery", (*env).redelivery, false},
		{"AdminTopics", (*env).adminTopics, false},
		{"AdminGroups", (*env).adminGroups, false},
		{"AdminOrderedGroups", (*env).adminOrderedGroups, false},
		{"AdminRead", (*env).adminRead, s.NoSequence},
		{"AdminDelete", (*env).adminDelete, s.NoSequence},
		{"AdminReplay", (*env).adminReplay, s.NoSequence},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.skip {
				t.Skip("the broker does not promise this")
			}
			if s.Virtual {
				synctest.Test(t, func(t *testing.T) { c.test(newEnv(t, s)) })
				return
			}
			c.test(newEnv(t, s))
		})
	}
}

// env is what a case works with.
type env struct {
	*testing.T
	Suite
	ctx    context.Context // of the case: ends at its timeout
	broker events.Broker
	names  int
}

func newEnv(t *testing.T, s Suite) *env {
	ctx, cancel := context.WithTimeoutCause(t.Context(), s.Timeout, fmt.Errorf("this did not happen within %v", s.Timeout))
	t.Cleanup(cancel)
	return &env{T: t, Suite: s, ctx: ctx, broker: s.New(t)}
}

// peer returns a broker as another process has it.
func (e *env) peer() events.Broker {
	if e.Peer == nil {
		return e.broker
	}
	return e.Peer(e.T, e.broker)
}

// declare makes a topic with one of its own names.
func (e *env) declare(info events.TopicInfo) string {
	e.Helper()
	info.Name = cmp.Or(info.Name, "orders.placed")
	info.Limits = info.Limits.WithDefaults()
	if err := e.broker.Declare(e.ctx, info); err != nil {
		e.Fatalf("Declare: %v", err)
	}
	return info.Name
}

// message returns a message with an ID.
func message(id, key string) *events.Message {
	return &events.Message{
		ID: id, Source: "hanse:///test", Type: "google.protobuf.StringValue", Time: time.Now(), ContentType: "application/protobuf",
		Key: key, Data: []byte("data of " + id),
	}
}

// send publishes without waiting, and returns what says whether it is stored.
func (e *env) send(topic string, m *events.Message) <-chan error {
	done := make(chan error, 1)
	e.broker.Publish(e.ctx, topic, m, func(err error) { done <- err })
	return done
}

// publish publishes messages one after the other.
func (e *env) publish(topic string, ids ...string) {
	e.Helper()
	for _, id := range ids {
		if err := <-e.send(topic, message(id, "")); err != nil {
			e.Fatalf("publish %s: %v", id, err)
		}
	}
}

// publishKey publishes messages of a key, at once and in order.
func (e *env) publishKey(topic, key string, ids ...string) {
	e.Helper()
	var all []<-chan error
	for _, id := range ids {
		all = append(all, e.send(topic, message(id, key)))
	}
	for i, done := range all {
		if err := <-done; err != nil {
			e.Fatalf("publish %s: %v", ids[i], err)
		}
	}
}

// early joins a new group that is to get all of a topic of which nothing was published yet, as far as the broker can have that begin later: then
// the group is joined by the function that it returns, else it is joined at once.
func (e *env) early(s events.SubscriptionInfo) func() *member {
	e.Helper()
	if e.NoReplay {
		m := e.member(s)
		return func() *member { return m }
	}
	s.Start.All = true
	return func() *member { return e.member(s) }
}

// member joins a group, with the broker of another process.
func (e *env) member(s events.SubscriptionInfo) *member {
	e.Helper()
	e.names++
	s.Topic = cmp.Or(s.Topic, "orders.placed")
	s.Member = cmp.Or(s.Member, fmt.Sprint("member-", e.names))
	s.AckWait = cmp.Or(s.AckWait, e.AckWait)
	s.MaxInFlight = cmp.Or(s.MaxInFlight, 100)
	src, err := e.peer().Subscribe(e.ctx, s)
	if err != nil {
		e.Fatalf("Subscribe: %v", err)
	}
	m := &member{e: e, src: src, name: s.Member}
	e.Cleanup(func() {
		if !m.gone {
			src.Close(context.WithoutCancel(e.ctx))
		}
	})
	return m
}

// member is a member of a group.
type member struct {
	e    *env
	src  events.Source
	name string
	gone bool
}

// next waits for n messages.
func (m *member) next(n int) (all []events.Delivery) {
	m.e.Helper()
	for len(all) < n {
		some, err := m.src.Next(m.e.ctx, n-len(all))
		if err != nil {
			m.e.Fatalf("%s: Next: %v, after %v of %d messages", m.name, err, ids(all), n)
		}
		if len(some) == 0 || len(some) > n-len(all) {
			m.e.Fatalf("%s: Next(%d) returned %d messages", m.name, n-len(all), len(some))
		}
		all = append(all, some...)
	}
	return all
}

// none holds that no message comes for a while.
func (m *member) none(d time.Duration) {
	m.e.Helper()
	ctx, cancel := context.WithTimeout(m.e.ctx, d)
	defer cancel()
	some, err := m.src.Next(ctx, 1)
	if len(some) > 0 {
		m.e.Errorf("%s: there is %v, and nothing should be", m.name, ids(some))
	} else if ctx.Err() == nil {
		m.e.Errorf("%s: Next: %v", m.name, err)
	}
}

// crash ends the member as the end of its process does: nobody closes it. Its source must not be used any more.
func (m *member) crash() { m.gone = true }

func (m *member) close() {
	m.e.Helper()
	m.gone = true
	if err := m.src.Close(m.e.ctx); err != nil {
		m.e.Errorf("%s: Close: %v", m.name, err)
	}
}

func (e *env) ack(all ...events.Delivery) {
	e.Helper()
	for _, d := range all {
		if err := d.Ack(e.ctx); err != nil {
			e.Errorf("Ack of %s: %v", d.Message().ID, err)
		}
	}
}

func ids(all []events.Delivery) (ids []string) {
	for _, d := range all {
		ids = append(ids, d.Message().ID)
	}
	return ids
}

// wait returns after d.
func (e *env) wait(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-e.ctx.Done():
		e.Fatal(context.Cause(e.ctx))
	}
}

// a little is long enough for what is at once, and short to wait for.
const aLittle = 300 * time.Millisecond
