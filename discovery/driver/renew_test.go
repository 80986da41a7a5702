package driver_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/discovery/discoverytest"
	"github.com/hanse-go/hanse/discovery/driver"
)

// forgetful is an engine that wants to be told that its instance lives.
type forgetful struct {
	*engine
	taken bool
}

func (f forgetful) Taken(ctx context.Context) (bool, error) {
	done, err := f.ask(ctx, "taken")
	defer done()
	return f.taken, err
}

func (f forgetful) Register(ctx context.Context, inst discovery.Instance) error {
	return f.Put(ctx, inst)
}

func (f forgetful) Renew(ctx context.Context, inst discovery.Instance) (bool, error) {
	done, err := f.ask(ctx, "renew")
	defer done()
	return f.get() == string(inst.State), err
}

func (f forgetful) Withdraw(ctx context.Context, registered bool) error {
	done, err := f.ask(ctx, fmt.Sprint("withdraw ", registered))
	defer done()
	f.set(func() { f.has = "" })
	return err
}

// heard returns all that was asked of the engine since the last time.
func (f forgetful) heard() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	said := fmt.Sprint(f.said)
	f.said = nil
	return said
}

func TestRenewals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, log := forgetful{engine: new(engine)}, new(discoverytest.Log)
		lease, err := new(driver.Renewals).Keep(t.Context(), c1(discovery.Starting), e, time.Minute, log.Logger())
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(50 * time.Second)
		if got := e.heard(); got != "[taken put starting]" {
			t.Errorf("at first: %s", got)
		}
		time.Sleep(time.Hour)
		if n := e.asked("renew"); n < 60 || n > 70 {
			t.Errorf("renewed %d times in an hour, want once a minute or a little more often", n)
		}
		if err := lease.Update(t.Context(), c1(discovery.Ready)); err != nil || e.get() != "ready" {
			t.Errorf("%v, %s", err, e.get())
		}
		e.heard()
		e.set(func() { e.has = "" })
		time.Sleep(2*time.Minute + time.Second) // an update counts as a renewal
		if got := e.heard(); !strings.HasPrefix(got, "[renew put ready") || e.get() != "ready" {
			t.Errorf("when it is lost: %s; it has %q", got, e.get())
		}
		if err := lease.Close(); err != nil {
			t.Error(err)
		}
		if got := e.heard(); got != "[withdraw true]" {
			t.Errorf("in the end: %s", got)
		}
		if log.Count("\n") != 1 || log.Count("announced again") != 1 {
			t.Errorf("log:\n%s", log)
		}
	})
}

// An ID belongs to one lease of a handle, and to one live instance of the engine. What was not registered is not taken back.
func TestRenewalsTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var handle driver.Renewals
		log := new(discoverytest.Log)
		keep := func(handle *driver.Renewals, e forgetful, want error, said string) (lease discovery.Lease) {
			t.Helper()
			lease, err := handle.Keep(t.Context(), c1(discovery.Ready), e, time.Minute, log.Logger())
			if got := e.heard(); !errors.Is(err, want) || got != said {
				t.Errorf("%v, want %v; asked %s, want %s", err, want, got, said)
			}
			return lease
		}
		keep(&handle, forgetful{engine: new(engine), taken: true}, discovery.ErrTaken, "[taken withdraw false]")
		keep(&handle, forgetful{engine: &engine{away: true}}, errAway, "[taken withdraw false]")
		one := keep(&handle, forgetful{engine: new(engine)}, nil, "[taken put ready]")
		keep(&handle, forgetful{engine: new(engine)}, discovery.ErrTaken, "[withdraw false]")
		keep(&handle, forgetful{engine: new(engine)}, discovery.ErrTaken, "[withdraw false]") // that one has not given it free
		other := keep(new(driver.Renewals), forgetful{engine: new(engine)}, nil, "[taken put ready]")
		for _, lease := range []discovery.Lease{one, other} {
			if err := lease.Close(); err != nil {
				t.Error(err)
			}
		}
		again := keep(&handle, forgetful{engine: new(engine)}, nil, "[taken put ready]")
		if err := again.Close(); err != nil {
			t.Error(err)
		}
	})
}
