package store_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hanse-go/hanse/store"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

var numbers = store.NewBucket[int]("numbers")

func TestClientWaitsUntilItIsBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var host store.Client
		done := make(chan error, 1)
		go func() {
			_, err := numbers.Put(t.Context(), &host, "a", 7)
			done <- err
		}()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := numbers.Get(ctx, &host, "a"); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "must run") {
			t.Errorf("before it is bound: %v", err)
		}
		host.Bind(new(store.Memory), nil)
		host.Refuse(errors.New("too late"))
		if err := <-done; err != nil {
			t.Error(err)
		}
		if e, err := numbers.Get(t.Context(), &host, "a"); err != nil || e.Value != 7 {
			t.Error(e, err)
		}
	})
}

func TestClientThatHasNoStore(t *testing.T) {
	var host store.Client
	none := errors.New("there is none")
	if err := host.Prepare(t.Context()); err != nil {
		t.Error(err)
	}
	host.Refuse(none)
	if err := host.Prepare(t.Context()); err != nil {
		t.Errorf("nobody needs one: %v", err)
	}
	if _, err := numbers.Get(t.Context(), &host, "a"); !errors.Is(err, none) {
		t.Error(err)
	}
	if err := store.Lock(t.Context(), &host, "a", nil); !errors.Is(err, none) {
		t.Error(err)
	}
	if err := store.Elect(t.Context(), &host, "a", nil); !errors.Is(err, none) {
		t.Error(err)
	}
	for _, err := range numbers.Watch(t.Context(), &host) {
		if !errors.Is(err, none) {
			t.Error(err)
		}
	}
	if err := host.Prepare(t.Context()); !errors.Is(err, none) || strings.Count(err.Error(), "\n") > 0 {
		t.Errorf("a bucket is needed: %v", err)
	}
}

func TestDeclarations(t *testing.T) {
	var host store.Client
	host.Bind(new(store.Memory), nil)
	type structure struct{ X int }
	for _, declare := range []func(store.Host){
		store.NewBucket[int]("Numbers").Declare,
		store.NewBucket[int]("").Declare,
		store.NewBucket[int]("a..b").Declare,
		store.NewBucket[int](strings.Repeat("a", 129)).Declare,
		store.NewBucket[int]("a", store.TTL(-5)).Declare,
		store.NewBucket[int]("a", store.Limits{MaxBytes: -2}).Declare,
		store.NewBucket[any]("a").Declare,
		store.NewBucket[proto.Message]("a").Declare,
		store.NewBucket[wrapperspb.StringValue]("a").Declare,
		store.NewBucket[func()]("a").Declare,
	} {
		declare(&host)
	}
	err := host.Prepare(t.Context())
	if n := strings.Count(err.Error(), "\n") + 1; n != 10 {
		t.Errorf("%d mistakes were reported:\n%v", n, err)
	}
	if err := host.Prepare(t.Context()); err != nil {
		t.Errorf("and again: %v", err)
	}
	if _, err := store.NewBucket[any]("a").Get(t.Context(), &host, "x"); err == nil {
		t.Error("a bucket that is declared wrongly was used")
	}
	store.NewBucket[structure]("good").Declare(&host)
	store.NewBucket[*structure]("good.too").Declare(&host)
	store.NewBucket[*wrapperspb.StringValue]("good-3").Declare(&host)
	if err := host.Prepare(t.Context()); err != nil {
		t.Error(err)
	}
	var names []string
	for _, b := range host.Declared() {
		names = append(names, b.Name+" "+b.Type)
	}
	if want := []string{"good json", "good.too json", "good-3 google.protobuf.StringValue"}; !slices.Equal(names, want) {
		t.Errorf("declared are %q, want %q", names, want)
	}
	var none *wrapperspb.StringValue
	if _, err := store.NewBucket[*wrapperspb.StringValue]("good-3").Put(t.Context(), &host, "a", none); err == nil {
		t.Error("a message that is nil was stored")
	}
}

// silent is a driver that answers nothing.
type silent struct{ store.Driver }

func (silent) Declare(context.Context, store.BucketInfo) error { return nil }

func (silent) Get(ctx context.Context, _, _ string) (store.Record, error) {
	<-ctx.Done()
	return store.Record{}, ctx.Err()
}

func TestPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		host := &store.Client{Driver: silent{}}
		began := time.Now()
		_, err := numbers.Get(t.Context(), host, "a")
		if !errors.Is(err, store.ErrUnavailable) || errors.Is(err, context.DeadlineExceeded) || time.Since(began) != 10*time.Second {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		began = time.Now()
		_, err = numbers.Get(ctx, host, "a")
		if !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, store.ErrUnavailable) || time.Since(began) != time.Minute {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
	})
}

// script is a driver whose watch tells what is written.
type script struct {
	store.Driver
	updates []store.Update
}

func (script) Declare(context.Context, store.BucketInfo) error { return nil }

func (s script) Watch(_ context.Context, _ string, _ store.WatchInfo, notify func(store.Update) bool) error {
	for _, u := range s.updates {
		if !notify(u) {
			return nil
		}
	}
	return errors.New("end")
}

func TestResetsBecomeChanges(t *testing.T) {
	put := func(key string, revision uint64) store.Update {
		return store.Update{Kind: store.Put, Record: store.Record{Key: key, Revision: revision, Value: []byte("1")}}
	}
	gone := func(key string, revision uint64) store.Update {
		return store.Update{Kind: store.Deleted, Record: store.Record{Key: key, Revision: revision}}
	}
	reset, synced := store.Update{Kind: store.Reset}, store.Update{Kind: store.Synced}
	for _, c := range []struct {
		name    string
		updates []store.Update
		opts    []store.WatchOption
		want    string
	}{
		{"nothing new", []store.Update{put("a", 1), synced, reset, put("a", 1), synced}, nil, "put a|synced |"},
		{"deleted meanwhile", []store.Update{put("a", 1), put("b", 2), synced, reset, put("b", 2), synced, put("a", 3)}, nil, "put a|put b|synced |deleted a|put a|"},
		{"changed meanwhile", []store.Update{put("a", 1), synced, reset, put("a", 2), synced}, nil, "put a|synced |put a|"},
		{"before it is synced", []store.Update{put("a", 1), put("b", 2), reset, put("b", 2), put("c", 3), synced}, nil, "put a|put b|put c|deleted a|synced |"},
		{"deleted while it begins anew", []store.Update{put("a", 1), synced, reset, put("a", 1), gone("a", 2), synced}, nil, "put a|synced |deleted a|"},
		{"a deletion of nothing", []store.Update{synced, gone("a", 2)}, nil, "synced |"},
		{"who asks for it", []store.Update{gone("x", 1), reset, put("a", 1), synced}, []store.WatchOption{store.After(1)}, "deleted x|reset |put a|synced |"},
	} {
		got := ""
		for change, err := range numbers.Watch(t.Context(), &store.Client{Driver: script{updates: c.updates}}, c.opts...) {
			if err == nil {
				got += change.Kind.String() + " " + change.Key + "|"
			}
		}
		if got != c.want {
			t.Errorf("%s: told %q, want %q", c.name, got, c.want)
		}
	}
}
