package outbox_test

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hanse-go/hanse/events"
	"github.com/hanse-go/hanse/events/outbox"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

func TestPublishedWhenCommitted(t *testing.T) {
	onEach(t, func(t *testing.T, d database) {
		db := d.migrated(t)
		run(t, db, `CREATE TABLE orders (id TEXT)`)
		broker := &recorder{}
		r := &outbox.Relay{DB: db}
		relay(t, r, hostOf(t, broker))

		place := func(id string, commit bool) {
			tx, err := db.BeginTx(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer tx.Rollback()
			if _, err := tx.ExecContext(t.Context(), `INSERT INTO orders VALUES ($1)`, id); err != nil {
				t.Fatal(err)
			}
			if err := outbox.Publish(t.Context(), tx, text, wrapperspb.String(id)); err != nil {
				t.Fatal(err)
			}
			if commit {
				if err := tx.Commit(); err != nil {
					t.Fatal(err)
				}
			}
		}
		place("rolled-back", false)
		place("a", true)
		place("rolled-back", false)
		place("b", true)
		eventually(t, "two events", func() bool { return len(broker.texts(t)) == 2 })
		eventually(t, "an empty outbox", func() bool { return count(t, db, "hanse_outbox") == 0 })
		if got := broker.texts(t); !slices.Equal(got, []string{"a", "b"}) {
			t.Errorf("published %q", got)
		}
		if s, err := r.Stats(t.Context()); err != nil || s.Published != 2 || s.Pending != 0 || s.Oldest != 0 {
			t.Errorf("stats %+v, %v", s, err)
		}
	})
}

func TestAttributes(t *testing.T) {
	onEach(t, func(t *testing.T, d database) {
		db := d.migrated(t)
		later := events.NewTopic[*wrapperspb.StringValue]("later", events.Key(keyOf), events.Delayed(), events.JSON())
		due := time.Now().Add(time.Hour).Truncate(time.Microsecond)
		ctx := metadata.AppendToOutgoingContext(t.Context(), "traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "tracestate", "a=1")
		const odd = "key \"ü\"\x00<&>\u2028"
		before := time.Now()
		err := outbox.Publish(ctx, db, later, wrapperspb.String(odd+" 1"), events.ID("id 1"), events.Subject("täglich"), events.At(due),
			events.Metadata("tenant", "hansa \u00fc"), events.Extension("colour", "<red>"))
		if err != nil {
			t.Fatal(err)
		}
		broker := &recorder{}
		bus := &events.Bus{Broker: broker, Source: "hanse:///orders"}
		later.Declare(bus)
		relay(t, &outbox.Relay{DB: db}, bus)
		eventually(t, "an event", func() bool { return len(broker.messages()) == 1 })
		m := broker.messages()[0]
		if m.ID != "id 1" || m.Source != "hanse:///orders" || m.Subject != "täglich" || !m.Due.Equal(due) || m.Key != "key" || m.Metadata["tenant"] != "hansa ü" ||
			m.Extensions["colour"] != "<red>" || m.ContentType != "application/json" || m.Type != "google.protobuf.StringValue" ||
			!strings.HasPrefix(m.Metadata["traceparent"], "00-0af7651916cd43dd8448eb211c80319c") || m.Metadata["tracestate"] != "a=1" {
			t.Errorf("%+v", m)
		}
		if m.Time.Before(before.Add(-time.Second)) || m.Time.After(time.Now()) {
			t.Errorf("time %v", m.Time)
		}
		if want := `"key \"ü\"\u0000<&>` + "\u2028" + ` 1"`; string(m.Data) != want {
			t.Errorf("data %s, want %s", m.Data, want)
		}
	})
}

// TestRefusedAtOnce holds that what could not be published does not get into the outbox, and does not spoil the transaction.
func TestRefusedAtOnce(t *testing.T) {
	onEach(t, func(t *testing.T, d database) {
		db := d.migrated(t)
		small := events.NewTopic[*wrapperspb.StringValue]("small", events.Limits{MaxSize: 10})
		wrong := events.NewTopic[*wrapperspb.StringValue]("Not A Name")
		tx, err := db.BeginTx(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer tx.Rollback()
		for name, tt := range map[string]struct {
			publish func() error
			want    error
			says    string
		}{
			"large": {func() error {
				return outbox.Publish(t.Context(), tx, small, wrapperspb.String(strings.Repeat("x", 100)))
			}, events.ErrTooLarge, "small"},
			"nil":   {func() error { return outbox.Publish(t.Context(), tx, text, nil) }, nil, "nil"},
			"text":  {func() error { return outbox.Publish(t.Context(), tx, text, wrapperspb.String("\xff")) }, nil, "UTF-8"},
			"topic": {func() error { return outbox.Publish(t.Context(), tx, wrong, wrapperspb.String("x")) }, nil, "Not A Name"},
			"delay": {func() error {
				return outbox.Publish(t.Context(), tx, text, wrapperspb.String("x"), events.At(time.Now().Add(time.Hour)))
			}, nil, "Delayed"},
			"metadata": {func() error {
				return outbox.Publish(t.Context(), tx, text, wrapperspb.String("x"), events.Metadata("a", "\xff"))
			}, nil, "metadata a"},
			"header": {func() error {
				return outbox.Publish(t.Context(), tx, text, wrapperspb.String("x"), events.Metadata("hanse-a", ""))
			}, nil, "hanse-"},
			"twice": {func() error {
				return outbox.PublishAll(t.Context(), tx, text, []*wrapperspb.StringValue{wrapperspb.String("x"), wrapperspb.String("y")}, events.ID("same"))
			}, nil, "same"},
		} {
			err := tt.publish()
			if err == nil || tt.want != nil && !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if err := outbox.Publish(t.Context(), tx, text, wrapperspb.String("fine")); err != nil {
			t.Error(err)
		}
		if err := tx.Commit(); err != nil {
			t.Error(err)
		}
		if n := count(t, db, "hanse_outbox"); n != 1 {
			t.Errorf("%d events in the outbox, want 1", n)
		}
	})
}

func TestPublishAll(t *testing.T) {
	onEach(t, func(t *testing.T, d database) {
		db := d.migrated(t)
		var msgs []*wrapperspb.StringValue
		for i := range 250 {
			msgs = append(msgs, wrapperspb.String("k "+itoa(i)))
		}
		if err := outbox.PublishAll(t.Context(), db, text, msgs); err != nil {
			t.Fatal(err)
		}
		if err := outbox.PublishAll(t.Context(), db, text, nil); err != nil {
			t.Fatal(err)
		}
		broker := &recorder{}
		relay(t, &outbox.Relay{DB: db, Batch: 64}, hostOf(t, broker))
		eventually(t, "250 events", func() bool { return len(broker.texts(t)) == 250 })
		if err := inOrder(broker.texts(t)); err != nil {
			t.Error(err)
		}
	})
}

func TestMistakes(t *testing.T) {
	bus := hostOf(t, &events.Memory{})
	if err := (&outbox.Relay{}).Run(t.Context(), bus); err == nil || !strings.Contains(err.Error(), "no DB") {
		t.Errorf("without a database: %v", err)
	}
	onEach(t, func(t *testing.T, d database) {
		db := d.open(t)
		if err := (&outbox.Relay{DB: db}).Run(t.Context(), bus); err == nil || !strings.Contains(err.Error(), "outbox.Migrate") {
			t.Errorf("without tables: %v", err)
		}
		if err := (&outbox.Relay{DB: db}).Run(t.Context(), nil); err == nil || !strings.Contains(err.Error(), "host") {
			t.Errorf("without a host: %v", err)
		}
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		if err := (&outbox.Relay{DB: db}).Run(ended, bus); err != nil {
			t.Errorf("stopped before it began: %v", err)
		}
	})
}

func itoa(i int) string {
	if i < 10 {
		return string(rune('0' + i))
	}
	return itoa(i/10) + itoa(i%10)
}

var _ outbox.Tx = (*sql.DB)(nil)
