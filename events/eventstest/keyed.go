package eventstest

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/hanse-go/hanse/events"
)

// race has two members wait for one message, and returns who got it, and the other one.
func (e *env) race(a, b *member) (winner, loser *member, d events.Delivery) {
	e.Helper()
	ctx, cancel := context.WithCancel(e.ctx)
	defer cancel()
	var all sync.WaitGroup
	var mu sync.Mutex
	for _, m := range []*member{a, b} {
		all.Go(func() {
			some, err := m.src.Next(ctx, 1)
			if err != nil {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			if winner != nil {
				e.Errorf("%s and %s hold messages, %s and %s", winner.name, m.name, d.Message().ID, some[0].Message().ID)
			}
			winner, d = m, some[0]
			cancel()
		})
	}
	all.Wait()
	if winner == nil {
		e.Fatal(context.Cause(e.ctx))
	}
	if loser = a; winner == a {
		loser = b
	}
	return winner, loser, d
}

func (e *env) keyOrder() {
	topic := e.declare(events.TopicInfo{Keyed: true})
	const keys, each = 10, 40
	var mu sync.Mutex
	last := make(map[string]int)
	holders := make(map[string]string)
	total := 0
	all, some := make(chan struct{}), make(chan struct{})
	ctx, stop := context.WithCancel(e.ctx)
	defer stop()
	var running sync.WaitGroup
	follow := func(ctx context.Context) {
		m := e.member(events.SubscriptionInfo{Group: "mailer", Ordered: true, MaxInFlight: 8})
		running.Go(func() {
			defer m.close()
			for {
				got, err := m.src.Next(ctx, 4)
				if err != nil {
					return
				}
				mu.Lock()
				for _, d := range got {
					var n int
					key := d.Message().Key
					fmt.Sscanf(d.Message().ID, key+":%d", &n)
					if n != last[key]+1 {
						e.Errorf("%s came to %s after %d of its key", d.Message().ID, m.name, last[key])
					}
					last[key] = n
					if other := holders[key]; other != "" && other != m.name {
						e.Errorf("%s holds messages of key %s, and so does %s", m.name, key, other)
					}
					holders[key] = m.name
				}
				mu.Unlock()
				mu.Lock()
				for _, d := range got {
					delete(holders, d.Message().Key)
				}
				for _, d := range got {
					if err := d.Ack(e.ctx); err != nil {
						e.Errorf("Ack: %v", err)
					}
					if total++; total == keys*each {
						close(all)
					} else if total == keys*each/3 {
						close(some)
					}
				}
				mu.Unlock()
			}
		})
	}
	follow(ctx)
	early, leave := context.WithCancel(ctx)
	follow(early)
	for n := range each {
		for k := range keys {
			key := fmt.Sprint("k", k)
			e.publishKey(topic, key, fmt.Sprintf("%s:%d", key, n+1))
		}
	}
	follow(ctx)
	wait := func(what string, ch <-chan struct{}) {
		select {
		case <-ch:
		case <-e.ctx.Done():
			mu.Lock()
			e.Errorf("%s: %d of %d messages came: %v", what, total, keys*each, last)
			mu.Unlock()
		}
	}
	wait("a third", some)
	leave()
	wait("all", all)
	stop()
	running.Wait()
}

func (e *env) keyHeld() {
	topic := e.declare(events.TopicInfo{Keyed: true})
	info := events.SubscriptionInfo{Group: "mailer", Ordered: true, AckWait: e.Timeout}
	a, b := e.member(info), e.member(info)
	e.publishKey(topic, "k", "1", "2", "3")
	winner, loser, d := e.race(a, b)
	if d.Message().ID != "1" {
		e.Errorf("the first is %s", d.Message().ID)
	}
	loser.none(aLittle)
	got := winner.next(2)
	if !slices.Equal(ids(got), []string{"2", "3"}) {
		e.Errorf("got %v, want 2 and 3", ids(got))
	}
	e.ack(d)
	loser.none(aLittle)
	e.ack(got...)
	e.publishKey(topic, "k", "4")
	_, _, d = e.race(a, b)
	if d.Message().ID != "4" {
		e.Errorf("got %s, want 4", d.Message().ID)
	}
	e.ack(d)
}

func (e *env) keyMemberGone() {
	topic := e.declare(events.TopicInfo{Keyed: true})
	info := events.SubscriptionInfo{Group: "mailer", Ordered: true}
	a, b := e.member(info), e.member(info)
	e.publishKey(topic, "k", "1", "2", "3", "4")
	gone, other, d := e.race(a, b)
	e.ack(d)
	gone.next(2)
	gone.crash()
	var got []events.Delivery
	for range 3 {
		got = append(got, other.next(1)...)
	}
	if !slices.Equal(ids(got), []string{"2", "3", "4"}) {
		e.Errorf("got %v, want 2, 3 and 4, from the first unsettled on", ids(got))
	}
	e.ack(got...)
	other.none(e.AckWait + aLittle)
}
