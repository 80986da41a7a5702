package hanse_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hanse-go/hanse"
	"github.com/hanse-go/hanse/discovery/discoverytest"
	"github.com/hanse-go/hanse/embednats"
	"github.com/hanse-go/hanse/events"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

const paysAsync = 200

// pays is a program that is no service: it publishes one event, and then many for which it does not wait, and ends.
func pays() {
	app, err := hanse.FromEnv()
	if err == nil {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		err = orderPaid.Publish(ctx, app, wrapperspb.String("first/0"))
		for n := range paysAsync {
			orderPaid.PublishAsync(ctx, app, wrapperspb.String(fmt.Sprintf("many/%d", n)))
		}
		err = errors.Join(err, app.Close())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// TestProgramPublishes runs a program that is no service: what it published is there when it has ended, also what it did not wait for.
func TestProgramPublishes(t *testing.T) {
	addr := discoverytest.FreeAddress(t)
	got := make(chan *events.Event[number], 2*paysAsync)
	s := named("mailer")
	orderPaid.Subscribe(s, "mailer", func(_ context.Context, e *events.Event[number]) error {
		got <- e
		return nil
	})
	app := &hanse.App{Backplane: &embednats.Server{Dir: t.TempDir(), Addr: addr, Token: "sesame", NoSync: true}}
	run(t, app, s)
	if err := orderPaid.Publish(t.Context(), app, wrapperspb.String("own/0")); err != nil { // so does one that runs services
		t.Fatal(err)
	}
	if e := <-got; e.Data.GetValue() != "own/0" {
		t.Errorf("got %v", e.Data)
	}
	program := start(t, "pays", nil, "HANSE_BACKPLANE=nats://sesame@"+addr)
	<-program.exited
	if errs := program.errors(); strings.Contains(errs, "publish") {
		t.Error(errs)
	}
	next := map[string]int{}
	for range 1 + paysAsync {
		select {
		case e := <-got:
			key, number, _ := strings.Cut(e.Data.GetValue(), "/")
			if number != fmt.Sprint(next[key]) || e.Source != "hanse:///pays" {
				t.Errorf("got %s of %s", e.Data.GetValue(), e.Source)
			}
			next[key]++
		case <-time.After(20 * time.Second):
			t.Fatalf("got %v, and no more", next)
		}
	}

	without := start(t, "pays", nil, "HANSE_BACKPLANE=off")
	<-without.exited
	if errs := without.errors(); !strings.Contains(errs, "the app has no broker for events: run it by hanse dev") {
		t.Errorf("without a backplane: %s", errs)
	}
}

func TestAppEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broker := new(events.Memory)
		early := new(hanse.App)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := orderPlaced.Publish(ctx, early, wrapperspb.String("1")); err == nil || !strings.Contains(err.Error(), "it does not run") {
			t.Errorf("before anybody can know its broker: %v", err)
		}
		if err := early.Close(); err != nil {
			t.Error(err)
		}
		if err := orderPlaced.Publish(t.Context(), early, wrapperspb.String("1")); !errors.Is(err, events.ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
		late := new(hanse.App)
		if err := late.Close(); err != nil {
			t.Error(err)
		}
		if err := orderPlaced.Publish(t.Context(), late, wrapperspb.String("1")); err == nil {
			t.Error("published by an app that was closed before")
		}

		// Its own subscriptions are called by who runs them.
		app := &hanse.App{Broker: broker}
		got := make(chan string, 1)
		orderPlaced.Subscribe(app, "all", func(_ context.Context, e *events.Event[number]) error {
			got <- e.Source + " " + e.Data.GetValue()
			return nil
		})
		running, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- app.Events().Run(running) }()
		synctest.Wait()
		if err := orderPlaced.Publish(t.Context(), app, wrapperspb.String("2")); err != nil {
			t.Fatal(err)
		}
		if e := <-got; !strings.HasPrefix(e, "hanse:///") || !strings.HasSuffix(e, " 2") {
			t.Errorf("got %s", e)
		}
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if err := app.Close(); err != nil {
			t.Error(err)
		}
	})
}

// TestAppEventsBeforeRun holds that what is published before Run waits for it.
func TestAppEventsBeforeRun(t *testing.T) {
	for name, app := range map[string]*hanse.App{"a backplane": {Backplane: &embednats.Server{Dir: t.TempDir(), NoSync: true}}, "none": {}} {
		published := make(chan error, 1)
		app.Events()
		go func() { published <- orderPlaced.Publish(t.Context(), app, wrapperspb.String("1")) }()
		r := run(t, app, greeter())
		if err := <-published; (err == nil) != (name == "a backplane") {
			t.Errorf("with %s: %v", name, err)
		}
		r.stop()
		if err := r.wait(); err != nil {
			t.Error(err)
		}
	}
}
