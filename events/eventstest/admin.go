package eventstest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hanse-go/hanse/events"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// admin returns a handle of the broker for people, as another process has it.
func (e *env) admin() events.Admin {
	e.Helper()
	a, ok := e.peer().(events.Admin)
	if !ok {
		e.Skip("the broker is no events.Admin")
	}
	return a
}

// read returns what a topic has from a position on.
func (e *env) read(a events.Admin, topic string, from events.Start) (all []events.Stored) {
	e.Helper()
	for s, err := range a.Read(e.ctx, topic, from) {
		if err != nil {
			e.Fatalf("Read: %v, after %v", err, storedIDs(all))
		}
		all = append(all, s)
	}
	return all
}

func storedIDs(all []events.Stored) (ids []string) {
	for _, s := range all {
		ids = append(ids, s.Message.ID)
	}
	return ids
}

// topicState returns what the broker says of a topic.
func (e *env) topicState(a events.Admin, name string) events.TopicState {
	e.Helper()
	all, err := a.Topics(e.ctx)
	if err != nil {
		e.Fatalf("Topics: %v", err)
	}
	i := slices.IndexFunc(all, func(s events.TopicState) bool { return s.Name == name })
	if i < 0 {
		e.Fatalf("the topic %s is not among %v", name, all)
	}
	return all[i]
}

// groupBecomes waits until the broker says of a group what is wanted; some of it is known after a moment only.
func (e *env) groupBecomes(a events.Admin, topic, group, what string, ok func(events.GroupState) bool) {
	e.Helper()
	for {
		all, err := a.Groups(e.ctx, topic)
		if err != nil {
			e.Fatalf("Groups: %v", err)
		}
		i := slices.IndexFunc(all, func(g events.GroupState) bool { return g.Name == group })
		if i >= 0 && ok(all[i]) {
			return
		}
		timer := time.NewTimer(20 * time.Millisecond)
		select {
		case <-timer.C:
		case <-e.ctx.Done():
			e.Fatalf("the group %s never had %s; now there are %+v", group, what, all)
		}
	}
}

func (e *env) adminTopics() {
	a := e.admin()
	if all, err := a.Topics(e.ctx); err != nil || len(all) > 0 {
		e.Fatalf("a new broker has the topics %v, %v", all, err)
	}
	began := time.Now()
	limits := events.Limits{MaxAge: time.Hour, MaxBytes: 1 << 20, MaxSize: 1000}.WithDefaults()
	placed := e.declare(events.TopicInfo{Keyed: true, Limits: limits})
	quiet := e.declare(events.TopicInfo{Name: "orders.quiet"})
	e.publish(placed, "1", "2", "3")
	all, err := a.Topics(e.ctx)
	if err != nil {
		e.Fatal(err)
	}
	var names []string
	for _, s := range all {
		names = append(names, s.Name)
	}
	if !slices.Equal(names, []string{placed, quiet}) {
		e.Errorf("the topics are %v", names)
	}
	s := e.topicState(a, placed)
	if s.Messages != 3 || s.Bytes < 3*uint64(len("data of 1")) || s.LastMinute != 3 || s.Waiting != 0 || !s.Keyed || s.Delayed {
		e.Errorf("after three messages: %+v", s)
	}
	if !e.NoSequence && (s.First == 0 || s.Last != s.First+2) {
		e.Errorf("numbers %d to %d of three messages", s.First, s.Last)
	}
	if got := s.Limits; got.MaxAge != limits.MaxAge || !e.NoLimits && got.MaxBytes != limits.MaxBytes || !e.NoMaxSize && got.MaxSize != limits.MaxSize || got.DropOldest {
		e.Errorf("limits %+v, want %+v", got, limits)
	}
	for _, at := range []time.Time{s.FirstTime, s.LastTime} {
		if at.Before(began.Add(-time.Second)) || at.After(time.Now().Add(time.Second)) {
			e.Errorf("stored at %v, but it was published after %v", at, began)
		}
	}
	if s.LastTime.Before(s.FirstTime) {
		e.Errorf("stored from %v to %v", s.FirstTime, s.LastTime)
	}
	if s := e.topicState(a, quiet); s.Messages != 0 || s.Bytes != 0 || s.LastMinute != 0 || s.Keyed || !s.FirstTime.IsZero() || !s.LastTime.IsZero() {
		e.Errorf("a topic without messages: %+v", s)
	}
	if !e.NoDelay {
		later := e.declare(events.TopicInfo{Name: "orders.later", Delayed: true})
		m := message("late", "")
		m.Due = time.Now().Add(time.Hour)
		if err := <-e.send(later, m); err != nil {
			e.Fatal(err)
		}
		if s := e.topicState(a, later); s.Messages != 0 || s.Waiting != 1 || !s.Delayed {
			e.Errorf("with a message that is not due: %+v", s)
		}
	}
}

func (e *env) adminGroups() {
	a := e.admin()
	topic := e.declare(events.TopicInfo{})
	if _, err := a.Groups(e.ctx, "nobody.knows"); err == nil {
		e.Error("a topic that was not declared has groups")
	}
	if all, err := a.Groups(e.ctx, topic); err != nil || len(all) > 0 {
		e.Errorf("a new topic has the groups %v, %v", all, err)
	}
	m, idle := e.member(events.SubscriptionInfo{Group: "mailer", AckWait: e.Timeout}), e.member(events.SubscriptionInfo{Group: "stock"})
	e.member(events.SubscriptionInfo{}) // it is no group
	began := time.Now()
	e.publish(topic, "1", "2", "3", "4", "5")
	held := m.next(2)
	e.ack(held[0])
	isOldest := func(g events.GroupState) bool {
		return !g.Oldest.Before(began.Add(-time.Second)) && !g.Oldest.After(time.Now().Add(time.Second))
	}
	e.groupBecomes(a, topic, "mailer", "four to do, at least one of them in hand", func(g events.GroupState) bool {
		return g.Lag == 4 && g.InFlight >= 1 && g.InFlight <= 4 && isOldest(g) && !g.Ordered && (g.Members == nil || slices.Equal(g.Members, []string{m.name}))
	})
	e.groupBecomes(a, topic, "stock", "all to do", func(g events.GroupState) bool { return g.Lag == 5 && isOldest(g) })
	if all, err := a.Groups(e.ctx, topic); err != nil || len(all) != 2 || all[0].Name != "mailer" {
		e.Errorf("groups %+v, %v; want mailer and stock", all, err)
	}
	e.ack(held[1])
	e.ack(m.next(3)...)
	e.groupBecomes(a, topic, "mailer", "nothing to do", func(g events.GroupState) bool { return g.Lag == 0 && g.InFlight == 0 && g.Oldest.IsZero() })
	back := idle.next(1)[0]
	if err := back.Retry(e.ctx, time.Hour); err != nil {
		e.Fatal(err)
	}
	e.groupBecomes(a, topic, "stock", "all to do, with one that was given back for later", func(g events.GroupState) bool { return g.Lag == 5 && isOldest(g) })
	idle.close()
	e.groupBecomes(a, topic, "stock", "all to do, and no member", func(g events.GroupState) bool { return g.Lag == 5 && len(g.Members) == 0 })
}

func (e *env) adminOrderedGroups() {
	a := e.admin()
	topic := e.declare(events.TopicInfo{Keyed: true})
	m := e.member(events.SubscriptionInfo{Group: "mailer", Ordered: true, AckWait: e.Timeout})
	for n := range 15 {
		e.publishKey(topic, fmt.Sprint("k", n%5), fmt.Sprint("early-", n))
	}
	e.wait(aLittle)
	middle := time.Now()
	e.wait(aLittle)
	for n := range 5 {
		e.publishKey(topic, fmt.Sprint("k", n), fmt.Sprint("late-", n))
	}
	var late []events.Delivery
	for _, d := range m.next(20) {
		if strings.HasPrefix(d.Message().ID, "late-") {
			late = append(late, d)
		} else {
			e.ack(d)
		}
	}
	e.groupBecomes(a, topic, "mailer", "five to do, the oldest of which came late", func(g events.GroupState) bool {
		return g.Lag == 5 && g.InFlight == 5 && g.Ordered && g.Oldest.After(middle) && (g.Members == nil || slices.Equal(g.Members, []string{m.name}))
	})
	e.ack(late...)
	e.groupBecomes(a, topic, "mailer", "nothing to do", func(g events.GroupState) bool { return g.Lag == 0 && g.Oldest.IsZero() })
	if all, err := a.Groups(e.ctx, topic); err != nil || len(all) != 1 {
		e.Errorf("the groups are %+v, %v; want one", all, err)
	}

	e.publishKey(topic, "k1", "one", "two")
	e.ack(m.next(2)[1]) // and not the one before it
	m.close()
	e.groupBecomes(a, topic, "mailer", "what its member left behind", func(g events.GroupState) bool {
		return g.Lag == 1 && g.InFlight == 0 && !g.Oldest.IsZero() && len(g.Members) == 0
	})
	e.publishKey(topic, "k1", "more", "and more")
	e.publish(topic, "without a key")
	e.groupBecomes(a, topic, "mailer", "what came since its member left, besides", func(g events.GroupState) bool { return g.Lag == 4 })
}

func (e *env) adminRead() {
	a := e.admin()
	topic := e.declare(events.TopicInfo{Keyed: true})
	if all := e.read(a, topic, events.Start{All: true}); len(all) > 0 {
		e.Errorf("an empty topic has %v", storedIDs(all))
	}
	for _, err := range a.Read(e.ctx, "nobody.knows", events.Start{All: true}) {
		if err == nil {
			e.Error("a topic that was not declared has messages")
		}
	}
	m := e.member(events.SubscriptionInfo{Group: "mailer"})
	e.publish(topic, "1", "2")
	e.wait(aLittle)
	middle := time.Now()
	e.wait(aLittle)
	e.publishKey(topic, "k", "3", "4", "5")

	all := e.read(a, topic, events.Start{All: true})
	if got := storedIDs(all); !slices.Equal(got, []string{"1", "2", "3", "4", "5"}) {
		e.Fatalf("got %v", got)
	}
	for i, s := range all {
		if string(s.Message.Data) != "data of "+s.Message.ID || s.Message.Source != "hanse:///test" || s.Time.IsZero() || s.Sequence == 0 || i > 0 && s.Sequence <= all[i-1].Sequence {
			e.Errorf("got %+v of %+v", s, s.Message)
		}
	}
	if all[1].Message.Key != "" || all[2].Message.Key != "k" {
		e.Errorf("the keys are %q and %q", all[1].Message.Key, all[2].Message.Key)
	}
	for name, from := range map[string]events.Start{"its number": {Sequence: all[2].Sequence}, "a time": {Time: middle}} {
		if from.Time.IsZero() || !e.NoTime {
			if got := storedIDs(e.read(a, topic, from)); !slices.Equal(got, []string{"3", "4", "5"}) {
				e.Errorf("from %s: %v, want 3, 4 and 5", name, got)
			}
		}
	}
	for name, from := range map[string]events.Start{"now": {}, "a number to come": {Sequence: all[4].Sequence + 1}} {
		if got := e.read(a, topic, from); len(got) > 0 {
			e.Errorf("from %s: %v, want nothing", name, storedIDs(got))
		}
	}
	for range a.Read(e.ctx, topic, events.Start{All: true}) {
		break // has it end
	}
	ended, cancel := context.WithCancel(e.ctx)
	cancel()
	var err error
	for _, err = range a.Read(ended, topic, events.Start{All: true}) {
		if err != nil {
			break
		}
	}
	if !errors.Is(err, context.Canceled) {
		e.Errorf("with a context that has ended: %v", err)
	}
	if got := ids(m.next(5)); len(got) != 5 { // the group has them all
		e.Errorf("the group got %v", got)
	}

	const many = 700 // more than is read at once
	for n := range many {
		e.send(topic, message(fmt.Sprint("m", n), ""))
	}
	e.publish(topic, "end")
	if got := storedIDs(e.read(a, topic, events.Start{All: true})); len(got) != 6+many || got[5+many] != "end" {
		e.Errorf("%d messages, want %d", len(got), 6+many)
	}
}

func (e *env) adminDelete() {
	a := e.admin()
	topic := e.declare(events.TopicInfo{})
	e.publish(topic, "1", "2", "3", "4", "5")
	all := e.read(a, topic, events.Start{All: true})
	for _, at := range []int{2, 0, 2, 4} {
		if err := a.Delete(e.ctx, topic, all[at].Sequence); err != nil { // one of them twice
			e.Fatalf("Delete: %v", err)
		}
	}
	if err := a.Delete(e.ctx, topic, all[4].Sequence+100); err != nil {
		e.Errorf("Delete of what was never there: %v", err)
	}
	if err := a.Delete(e.ctx, "nobody.knows", 1); err == nil {
		e.Error("Delete in a topic that was not declared succeeds")
	}
	if got := storedIDs(e.read(a, topic, events.Start{All: true})); !slices.Equal(got, []string{"2", "4"}) {
		e.Errorf("2 and 4 should be left: %v", got)
	}
	if s := e.topicState(a, topic); s.Messages != 2 || s.First != all[1].Sequence || s.Last != all[4].Sequence || s.LastMinute != 2 {
		e.Errorf("after the deletions: %+v", s)
	}
	m := e.member(events.SubscriptionInfo{Group: "late", Start: events.Start{All: true}})
	e.groupBecomes(a, topic, "late", "two to do", func(g events.GroupState) bool { return g.Lag == 2 })
	e.ack(m.next(2)...)
	m.none(aLittle)
	e.publish(topic, "6")
	e.ack(m.next(1)...)
}

// adminReplay publishes what a topic has once more for one of its groups, while both are at work.
func (e *env) adminReplay() {
	a := e.admin()
	topic := events.NewTopic[text]("orders.placed", events.Key(keyOf))
	mails, stocks := make(chan string, 1000), make(chan string, 1000)
	i := e.instance(e.broker, func(b *events.Bus, _ string) {
		for group, got := range map[string]chan string{"mailer": mails, "stock": stocks} {
			topic.Subscribe(b, group, func(_ context.Context, ev *events.Event[text]) error {
				got <- ev.Data.GetValue()
				return nil
			})
		}
	})
	const total = 60
	e.load(topic, i, 3, total)
	for range total {
		<-mails
	}
	all := e.read(a, topic.Name(), events.Start{All: true})
	if len(all) != total {
		e.Fatalf("%d messages, want %d", len(all), total)
	}
	for _, s := range all {
		again := s.Message.Redelivery("mailer", "once more")
		if only, ok := again.OnlyFor(); !ok || only != "mailer" {
			e.Fatalf("it is for %q, %v", only, ok)
		}
		if err := <-e.send(topic.Name(), again); err != nil {
			e.Fatal(err)
		}
	}
	next := make(map[string]int)
	for range total {
		value := <-mails
		key, number, _ := strings.Cut(value, ":")
		if next[key]++; number != fmt.Sprint(next[key]) {
			e.Errorf("got %s of %s, want %d: the order by key is lost", number, key, next[key])
		}
	}
	for key := range next { // the last of its key comes after what came once more
		data, err := proto.Marshal(wrapperspb.String(key + ":end"))
		if err != nil {
			e.Fatal(err)
		}
		last := message("last-"+key, key)
		last.Data = data
		if err := <-e.send(topic.Name(), last); err != nil {
			e.Fatal(err)
		}
	}
	seen := make(map[string]bool)
	for ends := 0; ends < len(next); {
		value := <-stocks
		if seen[value] {
			e.Errorf("stock got %s once more, and it was for the mailer", value)
		}
		seen[value] = true
		if strings.HasSuffix(value, ":end") {
			ends++
		}
	}
}
