package store_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hanse-go/hanse/store"
)

func TestLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lease := store.NewLease(t.Context(), time.Now().Add(time.Second))
		defer lease.End()
		child, cancel := context.WithCancel(lease)
		defer cancel()
		time.Sleep(time.Second - 1)
		if lease.Err() != nil || lease.Lost() {
			t.Error("it has ended too soon")
		}
		lease.Extend(time.Now().Add(time.Second))
		time.Sleep(time.Second - 1)
		if lease.Err() != nil {
			t.Error("it was not extended")
		}
		<-child.Done()
		if lease.Err() != context.Canceled || context.Cause(child) != store.ErrLost || !lease.Lost() {
			t.Error(lease.Err(), context.Cause(child))
		}
		lease.Extend(time.Now().Add(time.Hour))
		if lease.Err() == nil || !lease.Lost() {
			t.Error("it lives again")
		}
	})
}

// TestLeaseOfAStoppedProcess holds that who looks sees the end before the timer does.
func TestLeaseOfAStoppedProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lease := store.NewLease(t.Context(), time.Now().Add(time.Second))
		defer lease.End()
		lease.StopTimer()
		time.Sleep(time.Second)
		select {
		case <-lease.Done():
			t.Error("the timer was to be late")
		default:
		}
		if lease.Err() == nil || context.Cause(lease) != store.ErrLost {
			t.Error("it is held after its end")
		}
		<-lease.Done()
	})
}

func TestLeaseOfASleepingMachine(t *testing.T) {
	lease := store.NewLease(t.Context(), time.Now().Add(time.Hour))
	defer lease.End()
	if lease.Err() != nil {
		t.Error(lease.Err())
	}
	lease.Sleep(2 * time.Hour)
	if lease.Err() == nil {
		t.Error("the time that the machine slept was not counted")
	}
}

func TestLeaseEndsWithItsParent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		parent, cancel := context.WithCancelCause(t.Context())
		lease := store.NewLease(parent, time.Now().Add(time.Second))
		defer lease.End()
		because := errors.New("because")
		cancel(because)
		if lease.Err() != context.Canceled || context.Cause(lease) != because || lease.Lost() {
			t.Error(lease.Err(), context.Cause(lease), lease.Lost())
		}
		lease.Extend(time.Now().Add(2 * time.Second)) // it is kept while the work ends
		time.Sleep(2*time.Second - 1)
		if lease.Lost() {
			t.Error("lost too soon")
		}
		time.Sleep(time.Nanosecond)
		lease.Extend(time.Now().Add(time.Hour))
		if !lease.Lost() {
			t.Error("lost without notice")
		}
	})
}
