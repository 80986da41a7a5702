package pgxoutbox_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hanse-go/hanse/events"
	"github.com/hanse-go/hanse/events/outbox"
	"github.com/hanse-go/hanse/events/outbox/inbox"
	"github.com/hanse-go/hanse/events/outbox/pgxoutbox"
	"github.com/hanse-go/hanse/events/outbox/postgrestest"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

func TestMain(m *testing.M) {
	status := m.Run()
	if server != nil {
		server.Stop()
	}
	if status == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			status = 1
		}
	}
	os.Exit(status)
}

var (
	server *postgrestest.Server
	start  = sync.OnceValue(func() (err error) {
		server, err = postgrestest.Start(context.Background(), "fsync=off")
		return err
	})
)

type (
	text  = wrapperspb.StringValue
	event = events.Event[*text]
)

var topic = events.NewTopic[*text]("text", events.Key((*text).GetValue))

// open returns a pool on a new database with an outbox and an inbox, and the same for database/sql.
func open(t *testing.T) (*pgxpool.Pool, *sql.DB) {
	t.Helper()
	err := start()
	if errors.Is(err, postgrestest.ErrNotInstalled) && os.Getenv("HANSE_ENGINES") == "" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	source, err := server.NewDatabase(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	pool, err := pgxpool.New(t.Context(), source)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	db := stdlib.OpenDBFromPool(pool)
	t.Cleanup(func() { db.Close() })
	if err := errors.Join(outbox.Migrate(t.Context(), db), inbox.Migrate(t.Context(), db)); err != nil {
		t.Fatal(err)
	}
	return pool, db
}

// run runs a relay, and a bus with a broker in memory that subscribes the topic with a handler.
func run(t *testing.T, r *outbox.Relay, handler func(context.Context, *event) error) {
	t.Helper()
	bus := &events.Bus{Broker: &events.Memory{}}
	topic.Subscribe(bus, "g", handler)
	if err := bus.Declare(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	for _, f := range []func() error{func() error { return bus.Run(ctx) }, func() error { return r.Run(ctx, bus) }} {
		running.Go(func() {
			if err := f(); err != nil {
				t.Error(err)
			}
		})
	}
	t.Cleanup(func() {
		cancel()
		running.Wait()
	})
}

// TestFromTransactionToTransaction publishes in transactions of pgx, and handles in others; the relay is woken by PostgreSQL alone.
func TestFromTransactionToTransaction(t *testing.T) {
	pool, db := open(t)
	for name, listen := range map[string]func(context.Context, func()) error{"pool": pgxoutbox.Listen(pool), "db": pgxoutbox.ListenDB(db)} {
		t.Run(name, func(t *testing.T) {
			if _, err := pool.Exec(t.Context(), `CREATE TABLE IF NOT EXISTS effects (what TEXT); TRUNCATE effects`); err != nil {
				t.Fatal(err)
			}
			handled := make(chan string, 10)
			handle := pgxoutbox.Handler(pool, func(ctx context.Context, tx pgx.Tx, e *event) error {
				_, err := tx.Exec(ctx, `INSERT INTO effects VALUES ($1)`, e.Data.GetValue())
				return err
			})
			run(t, &outbox.Relay{DB: db, Listen: listen, Poll: time.Hour}, func(ctx context.Context, e *event) error {
				err := errors.Join(handle(ctx, e), handle(ctx, e)) // twice
				handled <- e.Data.GetValue()
				return err
			})
			for i := range 5 {
				want := fmt.Sprint(i)
				err := pgx.BeginFunc(t.Context(), pool, func(tx pgx.Tx) error { return pgxoutbox.Publish(t.Context(), tx, topic, wrapperspb.String(want)) })
				if err != nil {
					t.Fatal(err)
				}
				select {
				case got := <-handled:
					if got != want {
						t.Errorf("handled %s, want %s", got, want)
					}
				case <-time.After(20 * time.Second):
					t.Fatal("no event: nothing woke the relay")
				}
			}
			var n int
			if err := pool.QueryRow(t.Context(), `SELECT count(*) FROM effects`).Scan(&n); err != nil || n != 5 {
				t.Errorf("%d effects of 5 events that were handled twice: %v", n, err)
			}
		})
	}
}

// TestConnectionBreaks has PostgreSQL end the connection that listens: the relay gets another one.
func TestConnectionBreaks(t *testing.T) {
	pool, db := open(t)
	handled := make(chan string, 10)
	run(t, &outbox.Relay{DB: db, Listen: pgxoutbox.Listen(pool), Poll: time.Hour}, func(_ context.Context, e *event) error {
		handled <- e.Data.GetValue()
		return nil
	})
	for i := range 3 {
		if i > 0 {
			for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(2 * time.Millisecond) { // it may be about to listen
				var ended int
				err := pool.QueryRow(t.Context(), `SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE query = 'LISTEN hanse_outbox' AND datname = current_database()`).Scan(&ended)
				if ended == 1 {
					break
				}
				if err != nil || time.Now().After(deadline) {
					t.Fatalf("%d connections listen: %v", ended, err)
				}
			}
		}
		if err := pgxoutbox.PublishAll(t.Context(), pool, topic, []*text{wrapperspb.String(fmt.Sprint(i))}); err != nil {
			t.Fatal(err)
		}
		select {
		case <-handled:
		case <-time.After(20 * time.Second):
			t.Fatal("no event after the connection was broken")
		}
	}
}

func TestHandlerFails(t *testing.T) {
	pool, _ := open(t)
	e := &event{Group: "g", Source: "s", ID: "1"}
	oops := errors.New("oops")
	if err := pgxoutbox.Handler(pool, func(context.Context, pgx.Tx, *event) error { return oops })(t.Context(), e); !errors.Is(err, oops) {
		t.Error(err)
	}
	called := false
	if err := pgxoutbox.Handler(pool, func(context.Context, pgx.Tx, *event) error { called = true; return nil })(t.Context(), e); err != nil || !called {
		t.Errorf("the second time: %v, called: %t", err, called)
	}
}

func TestListenDBOfAnotherDriver(t *testing.T) {
	db := sql.OpenDB(other{})
	defer db.Close()
	err := pgxoutbox.ListenDB(db)(t.Context(), func() {})
	if err == nil || !strings.Contains(err.Error(), "pgx's driver") {
		t.Error(err)
	}
}
