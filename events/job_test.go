package events_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hanse-go/hanse/events"
)

// fired notes firings.
type fired struct {
	mu  sync.Mutex
	all []events.Firing
}

func (f *fired) add(one events.Firing) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.all = append(f.all, one)
}

// take returns what was noted since, each as TIME or TIME/ATTEMPT.
func (f *fired) take() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var all []string
	for _, one := range f.all {
		text := one.Time.Format("02T15:04:05")
		if one.Attempt > 1 {
			text += fmt.Sprintf("/%d", one.Attempt)
		}
		all = append(all, text)
	}
	f.all = nil
	return strings.Join(all, " ")
}

func (f *fired) want(t *testing.T, what, want string) {
	t.Helper()
	synctest.Wait()
	if got := f.take(); got != want {
		t.Errorf("%s: fired %q, want %q", what, got, want)
	}
}

// ok is a job that notes what is fired.
func (f *fired) ok(_ context.Context, one events.Firing) error {
	f.add(one)
	return nil
}

// instance runs a bus that declares a job.
func instance(t *testing.T, keeper events.JobKeeper, schedule events.Schedule, f func(context.Context, events.Firing) error, opts ...events.JobOption) (*events.Job, func() error) {
	t.Helper()
	b := newBus(nil)
	b.Jobs = keeper
	j := events.Every(b, "report", schedule, f, opts...)
	return j, runBus(t, b)
}

// In a bubble it is 2000-01-01, a Saturday, at midnight UTC.

func TestEveryIsFiredOnce(t *testing.T) {
	inBubble("interval", t, func(t *testing.T) {
		var all fired
		memory := new(events.Memory)
		for range 3 {
			instance(t, memory, events.Interval(5*time.Minute), all.ok)
		}
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		for i, f := range all.all {
			want := time.Date(2000, 1, 1, 0, 5*(i+1), 0, 0, time.UTC)
			if !f.Time.Equal(want) || f.Attempt != 1 || f.Job != "report" || f.ID != "test/report@"+want.Format(time.RFC3339) {
				t.Fatalf("number %d: %+v", i, f)
			}
			if i > 0 && f.Token <= all.all[i-1].Token {
				t.Fatalf("number %d: its token is %d after %d", i, f.Token, all.all[i-1].Token)
			}
			if i > 0 && !f.Last.Equal(all.all[i-1].Time) || i == 0 && !f.Last.IsZero() {
				t.Fatalf("number %d: the last one was %v", i, f.Last)
			}
		}
		if len(all.all) != 24*12 {
			t.Errorf("fired %d times", len(all.all))
		}
	})
	inBubble("cron", t, func(t *testing.T) {
		var all fired
		var last time.Time
		memory := &events.Bus{Broker: new(events.Memory), Source: "hanse:///test"} // a broker may keep jobs
		j := events.Every(memory, "report", events.Cron("30 2 * * *").In("Europe/Berlin"), func(_ context.Context, f events.Firing) error {
			last = f.Time
			return all.ok(t.Context(), f)
		})
		if next := j.Stats().Next; !next.IsZero() {
			t.Errorf("before it ran, it looks at %v", next)
		}
		runBus(t, memory)
		time.Sleep(time.Until(time.Date(2000, 3, 25, 12, 0, 0, 0, time.UTC)))
		all.take()
		time.Sleep(2 * 24 * time.Hour)
		all.want(t, "around a change of the clocks", "26T03:00:00 27T02:30:00")
		if last.Location().String() != "Europe/Berlin" {
			t.Errorf("its time is that of %v", last.Location())
		}
		if s := j.Stats(); s.Succeeded != 87 || s.Begun != 87 || s.Failed != 0 || s.Schedule != "CRON_TZ=Europe/Berlin 30 2 * * *" || !s.Next.Equal(time.Date(2000, 3, 28, 0, 30, 0, 0, time.UTC)) {
			t.Errorf("%+v", s)
		}
	})
}

func TestEveryMissed(t *testing.T) {
	for name, c := range map[string]struct {
		opts []events.JobOption
		down time.Duration
		want string
	}{
		"once":                     {nil, 180 * time.Minute, "01T03:00:00"},
		"nothing was":              {nil, 20 * time.Minute, ""},
		"left out":                 {[]events.JobOption{events.StartWithin(29 * time.Minute)}, 180 * time.Minute, ""},
		"late, and not too late":   {[]events.JobOption{events.StartWithin(31 * time.Minute)}, 180 * time.Minute, "01T03:00:00"},
		"years, and not a storm":   {nil, 5 * 365 * 24 * time.Hour, "30T00:00:00"},
		"due at the very moment":   {nil, 30 * time.Minute, "01T01:00:00"},
		"the same, never too late": {[]events.JobOption{events.StartWithin(time.Second)}, 30 * time.Minute, "01T01:00:00"},
	} {
		inBubble(name, t, func(t *testing.T) {
			var all fired
			memory := new(events.Memory)
			time.Sleep(30 * time.Minute)
			_, stop := instance(t, memory, events.Interval(time.Hour), all.ok)
			all.want(t, "a new job", "")
			stop()
			time.Sleep(c.down)
			instance(t, memory, events.Interval(time.Hour), all.ok, c.opts...)
			all.want(t, "after the time", c.want)
			time.Sleep(time.Until(time.Now().Truncate(time.Hour).Add(time.Hour)))
			all.want(t, "then", time.Now().UTC().Format("02T15:04:05"))
		})
	}
}

func TestEveryFails(t *testing.T) {
	failing := func(all *fired, errs ...func() error) func(context.Context, events.Firing) error {
		return func(_ context.Context, f events.Firing) error {
			all.add(f)
			if f.Time.Hour() == 1 && f.Attempt <= len(errs) {
				return errs[f.Attempt-1]()
			}
			return nil
		}
	}
	no := func() error { return errors.New("no") }
	for name, c := range map[string]struct {
		errs []func() error
		opts []events.JobOption
		want string
		stat func(s events.JobStats) bool
	}{
		"and then not": {
			errs: []func() error{no, func() error { panic("oh") }, func() error { runtime.Goexit(); return nil }},
			want: "01T01:00:00 01T01:00:00/2 01T01:00:00/3 01T01:00:00/4 01T02:00:00",
			stat: func(s events.JobStats) bool {
				return s.Begun == 5 && s.Failed == 3 && s.Panics == 1 && s.Succeeded == 2 && s.GivenUp == 0 && s.LastError == "the function called runtime.Goexit"
			},
		},
		"too often": {
			errs: []func() error{no, no, no},
			opts: []events.JobOption{events.Retry{Attempts: 2}},
			want: "01T01:00:00 01T01:00:00/2 01T02:00:00",
			stat: func(s events.JobStats) bool { return s.Failed == 2 && s.GivenUp == 1 && s.Succeeded == 1 },
		},
		"for good": {
			errs: []func() error{func() error { return events.Permanent(errors.New("never")) }},
			want: "01T01:00:00 01T02:00:00",
			stat: func(s events.JobStats) bool { return s.GivenUp == 1 && s.LastError == "never" },
		},
	} {
		inBubble(name, t, func(t *testing.T) {
			var all fired
			memory := new(events.Memory)
			j, _ := instance(t, memory, events.Interval(time.Hour), failing(&all, c.errs...), c.opts...)
			time.Sleep(2*time.Hour + time.Minute)
			all.want(t, "fails", c.want)
			if s := j.Stats(); !c.stat(s) {
				t.Errorf("%+v", s)
			}
		})
	}
	inBubble("longer than to the next", t, func(t *testing.T) {
		var all fired
		failures := 0
		j, _ := instance(t, new(events.Memory), events.Interval(time.Minute), func(_ context.Context, f events.Firing) error {
			all.add(f)
			if failures++; failures <= 3 {
				time.Sleep(90 * time.Second)
				return errors.New("no")
			}
			return nil
		}, events.Retry{Max: time.Second})
		time.Sleep(5*time.Minute + 50*time.Second)
		all.want(t, "fails", "01T00:01:00 01T00:01:00/2 01T00:01:00/3 01T00:01:00/4 01T00:05:00")
		if s := j.Stats(); s.Running {
			t.Errorf("%+v", s)
		}
	})
	inBubble("timeout", t, func(t *testing.T) {
		j, _ := instance(t, new(events.Memory), events.Interval(time.Minute), func(ctx context.Context, _ events.Firing) error {
			<-ctx.Done()
			return ctx.Err()
		}, events.Timeout(time.Second), events.Retry{Attempts: 1})
		time.Sleep(90 * time.Second)
		if s := j.Stats(); s.GivenUp != 1 || s.LastError != context.DeadlineExceeded.Error() {
			t.Errorf("%+v", s)
		}
	})
}

func TestEveryDoesNotOverlap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var all fired
		var running atomic.Int32
		memory := new(events.Memory)
		for range 3 {
			instance(t, memory, events.Interval(5*time.Minute), func(_ context.Context, f events.Firing) error {
				if running.Add(1) > 1 {
					t.Errorf("two at the same time, at %v", f.Time)
				}
				defer running.Add(-1)
				all.add(f)
				if f.Time.Minute() == 5 {
					time.Sleep(12 * time.Minute)
				}
				return nil
			})
		}
		time.Sleep(26 * time.Minute)
		all.want(t, "with one of 12 minutes", "01T00:05:00 01T00:15:00 01T00:20:00 01T00:25:00")
	})
}

func TestEveryDrain(t *testing.T) {
	inBubble("finished", t, func(t *testing.T) {
		var all fired
		_, stop := instance(t, new(events.Memory), events.Interval(time.Minute), func(ctx context.Context, f events.Firing) error {
			time.Sleep(20 * time.Second)
			all.add(f)
			return ctx.Err()
		})
		time.Sleep(70 * time.Second)
		if err := stop(); err != nil || time.Now().Second() != 20 {
			t.Errorf("at %v: %v", time.Now(), err)
		}
		all.want(t, "while it drains", "01T00:01:00")
	})
	inBubble("cut, and done by another", t, func(t *testing.T) {
		var all fired
		memory := new(events.Memory)
		b := newBus(memory)
		events.Every(b, "report", events.Interval(time.Minute), func(ctx context.Context, f events.Firing) error {
			<-ctx.Done()
			return ctx.Err()
		})
		stop := runBus(t, b)
		time.Sleep(70 * time.Second)
		if running := b.Running(); len(running) != 1 || running[0] != `job "report"` {
			t.Errorf("running: %v", running)
		}
		if err := stop(); err != nil || time.Now().Second() != 40 {
			t.Errorf("at %v: %v", time.Now(), err)
		}
		if s := b.Stats().Jobs[0]; s.Failed != 0 || s.Begun != 1 || s.Running {
			t.Errorf("%+v", s)
		}
		instance(t, memory, events.Interval(time.Minute), all.ok)
		all.want(t, "by another", "01T00:01:00/2")
	})
	inBubble("does not heed", t, func(t *testing.T) {
		release := make(chan struct{})
		_, stop := instance(t, new(events.Memory), events.Interval(time.Minute), func(context.Context, events.Firing) error {
			<-release
			return nil
		})
		time.Sleep(70 * time.Second)
		if err := stop(); err == nil || err.Error() != `job "report" still runs 2s after it was cancelled: let it heed its context` {
			t.Error(err)
		}
		close(release)
	})
	inBubble("never run", t, func(t *testing.T) {
		b := newBus(new(events.Memory))
		events.Every(b, "report", events.Interval(time.Minute), new(fired).ok)
		if err := b.Declare(t.Context()); err != nil {
			t.Error(err)
		}
		if err := b.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// TestEveryOtherSchedule holds that the schedule counts that was declared last, also in instances that were there before.
func TestEveryOtherSchedule(t *testing.T) {
	inBubble("later", t, func(t *testing.T) {
		var all fired
		memory := new(events.Memory)
		old, _ := instance(t, memory, events.Cron("@hourly"), all.ok)
		time.Sleep(time.Hour)
		all.want(t, "before", "01T01:00:00")
		_, stop := instance(t, memory, events.Cron("30 */4 * * *"), all.ok)
		stop() // and only the old one is left
		time.Sleep(5 * time.Hour)
		all.want(t, "after", "01T04:30:00")
		if s := old.Stats(); s.Schedule != "30 */4 * * *" {
			t.Errorf("%+v", s)
		}
	})
	inBubble("nothing is missed by it", t, func(t *testing.T) {
		var all fired
		memory := new(events.Memory)
		_, stop := instance(t, memory, events.Cron("@weekly"), all.ok)
		stop()
		time.Sleep(150 * time.Minute)
		instance(t, memory, events.Cron("@hourly"), all.ok)
		all.want(t, "at once", "")
		time.Sleep(time.Hour)
		all.want(t, "then", "01T03:00:00")
	})
	inBubble("while it runs", t, func(t *testing.T) {
		var all fired
		memory := new(events.Memory)
		instance(t, memory, events.Interval(time.Hour), func(_ context.Context, f events.Firing) error {
			if f.Time.Minute() == 0 {
				time.Sleep(20 * time.Minute)
			}
			all.add(f)
			return nil
		})
		time.Sleep(70 * time.Minute)
		j, _ := instance(t, memory, events.Cron("30 * * * *"), all.ok)
		time.Sleep(15 * time.Minute)
		all.want(t, "what ran", "01T01:00:00")
		time.Sleep(10 * time.Minute)
		all.want(t, "what comes", "01T01:30:00")
		if s := j.Stats(); s.Lost != 0 {
			t.Errorf("%+v", s)
		}
	})
	inBubble("of a version to come", t, func(t *testing.T) {
		var all fired
		var log bytes.Buffer
		memory := new(events.Memory)
		b := newBus(memory)
		b.Logger = slog.New(slog.NewTextHandler(&log, nil))
		events.Every(b, "report", events.Interval(time.Hour), all.ok)
		stop := runBus(t, b)
		state, revision, err := memory.LoadJob(t.Context(), "test/report")
		if err != nil {
			t.Fatal(err)
		}
		change := func(what, to string) {
			changed := strings.Replace(string(state), what, to, 1)
			if revision, err = memory.StoreJob(t.Context(), "test/report", []byte(changed), revision); err != nil || revision == 0 {
				t.Fatal(revision, err)
			}
		}
		change("@every 1h0m0s", "@moonrise")
		time.Sleep(90 * time.Minute)
		all.want(t, "a schedule that is not known", "")
		change(`"version":1`, `"version":2,"moon":{"phase":"new"}`)
		time.Sleep(time.Minute)
		all.want(t, "when it is known again", "01T01:00:00")
		stop()
		if !strings.Contains(log.String(), "another instance has declared a schedule that this version cannot read") {
			t.Error(log.String())
		}
		state, _, _ = memory.LoadJob(t.Context(), "test/report")
		var got map[string]any
		if err := json.Unmarshal(state, &got); err != nil || fmt.Sprint(got["moon"]) != "map[phase:new]" || fmt.Sprint(got["version"]) != "2" || got["done"] != "2000-01-01T01:00:00Z" {
			t.Errorf("%s %v", state, err)
		}
	})
}

// awayJobs is a JobKeeper in trouble.
type awayJobs struct {
	events.JobKeeper
	load, store, hold func() error // nil: as it should be
	after             bool         // store fails when it is stored
}

func (k *awayJobs) LoadJob(ctx context.Context, job string) ([]byte, uint64, error) {
	if k.load != nil {
		if err := k.load(); err != nil {
			return nil, 0, err
		}
	}
	return k.JobKeeper.LoadJob(ctx, job)
}

func (k *awayJobs) StoreJob(ctx context.Context, job string, state []byte, revision uint64) (uint64, error) {
	if k.store != nil {
		if err := k.store(); err != nil {
			if k.after {
				k.JobKeeper.StoreJob(ctx, job, state, revision)
			}
			return 0, err
		}
	}
	return k.JobKeeper.StoreJob(ctx, job, state, revision)
}

func (k *awayJobs) HoldJob(ctx context.Context, job string, lost time.Duration, f func(context.Context, uint64)) (bool, error) {
	if k.hold != nil {
		if err := k.hold(); err != nil {
			return false, err
		}
	}
	return k.JobKeeper.HoldJob(ctx, job, lost, f)
}

func TestEveryWhenTheStoreIsAway(t *testing.T) {
	for name, trouble := range map[string]func(k *awayJobs, away func() error){
		"load":              func(k *awayJobs, away func() error) { k.load = away },
		"hold":              func(k *awayJobs, away func() error) { k.hold = away },
		"store":             func(k *awayJobs, away func() error) { k.store = away },
		"answers of stores": func(k *awayJobs, away func() error) { k.store, k.after = away, true },
	} {
		for _, when := range []string{"before", "while"} {
			inBubble(name+" "+when, t, func(t *testing.T) {
				var all fired
				var until atomic.Pointer[time.Time]
				awayFor := func(d time.Duration) {
					end := time.Now().Add(d)
					until.Store(&end)
				}
				awayFor(0)
				keeper := &awayJobs{JobKeeper: new(events.Memory)}
				trouble(keeper, func() error {
					if time.Now().Before(*until.Load()) {
						return errors.New("the store is away")
					}
					return nil
				})
				j, stop := instance(t, keeper, events.Interval(time.Hour), func(_ context.Context, f events.Firing) error {
					all.add(f)
					if when == "while" && f.Time.Hour() == 1 {
						awayFor(10 * time.Minute)
					}
					return nil
				})
				attempt := ""
				if when == "before" {
					awayFor(70 * time.Minute)
					if keeper.after {
						attempt = "/" // that it was begun is stored each time
					}
				}
				time.Sleep(2*time.Hour + time.Minute)
				got := all.take()
				if attempt != "" {
					if !strings.HasPrefix(got, "01T01:00:00/") || !strings.HasSuffix(got, " 01T02:00:00") || strings.Count(got, " ") != 1 {
						t.Errorf("fired %q", got)
					}
				} else if got != "01T01:00:00 01T02:00:00" {
					t.Errorf("fired %q", got)
				}
				if s := j.Stats(); s.Lost != 0 || s.Succeeded != 2 || s.LastError != "the store is away" && (name == "store" || when == "before") {
					t.Errorf("%+v", s)
				}
				if err := stop(); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

// frailJobs is a JobKeeper by which a job may be lost.
type frailJobs struct {
	*events.Memory
	lose context.Context // when it ends the job is lost
}

func (k frailJobs) HoldJob(ctx context.Context, job string, lost time.Duration, f func(context.Context, uint64)) (bool, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	tokens, ended := make(chan uint64), make(chan struct{})
	go func() {
		held, _ := k.Memory.HoldJob(ctx, job, lost, func(_ context.Context, token uint64) {
			tokens <- token
			select {
			case <-ended:
			case <-k.lose.Done():
				cancel()
			}
		})
		if !held {
			close(tokens)
		}
	}()
	token, held := <-tokens
	if held {
		f(ctx, token)
		close(ended)
	}
	return held, nil
}

// TestEveryIsLost holds that what an instance does after it has lost the job changes nothing.
func TestEveryIsLost(t *testing.T) {
	for name, result := range map[string]error{"ends well": nil, "fails": errors.New("no"), "fails for good": events.Permanent(errors.New("no"))} {
		inBubble(name, t, func(t *testing.T) {
			var all fired
			memory := new(events.Memory)
			lose, cancel := context.WithCancel(t.Context())
			frozen, _ := instance(t, frailJobs{memory, lose}, events.Interval(time.Hour), func(ctx context.Context, f events.Firing) error {
				<-ctx.Done()
				time.Sleep(10 * time.Minute)
				return result
			})
			time.Sleep(61 * time.Minute)
			other, _ := instance(t, memory, events.Interval(time.Hour), func(_ context.Context, f events.Firing) error {
				all.add(f)
				time.Sleep(20 * time.Minute)
				return nil
			})
			synctest.Wait()
			cancel()
			time.Sleep(30 * time.Minute)
			all.want(t, "by another", "01T01:00:00/2")
			if s := frozen.Stats(); s.Lost != 1 || s.GivenUp > 0 && result == nil {
				t.Errorf("%+v", s)
			}
			if s := other.Stats(); s.Lost != 0 || s.Succeeded != 1 {
				t.Errorf("%+v", s)
			}
		})
	}
}

// TestEveryCrashes holds that a job that ends the process again and again is given up.
func TestEveryCrashes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var all fired
		memory := new(events.Memory)
		_, stop := instance(t, memory, events.Interval(time.Hour), all.ok)
		stop()
		state, revision, err := memory.LoadJob(t.Context(), "test/report")
		if err != nil {
			t.Fatal(err)
		}
		state = bytes.Replace(state, []byte(`"attempt":0`), []byte(`"attempt":30`), 1)
		state = bytes.Replace(state, []byte(`"firing":"0001-01-01T00:00:00Z"`), []byte(`"firing":"1999-12-31T23:00:00Z"`), 1)
		if revision, err = memory.StoreJob(t.Context(), "test/report", state, revision); err != nil || revision == 0 {
			t.Fatal(revision, err)
		}
		j, _ := instance(t, memory, events.Interval(time.Hour), all.ok)
		time.Sleep(time.Hour)
		all.want(t, "after 30 crashes", "01T01:00:00")
		if s := j.Stats(); s.GivenUp != 1 || !strings.HasPrefix(s.LastError, "it was begun 30 times and never ended") {
			t.Errorf("%+v", s)
		}
	})
}

func TestEveryMistakes(t *testing.T) {
	ok := new(fired).ok
	hourly := events.Cron("@hourly")
	b := newBus(new(events.Memory))
	events.Every(b, "Report", hourly, ok)
	events.Every(b, "", hourly, ok)
	events.Every(b, "nil", hourly, nil)
	events.Every(b, "wrong", events.Cron("61 * * * *"), ok)
	events.Every(b, "options", hourly, ok, events.StartWithin(0), events.Timeout(-1), events.AckWait(1), events.Retry{Attempts: -2}, nil)
	events.Every(b, "twice", hourly, ok)
	events.Every(b, "twice", hourly, ok)
	if j := events.Every(nil, "nobody", hourly, ok); j.Stats().Name != "nobody" {
		t.Errorf("%+v", j.Stats())
	}
	err := b.Declare(t.Context())
	for _, want := range []string{
		`job "Report": its name must be 1 to 63 of`, `job "": its name must be`, `job "nil": its function is nil`, `job "wrong": Cron("61 * * * *"): column 1`,
		`job "options": StartWithin(0s)`, "Timeout(-1ns)", "AckWait(1ns)", "Retry: Attempts", "an option is nil", `job "twice" is there twice in one service`,
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v\nis not about %s", err, want)
		}
	}
	if jobs := b.DeclaredJobs(); len(jobs) != 1 || jobs[0] != "twice" {
		t.Errorf("declared: %v", jobs)
	}

	b = newBus(nil)
	b.Bind(struct{ events.Broker }{new(events.Memory)})
	events.Every(b, "report", hourly, ok)
	if err := b.Declare(t.Context()); err == nil || !strings.Contains(err.Error(), `job "report": the bus has nothing to keep jobs in: set its field Jobs`) {
		t.Errorf("without a keeper: %v", err)
	}
}

// TestEveryLate declares a job while the host runs.
func TestEveryLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var all fired
		b := newBus(new(events.Memory))
		runBus(t, b)
		synctest.Wait()
		events.Every(b, "report", events.Interval(time.Minute), all.ok)
		time.Sleep(time.Minute)
		all.want(t, "later", "01T00:01:00")
	})
}
