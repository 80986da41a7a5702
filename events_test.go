package hanse_test

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hanse-go/hanse"
	"github.com/hanse-go/hanse/events"
	"github.com/hanse-go/hanse/rpc"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

type number = *wrapperspb.StringValue

var orderPlaced = events.NewTopic[number]("orders.placed")

// TestEvents publishes in one app and handles in others: a group shares, and each instance of a service that wants all gets all.
func TestEvents(t *testing.T) {
	broker := new(events.Memory)
	mails, caches := make(chan *events.Event[number], 10), make(chan string, 10)
	for range 2 {
		mailer := &hanse.Service{Name: "mailer", Setup: func(_ context.Context, s *hanse.Service) error {
			orderPlaced.Subscribe(s, "mailer", func(_ context.Context, e *events.Event[number]) error {
				mails <- e
				return nil
			})
			return nil
		}}
		cache := &hanse.Service{Name: "cache"}
		orderPlaced.SubscribeEach(cache, func(_ context.Context, e *events.Event[number]) error { // also before Run
			caches <- e.Data.GetValue()
			return nil
		})
		run(t, &hanse.App{Broker: broker}, mailer, cache)
	}
	shop := &hanse.Service{Name: "shop", Setup: func(ctx context.Context, s *hanse.Service) error {
		orderPlaced.Declare(s)
		return orderPlaced.Publish(ctx, s, wrapperspb.String("4711"))
	}}
	run(t, &hanse.App{Broker: broker}, shop)
	if err := orderPlaced.Publish(t.Context(), shop, wrapperspb.String("4712")); err != nil {
		t.Fatal(err)
	}
	var got []string
	for range 2 {
		e := <-mails
		if e.Source != "hanse:///shop" || e.Group != "mailer" {
			t.Errorf("%+v", e)
		}
		got = append(got, e.Data.GetValue())
	}
	if slices.Sort(got); !slices.Equal(got, []string{"4711", "4712"}) {
		t.Errorf("the mailers got %v", got)
	}
	got = nil
	for range 4 {
		got = append(got, <-caches)
	}
	if slices.Sort(got); !slices.Equal(got, []string{"4711", "4711", "4712", "4712"}) {
		t.Errorf("the caches got %v", got)
	}
}

// TestEventsWithoutBroker holds that a service that uses events does not start where there is no broker, that the error says what to do, and that
// others are not concerned.
func TestEventsWithoutBroker(t *testing.T) {
	uses := func(name string, before bool, use func(*hanse.Service) error) *hanse.Service {
		s := &hanse.Service{Name: name}
		if before {
			use(s)
			return s
		}
		s.Setup = func(_ context.Context, s *hanse.Service) error { return use(s) }
		return s
	}
	declare := func(s *hanse.Service) error { orderPlaced.Declare(s); return nil }
	subscribe := func(s *hanse.Service) error {
		orderPlaced.Subscribe(s, "mailer", func(context.Context, *events.Event[number]) error { return nil })
		return nil
	}
	publish := func(s *hanse.Service) error {
		return orderPlaced.Publish(t.Context(), s, wrapperspb.String("1"))
	}
	for _, before := range []bool{true, false} {
		r := begin(t, new(hanse.App), uses("shop", before, declare), uses("mailer", before, subscribe), greeter())
		wantError(t, r.wait(), "service shop uses events (orders.placed), and the app has no broker for events: run it by hanse dev", "service mailer uses events (orders.placed), too")
	}
	r := begin(t, new(hanse.App), uses("shop", false, publish))
	wantError(t, r.wait(), "service shop: set-up failed: events: publish to orders.placed: the app has no broker for events")

	shop := &hanse.Service{Name: "shop"}
	r = begin(t, new(hanse.App), shop, &hanse.Service{Name: "Bad"})
	wantError(t, r.wait(), `"Bad" cannot be the name`)
	wantError(t, publish(shop), "the App did not run")
}

// TestEventsMistakes holds that mistakes in declarations are reported with all others, and that topics that cannot be made are, too.
func TestEventsMistakes(t *testing.T) {
	broker := new(events.Memory)
	if err := broker.Declare(t.Context(), events.TopicInfo{Name: "orders.placed", Keyed: true}); err != nil {
		t.Fatal(err)
	}
	handle := func(context.Context, *events.Event[number]) error { return nil }
	early := &hanse.Service{Name: "early"}
	orderPlaced.Subscribe(early, "", handle)
	r := begin(t, &hanse.App{Broker: broker}, early, &hanse.Service{Name: "Bad"})
	wantError(t, r.wait(), `service early: subscription of each instance to topic "orders.placed": its group is empty`, `"Bad" cannot be the name`)

	late := &hanse.Service{Name: "late", Setup: func(_ context.Context, s *hanse.Service) error {
		orderPlaced.Subscribe(s, "Late", handle)
		s.Handle("GET", nil)
		return nil
	}}
	r = begin(t, &hanse.App{Broker: broker}, late)
	wantError(t, r.wait(), `service late: subscription "Late" of topic "orders.placed": the name of its group`, "service late: Handle")

	drift := &hanse.Service{Name: "drift", Setup: func(_ context.Context, s *hanse.Service) error {
		orderPlaced.Declare(s)
		return nil
	}}
	r = begin(t, &hanse.App{Broker: broker}, drift)
	err := r.wait()
	wantError(t, err, `service drift: topic "orders.placed": declared differently`)
	if !errors.Is(err, events.ErrDrift) {
		t.Errorf("%v is no ErrDrift", err)
	}
}

// TestEventsBeginWhenAllAreReady holds that no handler is called before all set-ups have returned.
func TestEventsBeginWhenAllAreReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		handled := make(chan time.Time, 1)
		began := time.Now()
		mailer := &hanse.Service{Name: "mailer", Setup: func(ctx context.Context, s *hanse.Service) error {
			orderPlaced.Subscribe(s, "mailer", func(context.Context, *events.Event[number]) error {
				handled <- time.Now()
				return nil
			}, events.Start{All: true})
			return orderPlaced.Publish(ctx, s, wrapperspb.String("1"))
		}}
		slow := &hanse.Service{Name: "slow", Setup: func(context.Context, *hanse.Service) error {
			time.Sleep(5 * time.Second)
			return nil
		}}
		app := &hanse.App{Broker: new(events.Memory), Transports: []rpc.Transport{}}
		r := begin(t, app, mailer, slow)
		if after := (<-handled).Sub(began); after < 5*time.Second {
			t.Errorf("the handler was called after %v", after)
		}
		r.stop()
		<-r.done
		if r.err != nil {
			t.Error(r.err)
		}
	})
}

// TestEventsDrainUnderLoad replaces an app by another one, again and again, while events come: none may be lost, and none handled twice.
func TestEventsDrainUnderLoad(t *testing.T) {
	const total = 3000
	broker := new(events.Memory)
	var mu sync.Mutex
	times := make(map[string]int)
	steps := make(chan struct{}, total)
	begun := func() *runningApp {
		book := greeter()
		book.Name = "book"
		mailer := &hanse.Service{Name: "mailer", Setup: func(_ context.Context, s *hanse.Service) error {
			conn := s.Conn("book")
			orderPlaced.Subscribe(s, "mailer", func(_ context.Context, e *events.Event[number]) error {
				if got := hello(conn, "x"); got != "Hello, x!" { // must work until the last event is handled
					t.Errorf("book said %q", got)
					return errors.New(got)
				}
				mu.Lock()
				defer mu.Unlock()
				times[e.Data.GetValue()]++
				steps <- struct{}{}
				return nil
			})
			return nil
		}}
		r := begin(t, &hanse.App{Broker: broker}, mailer, book)
		r.log.await(t, "msg=ready", r.done)
		return r
	}
	current := begun()
	shop := &hanse.Service{Name: "shop"}
	run(t, &hanse.App{Broker: broker}, shop)
	var load sync.WaitGroup
	load.Go(func() {
		for i := range total {
			if err := orderPlaced.Publish(t.Context(), shop, wrapperspb.String(fmt.Sprint(i))); err != nil {
				t.Error(err)
			}
		}
	})
	for i := range total {
		select {
		case <-steps:
		case <-time.After(20 * time.Second):
			t.Fatalf("%d of %d events were handled", i, total)
		}
		if i%(total/6) == total/12 {
			next := begun()
			current.end()
			current = next
		}
	}
	load.Wait()
	current.end()
	for id, n := range times {
		if n != 1 {
			t.Errorf("event %s was handled %d times", id, n)
		}
	}
	if len(times) != total {
		t.Errorf("%d of %d events were handled", len(times), total)
	}
}

// TestEventsDrainTimeout holds that a handler's context ends with the time to drain, and that one that does not heed it is named.
func TestEventsDrainTimeout(t *testing.T) {
	for _, heeds := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			release, running := make(chan struct{}), make(chan struct{})
			mailer := &hanse.Service{Name: "mailer", Setup: func(_ context.Context, s *hanse.Service) error {
				orderPlaced.Subscribe(s, "mailer", func(ctx context.Context, _ *events.Event[number]) error {
					close(running)
					if heeds {
						<-ctx.Done()
						return ctx.Err()
					}
					<-release
					return nil
				}, events.Start{All: true})
				return nil
			}}
			app := &hanse.App{Broker: new(events.Memory), DrainTimeout: 5 * time.Second, Transports: []rpc.Transport{}}
			r := begin(t, app, mailer)
			if err := orderPlaced.Publish(t.Context(), mailer, wrapperspb.String("1")); err != nil {
				t.Error(err)
			}
			<-running
			began := time.Now()
			r.stop()
			<-r.done
			err := r.err
			took := time.Since(began)
			if heeds && (err != nil || took != 5*time.Second) {
				t.Errorf("Run returned %v after %v", err, took)
			}
			if !heeds {
				wantError(t, err, `service mailer: subscription "mailer" of topic "orders.placed": 1 handlers still run 2s after they were cancelled`)
			}
			cancelled := regexp.MustCompile(`drain timeout: cancelling the handlers that still run" service=mailer instance=\S+ topic=orders.placed group=mailer running=1`)
			if !cancelled.MatchString(r.log.String()) {
				t.Errorf("the log does not tell that the handler is cancelled:\n%s", r.log)
			}
			if !heeds && !strings.Contains(r.log.String(), `mailer: 1 of subscription \"mailer\" of topic \"orders.placed\"`) {
				t.Errorf("the log does not name what runs:\n%s", r.log)
			}
			close(release)
			synctest.Wait()
		})
	}
}
