package driver_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/discovery/discoverytest"
	"github.com/hanse-go/hanse/discovery/driver"
)

var errAway = errors.New("away")

// engine holds one instance, and is its own keeper.
type engine struct {
	mu    sync.Mutex
	has   string        // the state of the instance; empty: it has none
	away  bool          // answers nothing
	hangs bool          // does not answer in time
	loses bool          // what it has, whenever it is asked for it
	slow  time.Duration // how long it takes to answer
	hasty bool          // says at once that it is time for the next look
	said  []string      // what was asked of it
	busy  bool
}

func (e *engine) ask(ctx context.Context, what string) (done func(), err error) {
	e.mu.Lock()
	if e.busy {
		panic("the keeper is asked while it is at work")
	}
	e.busy = true
	e.said = append(e.said, what)
	if e.loses && what == "check" {
		e.has = ""
	}
	away, hangs, slow := e.away, e.hangs, e.slow
	e.mu.Unlock()
	done = func() { e.set(func() { e.busy = false }) }
	time.Sleep(slow)
	if hangs {
		<-ctx.Done()
		return done, ctx.Err()
	}
	if away {
		return done, errAway
	}
	return done, nil
}

func (e *engine) Put(ctx context.Context, inst discovery.Instance) error {
	done, err := e.ask(ctx, "put "+string(inst.State))
	defer done()
	if err == nil {
		e.set(func() { e.has = string(inst.State) })
	}
	return err
}

func (e *engine) Check(ctx context.Context, inst discovery.Instance) (func(context.Context), error) {
	done, err := e.ask(ctx, "check")
	defer done()
	if err != nil || e.get() != string(inst.State) {
		return nil, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.hasty {
		return func(context.Context) {}, nil
	}
	return func(ctx context.Context) { driver.Sleep(ctx, time.Minute) }, nil
}

func (e *engine) Withdraw(ctx context.Context) error {
	done, err := e.ask(ctx, "withdraw")
	defer done()
	if err == nil {
		e.set(func() { e.has = "" })
	}
	return err
}

func (e *engine) Explain(doing string, err error) error {
	return fmt.Errorf("engine: %s: %w", doing, err)
}

func (e *engine) set(f func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	f()
}

func (e *engine) get() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.has
}

// asked returns what was asked since the last time, and how often.
func (e *engine) asked(what string) (n int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, said := range e.said {
		if strings.HasPrefix(said, what) {
			n++
		}
	}
	e.said = nil
	return n
}

func c1(state discovery.State) discovery.Instance {
	return discovery.Instance{Service: "cart", ID: "c1", State: state}
}

// keeping announces c1 in virtual time.
func keeping(t *testing.T, test func(t *testing.T, e *engine, lease discovery.Lease, log *discoverytest.Log)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		e, log := new(engine), new(discoverytest.Log)
		lease, err := driver.Keep(t.Context(), c1(discovery.Starting), e, log.Logger())
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		test(t, e, lease, log)
		e.set(func() { e.away, e.hangs, e.loses, e.slow = false, false, false, 0 })
		if err := lease.Close(); err != nil {
			t.Error(err)
		}
		if e.get() != "" {
			t.Error("it is still there")
		}
	})
}

func TestKeep(t *testing.T) {
	keeping(t, func(t *testing.T, e *engine, lease discovery.Lease, log *discoverytest.Log) {
		time.Sleep(10*time.Minute + time.Second)
		if n := e.asked("check"); n != 11 {
			t.Errorf("%d checks in 10 minutes, want one a minute and the first", n)
		}
		if err := lease.Update(t.Context(), c1(discovery.Ready)); err != nil || e.get() != "ready" {
			t.Errorf("%v, %s", err, e.get())
		}
		e.set(func() { e.hasty = true })
		time.Sleep(2 * time.Minute)
		if n := e.asked("check"); n < 500 || n > 1250 {
			t.Errorf("%d checks in 1 to 2 minutes, want 10 a second at most", n)
		}
		if log.String() != "" {
			t.Errorf("logged:\n%s", log)
		}
	})
}

// What is lost is put again, and looked after at once.
func TestKeepLost(t *testing.T) {
	keeping(t, func(t *testing.T, e *engine, lease discovery.Lease, log *discoverytest.Log) {
		for range 3 {
			e.set(func() { e.has = "" })
			time.Sleep(time.Minute + time.Second)
			if e.get() != "starting" {
				t.Error("it was not put again")
			}
		}
		if n := log.Count("announced again"); n != 3 || log.Count("\n") != 3 {
			t.Errorf("%d lines:\n%s", n, log)
		}
		e.asked("")
		e.set(func() { e.loses = true })
		time.Sleep(10 * time.Minute)
		if n := e.asked("put"); n < 500 || n > 1300 {
			t.Errorf("put again %d times in 10 minutes, want once in half a second to a second", n)
		}
	})
}

// While the engine is away it is tried on, with one warning, and soon after it is back all is well.
func TestKeepAway(t *testing.T) {
	keeping(t, func(t *testing.T, e *engine, lease discovery.Lease, log *discoverytest.Log) {
		e.set(func() { e.away = true })
		err := lease.Update(t.Context(), c1(discovery.Ready))
		if want := "engine: update c1 of cart (it is done when the registry takes it): away"; err == nil || err.Error() != want {
			t.Errorf("Update: %v, want %s", err, want)
		}
		e.asked("")
		time.Sleep(10 * time.Minute)
		if n := e.asked(""); n < 590 || n > 1300 {
			t.Errorf("tried %d times in 10 minutes, want once in half a second to a second", n)
		}
		e.set(func() { e.away = false })
		time.Sleep(time.Second)
		if e.get() != "ready" {
			t.Errorf("a second after it is back it has %q", e.get())
		}
		for _, away := range []bool{true, false} {
			e.set(func() { e.away = away })
			time.Sleep(time.Minute + time.Second)
		}
		if log.Count("cannot be kept announced") != 2 || log.Count("kept announced again") != 2 || log.Count("\n") != 4 || log.Count("instance=c1") != 4 {
			t.Errorf("log:\n%s", log)
		}
	})
}

// An engine that hangs holds nobody for longer than 20 s, or than asked for, and one that is closed for 2 s.
func TestKeepHangs(t *testing.T) {
	keeping(t, func(t *testing.T, e *engine, lease discovery.Lease, log *discoverytest.Log) {
		e.set(func() { e.hangs = true })
		for _, limit := range []time.Duration{10 * time.Second, 100 * time.Millisecond} {
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			began := time.Now()
			err := lease.Update(ctx, c1(discovery.Ready))
			cancel()
			if took := time.Since(began); !errors.Is(err, context.DeadlineExceeded) || took != limit {
				t.Errorf("after %v, want %v: %v", took, limit, err)
			}
		}
		other := &engine{hangs: true}
		began := time.Now()
		if _, err := driver.Keep(t.Context(), c1(discovery.Ready), other, slog.New(slog.DiscardHandler)); err == nil || time.Since(began) != 22*time.Second {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
	})
}

// Close waits for no Update, neither for the one that is under way nor for those that wait behind it.
func TestKeepClosesAtOnce(t *testing.T) {
	keeping(t, func(t *testing.T, e *engine, lease discovery.Lease, log *discoverytest.Log) {
		e.set(func() { e.hangs = true })
		var updates sync.WaitGroup
		for _, state := range []discovery.State{discovery.Ready, discovery.Draining} {
			updates.Go(func() {
				if err := lease.Update(t.Context(), c1(state)); !errors.Is(err, discovery.ErrClosed) {
					t.Errorf("Update to %s: %v", state, err)
				}
			})
			synctest.Wait()
		}
		e.set(func() { e.hangs = false }) // from now on it answers; the first update waits on
		began := time.Now()
		if err := lease.Close(); err != nil || e.get() != "" {
			t.Errorf("Close: %v; it has %q", err, e.get())
		}
		updates.Wait()
		if took := time.Since(began); took != 0 {
			t.Errorf("after %v", took)
		}
		if n := e.asked("put"); n != 2 || log.String() != "" { // the first, and the update that was under way
			t.Errorf("put %d times\n%s", n, log)
		}
	})
}

// Updates that come while one is under way: the last one counts.
func TestKeepUpdates(t *testing.T) {
	keeping(t, func(t *testing.T, e *engine, lease discovery.Lease, log *discoverytest.Log) {
		e.set(func() { e.slow = time.Second })
		var wg sync.WaitGroup
		for _, state := range []discovery.State{discovery.Starting, discovery.Ready, discovery.Draining} {
			wg.Go(func() {
				if err := lease.Update(t.Context(), c1(state)); err != nil {
					t.Error(err)
				}
			})
			synctest.Wait()
		}
		wg.Wait()
		if e.get() != "draining" {
			t.Errorf("it has %s", e.get())
		}
		time.Sleep(2 * time.Minute)
		if n := e.asked("put"); n != 3 || e.get() != "draining" || log.String() != "" { // the first, that of starting, one for the other two
			t.Errorf("put %d times; it has %s\n%s", n, e.get(), log)
		}
	})
}

func TestKeepRefuses(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	e := new(engine)
	for _, inst := range []discovery.Instance{{}, {Service: "cart", ID: "c1"}} {
		if _, err := driver.Keep(t.Context(), inst, e, log); err == nil || len(e.said) > 0 {
			t.Errorf("%+v: %v, %v", inst, err, e.said)
		}
	}
	e.away = true
	if _, err := driver.Keep(t.Context(), c1(discovery.Ready), e, log); !errors.Is(err, errAway) || fmt.Sprint(e.said) != "[put ready withdraw]" {
		t.Errorf("%v, %v", err, e.said)
	}
	if _, err := driver.Keep(t.Context(), c1(discovery.Ready), taken{e}, log); !errors.Is(err, discovery.ErrTaken) || !strings.HasSuffix(err.Error(), "taken: c1 of cart") {
		t.Errorf("%v", err)
	}
	keeping(t, func(t *testing.T, e *engine, lease discovery.Lease, log *discoverytest.Log) {
		for _, inst := range []discovery.Instance{{Service: "cart", ID: "c2", State: discovery.Ready}, {Service: "catalog", ID: "c1", State: discovery.Ready}, c1("dancing")} {
			if err := lease.Update(t.Context(), inst); err == nil {
				t.Errorf("update by %+v: no error", inst)
			}
		}
		for range 2 {
			if err := lease.Close(); err != nil {
				t.Error(err)
			}
		}
		if err := lease.Update(t.Context(), c1(discovery.Ready)); !errors.Is(err, discovery.ErrClosed) || e.get() != "" {
			t.Errorf("%v; it has %q", err, e.get())
		}
	})
}

type taken struct{ *engine }

func (taken) Put(context.Context, discovery.Instance) error { return discovery.ErrTaken }
