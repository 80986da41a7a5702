package redisevents_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hanse-go/hanse/discovery/discoverytest"
	"github.com/hanse-go/hanse/events"
	"github.com/hanse-go/hanse/events/eventstest"
	"github.com/hanse-go/hanse/events/redisevents"
	"github.com/redis/go-redis/v9"
)

func noSync(o *redisevents.Options) { o.NoSync = true }

// TestServerSettings holds that a server that loses events is refused, and with which words.
func TestServerSettings(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		flags []string
		opts  func(*redisevents.Options)
		want  string // "" is fine
		log   string
	}{
		{name: "no file", flags: []string{"--appendonly", "no"}, want: "(appendonly no)"},
		{name: "everysec", flags: []string{"--appendonly", "yes", "--appendfsync", "everysec"}, want: "(appendfsync everysec)"},
		{name: "everysec is fine", flags: []string{"--appendonly", "yes", "--appendfsync", "everysec"}, opts: noSync},
		{name: "no file is fine", flags: []string{"--appendonly", "no"}, opts: noSync},
		{name: "always", flags: durable},
		{name: "evicts", flags: []string{"--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"}, opts: noSync, want: "set maxmemory-policy to noeviction"},
		{name: "evicts what it forgets anyway", flags: []string{"--maxmemory", "100mb", "--maxmemory-policy", "volatile-ttl"}, opts: noSync, log: "volatile-ttl"},
		{name: "would evict, and has no limit", flags: []string{"--maxmemory-policy", "allkeys-lru"}, opts: noSync},
		{name: "refuses", flags: []string{"--maxmemory", "100mb", "--maxmemory-policy", "noeviction"}, opts: noSync},
		{name: "CONFIG is refused", flags: append([]string{"--rename-command", "CONFIG", ""}, durable...), log: "CONFIG GET is refused"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, tt.flags...)
			s.start()
			var log discoverytest.Log
			b := s.broker(func(o *redisevents.Options) {
				o.Logger = log.Logger()
				if tt.opts != nil {
					tt.opts(o)
				}
			})
			err := b.Declare(eventstest.Within(t, 20*time.Second), eventstest.Topic("orders.placed"))
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Declare: %v, want %q", err, tt.want)
			}
			if !strings.Contains(log.String(), tt.log) || tt.log == "" && log.String() != "" {
				t.Errorf("the log is %q, want %q", log.String(), tt.log)
			}
		})
	}
}

// TestUsers holds that a user of the server needs no more than is documented, and that the password is in no error.
func TestUsers(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	rules := "shop on >geheim ~{shop:* &{shop:* +@read +@write +@scripting +@pubsub +info +config|get +ping +time"
	command := []any{"acl", "setuser"}
	for _, rule := range strings.Fields(rules) {
		command = append(command, rule)
	}
	if err := s.client().Do(t.Context(), command...).Err(); err != nil {
		t.Fatal(err)
	}
	connect := func(name, password string) *redisevents.Broker {
		o := s.options()
		o.Username, o.Password = name, password
		c := redis.NewClient(o)
		t.Cleanup(func() { c.Close() })
		return newBroker(t, c, inSystem("shop"))
	}
	b := connect("shop", "geheim")
	info := eventstest.Topic("orders.placed")
	if err := b.Declare(eventstest.Within(t, 20*time.Second), info); err != nil {
		t.Fatal(err)
	}
	shared, inOrder := subscribe(t, b, info.Name, "mailer", "a"), subscribe(t, b, info.Name, "stock", "a", eventstest.Ordered)
	eventstest.Publish(t, b, info.Name, eventstest.Event("1", "k"))
	eventstest.Ack(t, eventstest.Take(t, shared, 1)...)
	eventstest.Ack(t, eventstest.Take(t, inOrder, 1)...)

	err := connect("shop", "geraten").Declare(eventstest.Within(t, 20*time.Second), info)
	if err == nil || !strings.Contains(err.Error(), "another user or password") || strings.Contains(err.Error(), "geraten") {
		t.Errorf("with another password: %v", err)
	}
	o := s.options()
	o.Username, o.Password = "shop", "geheim"
	c := redis.NewClient(o)
	t.Cleanup(func() { c.Close() })
	if err := newBroker(t, c, inSystem("other")).Declare(eventstest.Within(t, 20*time.Second), info); err == nil || !strings.Contains(err.Error(), "does not let this user") {
		t.Errorf("another system: %v", err)
	}
}

func TestDrift(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	b := s.broker()
	limits := func(change func(*events.Limits)) func(*events.TopicInfo) {
		return func(i *events.TopicInfo) { change(&i.Limits) }
	}
	for i, tt := range []struct {
		name          string
		first, second func(*events.TopicInfo)
		want          string // "" is applied
	}{
		{"more messages", limits(func(l *events.Limits) { l.MaxMessages = 3 }), limits(func(l *events.Limits) { l.MaxMessages = 4 }), ""},
		{"fewer messages, none of which go", limits(func(l *events.Limits) { l.MaxMessages = 10 }), limits(func(l *events.Limits) { l.MaxMessages = 2 }), ""},
		{"fewer messages, some of which go", limits(func(l *events.Limits) { l.MaxMessages = 10 }), limits(func(l *events.Limits) { l.MaxMessages, l.DropOldest = 2, true }), "MaxMessages is 10"},
		{"less bytes, some of which go", limits(func(l *events.Limits) { l.MaxBytes = 10000 }), limits(func(l *events.Limits) { l.MaxBytes, l.DropOldest = 100, true }), "MaxBytes is 10000"},
		{"a longer age", limits(func(l *events.Limits) { l.MaxAge = time.Hour }), limits(func(l *events.Limits) { l.MaxAge = -1 }), ""},
		{"a shorter age", limits(func(l *events.Limits) { l.MaxAge = time.Hour }), limits(func(l *events.Limits) { l.MaxAge = time.Minute }), ""},
		{"an age that some are over", limits(func(l *events.Limits) { l.MaxAge = time.Hour }), limits(func(l *events.Limits) { l.MaxAge = time.Millisecond }), "MaxAge is 1h0m0s"},
		{"another size", limits(func(l *events.Limits) { l.MaxSize = 100 }), limits(func(l *events.Limits) { l.MaxSize = 5 }), ""},
		{"no keys", func(*events.TopicInfo) {}, func(i *events.TopicInfo) { i.Keyed = false }, "have keys in one declaration"},
		{"later", func(*events.TopicInfo) {}, func(i *events.TopicInfo) { i.Delayed = true }, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			name := fmt.Sprint("t", i)
			if err := b.Declare(eventstest.Within(t, 20*time.Second), eventstest.Topic(name, tt.first)); err != nil {
				t.Fatal(err)
			}
			eventstest.Publish(t, b, name, eventstest.Event("1", "a"), eventstest.Event("2", "b"), eventstest.Event("3", ""))
			published := time.Now()
			discoverytest.Eventually(t, "they are some milliseconds old", func() bool { return time.Since(published) > 5*time.Millisecond })
			err := s.broker().Declare(eventstest.Within(t, 20*time.Second), eventstest.Topic(name, tt.second))
			switch {
			case tt.want == "" && err != nil:
				t.Error(err)
			case tt.want != "" && (!errors.Is(err, events.ErrDrift) || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("%v, want ErrDrift with %q", err, tt.want)
			}
			if got := len(eventstest.Take(t, subscribe(t, b, name, "all", "a"), 3)); got != 3 {
				t.Errorf("%d events are left", got)
			}
		})
	}
}

// TestGroupDrift holds that a group does not change between the ways of delivery.
func TestGroupDrift(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	b := s.declared("t")
	subscribe(t, b, "t", "g", "a", eventstest.Ordered)
	_, err := b.Subscribe(eventstest.Within(t, 10*time.Second), events.SubscriptionInfo{Topic: "t", Group: "g", Member: "b", AckWait: time.Second, MaxInFlight: 1})
	if !errors.Is(err, events.ErrDrift) {
		t.Errorf("%v, want ErrDrift", err)
	}
}

func TestNewerRecord(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	s.declared("t")
	if err := s.client().HSet(t.Context(), "{test:t}:topic", "version", 2).Err(); err != nil {
		t.Fatal(err)
	}
	if err := s.broker().Declare(eventstest.Within(t, 10*time.Second), eventstest.Topic("t")); !errors.Is(err, events.ErrDrift) || !strings.Contains(err.Error(), "version 2") {
		t.Errorf("a record of a newer version: %v", err)
	}
}

func TestWrongOptions(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	for want, change := range map[string]func(*redisevents.Options){
		"Lease":      func(o *redisevents.Options) { o.Lease = time.Millisecond },
		"Dedup":      func(o *redisevents.Options) { o.Dedup = 1 },
		"MaxPending": func(o *redisevents.Options) { o.MaxPending = -1 },
		"Poll":       func(o *redisevents.Options) { o.Poll = 1 },
	} {
		if err := s.broker(change).Declare(t.Context(), eventstest.Topic("t")); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	ring := redis.NewRing(&redis.RingOptions{Addrs: map[string]string{"a": s.address}})
	t.Cleanup(func() { ring.Close() })
	if err := newBroker(t, ring).Declare(t.Context(), eventstest.Topic("t")); err == nil || !strings.Contains(err.Error(), "Ring") {
		t.Errorf("a ring: %v", err)
	}
}
