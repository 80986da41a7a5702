package events_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hanse-go/hanse/events"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

type text = *wrapperspb.StringValue

var (
	placed = events.NewTopic[text]("orders.placed")
	keyed  = events.NewTopic[text]("orders.keyed", events.Key(keyOf))
)

func keyOf(m text) string {
	key, _, _ := strings.Cut(m.GetValue(), ":")
	return key
}

func newBus(broker events.Broker) *events.Bus {
	return &events.Bus{Broker: broker, Source: "hanse:///test", Member: "m", Logger: slog.New(slog.DiscardHandler)}
}

// runBus runs a bus until stop is called or the test ends. stop returns what Run does.
func runBus(t *testing.T, b *events.Bus) (stop func() error) {
	t.Helper()
	if err := b.Declare(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx) }()
	stop = sync.OnceValue(func() error {
		cancel()
		return <-done
	})
	t.Cleanup(func() { stop() })
	return stop
}

func publish(t *testing.T, host events.Host, topic *events.Topic[text], values ...string) {
	t.Helper()
	for _, v := range values {
		if err := topic.Publish(t.Context(), host, wrapperspb.String(v)); err != nil {
			t.Fatalf("publish %s: %v", v, err)
		}
	}
}

// inBubble runs f in a bubble of synctest.
func inBubble(name string, t *testing.T, f func(t *testing.T)) {
	t.Run(name, func(t *testing.T) { synctest.Test(t, f) })
}

func TestUnbound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBus(nil)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := placed.Publish(ctx, b, wrapperspb.String("1"))
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "publish to orders.placed: the host has no broker yet") {
			t.Errorf("without a broker: %v", err)
		}
		result := make(chan error)
		go func() { result <- placed.Publish(t.Context(), b, wrapperspb.String("2")) }()
		synctest.Wait()
		b.Bind(new(events.Memory))
		if err := <-result; err != nil {
			t.Error(err)
		}
		if stats := b.Stats(); stats.Published != 1 || stats.PublishFailed != 1 {
			t.Errorf("%+v", stats)
		}
		if err := b.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if err := placed.Publish(t.Context(), b, wrapperspb.String("3")); !errors.Is(err, events.ErrClosed) {
			t.Errorf("after Close: %v", err)
		}

		refused := newBus(nil)
		refused.Refuse(errors.New("no broker here"))
		if err := placed.Publish(t.Context(), refused, wrapperspb.String("4")); err == nil || !strings.HasSuffix(err.Error(), "no broker here") {
			t.Errorf("a bus that was refused a broker: %v", err)
		}
		if err := placed.Publish(t.Context(), nil, wrapperspb.String("4")); err == nil {
			t.Error("no host, and no error")
		}
	})
}

func TestMistakes(t *testing.T) {
	ok := func(context.Context, *events.Event[text]) error { return nil }
	b := newBus(new(events.Memory))
	placed.Subscribe(b, "", ok)
	placed.Subscribe(b, "Mailer", ok)
	placed.Subscribe(b, "nil", nil)
	placed.Subscribe(b, "twice", ok)
	placed.Subscribe(b, "twice", ok)
	placed.Subscribe(b, "options", ok, events.Concurrency(0), events.MaxInFlight(-1), events.AckWait(1), events.Timeout(-1), events.Retry{Attempts: -2}, nil,
		events.Start{All: true, Sequence: 1})
	placed.Subscribe(b, "few", ok, events.Concurrency(10), events.MaxInFlight(5))
	placed.SubscribeEach(b, ok, events.Start{All: true})
	events.NewTopic[text]("Orders").Declare(b)
	events.NewTopic[text]("orders..x").Subscribe(b, "g", ok)
	events.NewTopic[text](strings.Repeat("a", 124)).Declare(b)
	events.NewTopic[text]("wrong.key", events.Key((*emptypb.Empty).String)).Declare(b)
	events.NewTopic[text]("nil.option", nil).Declare(b)
	events.NewTopic[text]("limits", events.Limits{MaxBytes: -2, Replicas: -1}).Declare(b)
	events.NewTopic[*emptypb.Empty]("orders.placed").Declare(b)
	events.NewTopic[text]("orders.placed", events.JSON()).Declare(b)

	err := b.Run(t.Context())
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{
		`subscription of each instance to topic "orders.placed": its group is empty: name the service that shares the work, or use SubscribeEach`,
		`subscription "Mailer" of topic "orders.placed": the name of its group must be 1 to 63`,
		`subscription "nil" of topic "orders.placed": its handler is nil`,
		`subscription "twice" of topic "orders.placed" is there twice`,
		"Concurrency(0): at least 1 is needed", "MaxInFlight(-1): at least 1 is needed", "AckWait(1ns): at least 1s is needed", "Timeout(-1ns): it must be positive",
		"Retry: Attempts is a number or -1", "an option is nil", "Start has several fields", "MaxInFlight(5) is less than Concurrency(10)",
		"Start is for groups",
		`topic "Orders": its name must be words`, `topic "orders..x": its name must be words`, "its name has 124 bytes, and may have 123",
		`topic "wrong.key": the function given to Key is a func(*emptypb.Empty) string, but the topic carries *wrapperspb.StringValue`,
		`topic "nil.option": an option is nil`, "Limits.MaxBytes is negative", "Limits.Replicas is negative",
		`topic "orders.placed" is declared twice, and one carries google.protobuf.Empty and one google.protobuf.StringValue`,
		`topic "orders.placed" is declared twice, and their options are not the same`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in\n%v", want, err)
		}
	}
	bad := events.NewTopic[text]("Bad")
	if err := bad.Publish(t.Context(), newBus(new(events.Memory)), wrapperspb.String("")); err == nil || !strings.Contains(err.Error(), `topic "Bad": its name`) {
		t.Errorf("publish to a topic of a bad name: %v", err)
	}
}

func TestPublishRefuses(t *testing.T) {
	b := newBus(new(events.Memory))
	small := events.NewTopic[text]("small", events.Limits{MaxSize: 10, MaxMessages: 1})
	for want, err := range map[string]error{
		"the message is nil":               placed.Publish(t.Context(), b, nil),
		"declare it with events.Delayed()": placed.Publish(t.Context(), b, wrapperspb.String(""), events.At(time.Now())),
		"its ID has 0 bytes":               placed.Publish(t.Context(), b, wrapperspb.String(""), events.ID("")),
		"the ID has a line break":          placed.Publish(t.Context(), b, wrapperspb.String(""), events.ID("a\nb")),
		"the subject has a line break":     placed.Publish(t.Context(), b, wrapperspb.String(""), events.Subject("a\rb")),
		`metadata "hanse-x"`:               placed.Publish(t.Context(), b, wrapperspb.String(""), events.Metadata("hanse-x", "")),
		`metadata "X"`:                     placed.Publish(t.Context(), b, wrapperspb.String(""), events.Metadata("X", "")),
		"metadata x has a line break":      placed.Publish(t.Context(), b, wrapperspb.String(""), events.Metadata("x", "\n")),
		`extension "subject"`:              placed.Publish(t.Context(), b, wrapperspb.String(""), events.Extension("subject", "")),
		`extension "a-b"`:                  placed.Publish(t.Context(), b, wrapperspb.String(""), events.Extension("a-b", "")),
		"invalid UTF-8":                    placed.Publish(t.Context(), b, wrapperspb.String("\xff")),
		"publish to small: the event is too large: 22 bytes, and Limits.MaxSize is 10": small.Publish(t.Context(), b, wrapperspb.String(strings.Repeat("a", 20))),
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	publish(t, b, small, "1")
	if err := small.Publish(t.Context(), b, wrapperspb.String("2")); !errors.Is(err, events.ErrFull) {
		t.Errorf("got %v, want ErrFull", err)
	}
	err := small.PublishAll(t.Context(), b, []text{wrapperspb.String("3"), nil})
	var batch *events.BatchError
	if !errors.As(err, &batch) || len(batch.Errs) != 2 || !errors.Is(err, events.ErrFull) || !strings.HasPrefix(err.Error(), "2 of 2 events were not stored, first number 1: ") {
		t.Errorf("got %v", err)
	}
}

// TestRetry holds when failing events come again, how often, and what becomes of them.
func TestRetry(t *testing.T) {
	boom := errors.New("boom")
	for _, topic := range []*events.Topic[text]{placed, keyed} {
		for _, tt := range []struct {
			name  string
			fail  func(attempt int) error
			opts  []events.SubscribeOption
			calls int
			most  time.Duration // of all waits together
			stats events.Stats  // that are counted
			dead  string        // error of the dead letter
		}{
			{"default", func(int) error { return boom }, nil, 10, 511 * time.Second, events.Stats{Failed: 10, DeadLettered: 1}, "boom"},
			{"once", func(n int) error { return pick(n == 1, boom) }, nil, 2, time.Second, events.Stats{Failed: 1, Handled: 1}, ""},
			{"schedule", func(int) error { return boom }, []events.SubscribeOption{events.Retry{Attempts: 5, Min: time.Minute, Max: 3 * time.Minute}},
				5, (1 + 2 + 3 + 3) * time.Minute, events.Stats{Failed: 5, DeadLettered: 1}, "boom"},
			{"for ever", func(n int) error { return pick(n < 40, boom) }, []events.SubscribeOption{events.Retry{Attempts: -1, Max: time.Second}},
				40, 39 * time.Second, events.Stats{Failed: 39, Handled: 1}, ""},
			{"permanent", func(int) error { return fmt.Errorf("wrapped: %w", events.Permanent(boom)) }, nil, 1, 0, events.Stats{Failed: 1, DeadLettered: 1}, "wrapped: boom"},
			{"panic", func(n int) error { panic("ouch") }, []events.SubscribeOption{events.Retry{Attempts: 2}}, 2, time.Second,
				events.Stats{Failed: 2, Panics: 2, DeadLettered: 1}, "panic: ouch"},
			{"goexit", func(n int) error { runtime.Goexit(); return nil }, []events.SubscribeOption{events.Retry{Attempts: 2}}, 2, time.Second,
				events.Stats{Failed: 2, DeadLettered: 1}, "the handler called runtime.Goexit"},
		} {
			inBubble(topic.Name()+" "+tt.name, t, func(t *testing.T) {
				b := newBus(new(events.Memory))
				var calls []time.Time
				sub := topic.Subscribe(b, "g", func(ctx context.Context, e *events.Event[text]) error {
					calls = append(calls, time.Now())
					if e.Attempt != len(calls) {
						t.Errorf("call %d has attempt %d", len(calls), e.Attempt)
					}
					return tt.fail(e.Attempt)
				}, append(tt.opts, events.Concurrency(2))...)
				dead := make(chan string, 10)
				events.NewTopic[text](topic.Name()+".dead").Subscribe(b, "watch", func(_ context.Context, e *events.Event[text]) error {
					letter, ok := events.DeadLetterOf(&events.Message{Metadata: e.Metadata})
					if !ok || letter.Attempts != tt.calls || letter.Group != "g" || letter.Sequence != 1 {
						t.Errorf("%+v", letter)
					}
					dead <- letter.Error
					return nil
				})
				stop := runBus(t, b)
				publish(t, b, topic, "poison")
				time.Sleep(time.Hour)
				synctest.Wait()
				if err := stop(); err != nil {
					t.Error(err)
				}
				if len(calls) != tt.calls {
					t.Fatalf("%d calls, want %d", len(calls), tt.calls)
				}
				if took := calls[len(calls)-1].Sub(calls[0]); took > tt.most || tt.calls > 4 && took < tt.most/100 {
					t.Errorf("the calls took %v, want up to %v", took, tt.most)
				}
				close(dead)
				if got := <-dead; got != tt.dead || len(dead) > 0 {
					t.Errorf("dead letter %q, want %q", got, tt.dead)
				}
				s := sub.Stats()
				got := events.Stats{Failed: s.Failed, Panics: s.Panics, Handled: s.Handled, DeadLettered: s.DeadLettered}
				if got != tt.stats || s.Held != 0 || s.Received != s.Handled+s.DeadLettered+s.Returned {
					t.Errorf("counted %+v, want %+v", s, tt.stats)
				}
			})
		}
	}
}

// TestJitter holds that events that fail together come back at different times.
func TestJitter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBus(new(events.Memory))
		var mu sync.Mutex
		at := make(map[time.Duration]int)
		began := time.Now()
		placed.Subscribe(b, "g", func(_ context.Context, e *events.Event[text]) error {
			if e.Attempt == 1 {
				return errors.New("not yet")
			}
			mu.Lock()
			defer mu.Unlock()
			at[time.Since(began)/(100*time.Millisecond)]++
			return nil
		})
		stop := runBus(t, b)
		for i := range 200 {
			publish(t, b, placed, fmt.Sprint(i))
		}
		time.Sleep(time.Minute)
		if err := stop(); err != nil {
			t.Error(err)
		}
		if len(at) != 10 {
			t.Errorf("came back in these tenths of seconds: %v, want each of ten", at)
		}
	})
}

func TestDrainTimeout(t *testing.T) {
	for _, topic := range []*events.Topic[text]{placed, keyed} {
		inBubble(topic.Name(), t, func(t *testing.T) {
			broker := new(hooked)
			b := newBus(broker)
			b.DrainTimeout = 10 * time.Second
			var cut time.Duration
			var began time.Time
			sub := topic.Subscribe(b, "g", func(ctx context.Context, e *events.Event[text]) error {
				<-ctx.Done()
				cut = time.Since(began)
				return ctx.Err()
			}, events.Concurrency(1))
			stop := runBus(t, b)
			publish(t, b, topic, "a:1", "a:2")
			synctest.Wait()
			if running := b.Running(); !slices.Equal(running, []string{`1 of subscription "g" of topic "` + topic.Name() + `"`}) {
				t.Errorf("running: %v", running)
			}
			began = time.Now()
			if err := stop(); err != nil {
				t.Errorf("Run: %v", err)
			}
			if cut != 10*time.Second {
				t.Errorf("the handler was cut after %v", cut)
			}
			if s := sub.Stats(); s.Failed != 0 || s.DeadLettered != 0 {
				t.Errorf("what was cut counts as a failure: %+v", s)
			}

			if n := broker.retries.Load(); topic == keyed && n > 0 {
				t.Errorf("%d events with an order were given back one by one", n)
			}

			// Another instance gets both at once.
			var got []string
			again := newBus(broker)
			topic.Subscribe(again, "g", func(ctx context.Context, e *events.Event[text]) error {
				got = append(got, e.Data.GetValue())
				return nil
			}, events.Concurrency(1))
			stop = runBus(t, again)
			synctest.Wait()
			stop()
			slices.Sort(got)
			if !slices.Equal(got, []string{"a:1", "a:2"}) {
				t.Errorf("the next instance got %v", got)
			}
		})
	}
	inBubble("stuck", t, func(t *testing.T) {
		b := newBus(new(events.Memory))
		release := make(chan struct{})
		placed.Subscribe(b, "g", func(context.Context, *events.Event[text]) error {
			<-release
			return nil
		})
		stop := runBus(t, b)
		publish(t, b, placed, "1")
		synctest.Wait()
		began := time.Now()
		err := stop()
		if err == nil || !strings.Contains(err.Error(), `subscription "g" of topic "orders.placed": 1 handlers still run 2s after they were cancelled`) {
			t.Errorf("Run: %v", err)
		}
		if took := time.Since(began); took != 32*time.Second {
			t.Errorf("Run returned after %v", took)
		}
		close(release)
		synctest.Wait()
	})
}

func TestPause(t *testing.T) {
	for _, topic := range []*events.Topic[text]{placed, keyed} {
		inBubble(topic.Name(), t, func(t *testing.T) {
			b := newBus(new(events.Memory))
			var handled atomic.Int64
			block := make(chan struct{}, 100)
			sub := topic.Subscribe(b, "g", func(context.Context, *events.Event[text]) error {
				<-block
				handled.Add(1)
				return nil
			}, events.Concurrency(2))
			sub.Pause() // also before the start
			stop := runBus(t, b)
			publish(t, b, topic, "a:1", "a:2", "b:1", "c:1", "d:1", "e:1")
			time.Sleep(time.Hour)
			if s := sub.Stats(); s.Received != 0 || !s.Paused {
				t.Errorf("while paused: %+v", s)
			}
			sub.Resume()
			synctest.Wait()
			block <- struct{}{}
			synctest.Wait()
			sub.Pause()
			block <- struct{}{} // those that are being handled go on
			block <- struct{}{}
			time.Sleep(time.Hour)
			if n, s := handled.Load(), sub.Stats(); n != 3 || s.Running != 0 {
				t.Errorf("after the second pause %d were handled: %+v", n, s)
			}
			sub.Resume()
			sub.Resume()
			close(block)
			time.Sleep(time.Minute)
			if n := handled.Load(); n != 6 {
				t.Errorf("%d of 6 were handled: %+v", n, sub.Stats())
			}
			if err := stop(); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestLongHandler holds that an event stays with who handles it, however long that takes.
func TestLongHandler(t *testing.T) {
	for _, topic := range []*events.Topic[text]{placed, keyed} {
		inBubble(topic.Name(), t, func(t *testing.T) {
			broker := new(events.Memory)
			var calls atomic.Int64
			for _, name := range []string{"m1", "m2"} {
				b := newBus(broker)
				b.Member = name
				topic.Subscribe(b, "g", func(context.Context, *events.Event[text]) error {
					calls.Add(1)
					time.Sleep(time.Hour)
					return nil
				}, events.Concurrency(1))
				defer runBus(t, b)()
				if name == "m1" {
					publish(t, b, topic, "a:1", "a:2", "b:1")
				}
			}
			time.Sleep(5 * time.Hour)
			if n := calls.Load(); n != 3 {
				t.Errorf("3 events were handled %d times", n)
			}
		})
	}
}

func TestTimeoutOfHandlers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBus(new(events.Memory))
		var took []time.Duration
		sub := placed.Subscribe(b, "g", func(ctx context.Context, e *events.Event[text]) error {
			began := time.Now()
			<-ctx.Done()
			took = append(took, time.Since(began))
			return context.Cause(ctx)
		}, events.Timeout(3*time.Second), events.Retry{Attempts: 2})
		stop := runBus(t, b)
		publish(t, b, placed, "1")
		time.Sleep(time.Minute)
		stop()
		if s := sub.Stats(); !slices.Equal(took, []time.Duration{3 * time.Second, 3 * time.Second}) || s.DeadLettered != 1 || s.LastError != "context deadline exceeded" {
			t.Errorf("%v, %+v", took, s)
		}
	})
}

// TestConcurrency holds that as many events are handled at the same time as were asked for, and no more, also when most handlers are slow.
func TestConcurrency(t *testing.T) {
	for _, n := range []int{1, 3, 16} {
		inBubble(fmt.Sprint(n), t, func(t *testing.T) {
			b := newBus(new(events.Memory))
			var now, most, handled atomic.Int64
			sub := placed.Subscribe(b, "g", func(context.Context, *events.Event[text]) error {
				for at := now.Add(1); ; {
					if was := most.Load(); at <= was || most.CompareAndSwap(was, at) {
						break
					}
				}
				time.Sleep(time.Second)
				now.Add(-1)
				handled.Add(1)
				return nil
			}, events.Concurrency(n))
			stop := runBus(t, b)
			for i := range 160 {
				publish(t, b, placed, fmt.Sprint(i))
			}
			began := time.Now()
			synctest.Wait()
			if s := sub.Stats(); s.Held > n {
				t.Errorf("%d slow events are held, and %d handled at the same time: fetching ahead takes them from others", s.Held, n)
			}
			for handled.Load() < 160 {
				time.Sleep(time.Second)
			}
			if most.Load() != int64(n) {
				t.Errorf("%d at the same time, want %d", most.Load(), n)
			}
			if took, want := time.Since(began), time.Duration(160/n+160/n/10+3)*time.Second; took > want {
				t.Errorf("took %v, want %v", took, want)
			}
			stop()
		})
	}
}

func pick(yes bool, err error) error {
	if yes {
		return err
	}
	return nil
}
