package inbox_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hanse-go/hanse/events"
	"github.com/hanse-go/hanse/events/outbox"
	"github.com/hanse-go/hanse/events/outbox/inbox"
	"github.com/hanse-go/hanse/events/outbox/postgrestest"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/types/known/wrapperspb"

	_ "github.com/jackc/pgx/v5/stdlib"
	_ "modernc.org/sqlite"
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

type event = events.Event[*wrapperspb.StringValue]

// onEach runs a test on each kind of database, with a table of effects.
func onEach(t *testing.T, test func(t *testing.T, db *sql.DB)) {
	run := func(t *testing.T, driver, source string) {
		db, err := sql.Open(driver, source)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		if err := inbox.Migrate(t.Context(), db); err != nil {
			t.Fatal(err)
		}
		if _, err := db.ExecContext(t.Context(), `CREATE TABLE effects (what TEXT)`); err != nil {
			t.Fatal(err)
		}
		test(t, db)
	}
	t.Run("sqlite", func(t *testing.T) {
		options := url.Values{"_txlock": {"immediate"}, "_pragma": {"busy_timeout(10000)", "journal_mode(WAL)"}}
		file := url.URL{Scheme: "file", Path: filepath.ToSlash(filepath.Join(t.TempDir(), "x.db")), RawQuery: options.Encode()}
		run(t, "sqlite", file.String())
	})
	t.Run("postgres", func(t *testing.T) {
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
		run(t, "pgx", source)
	})
}

func effects(t *testing.T, db *sql.DB) (n int) {
	t.Helper()
	if err := db.QueryRowContext(t.Context(), `SELECT count(*) FROM effects`).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func apply(ctx context.Context, tx *sql.Tx, e *event) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO effects VALUES ($1)`, fmt.Sprintf("%q", e.ID))
	return err
}

func TestOnce(t *testing.T) {
	onEach(t, func(t *testing.T, db *sql.DB) {
		handle := inbox.Handler(db, apply)
		for _, tt := range []struct {
			e    event
			want int // effects so far
		}{
			{event{Group: "stock", Source: "a", ID: "1"}, 1},
			{event{Group: "stock", Source: "a", ID: "1", Attempt: 2}, 1},
			{event{Group: "stock", Source: "a", ID: "2"}, 2},
			{event{Group: "stock", Source: "b", ID: "1"}, 3},
			{event{Group: "mail", Source: "a", ID: "1"}, 4},
			{event{Group: "mail", Source: "a", ID: "1\x00"}, 5},
			{event{Group: "mail", Source: "a", ID: "1\xff"}, 6},
			{event{Group: "mail", Source: "a", ID: "1\x00"}, 6},
		} {
			if err := handle(t.Context(), &tt.e); err != nil {
				t.Fatalf("%+v: %v", tt.e, err)
			}
			if got := effects(t, db); got != tt.want {
				t.Errorf("after %+v there are %d effects, want %d", tt.e, got, tt.want)
			}
		}
	})
}

// TestFailed holds that an event whose handler failed, or whose transaction was not committed, has its effect when it comes again.
func TestFailed(t *testing.T) {
	onEach(t, func(t *testing.T, db *sql.DB) {
		e := &event{Group: "stock", Source: "a", ID: "1"}
		oops := errors.New("oops")
		fails := inbox.Handler(db, func(ctx context.Context, tx *sql.Tx, e *event) error { return errors.Join(apply(ctx, tx, e), oops) })
		if err := fails(t.Context(), e); !errors.Is(err, oops) {
			t.Errorf("a handler that fails: %v", err)
		}
		tx, err := db.BeginTx(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := inbox.Handle(t.Context(), tx, e, func() error { return apply(t.Context(), tx, e) }); err != nil {
			t.Error(err)
		}
		if err := tx.Rollback(); err != nil {
			t.Fatal(err)
		}
		if n := effects(t, db); n != 0 {
			t.Errorf("%d effects before one was committed", n)
		}
		if err := inbox.Handler(db, apply)(t.Context(), e); err != nil || effects(t, db) != 1 {
			t.Errorf("%v, %d effects, want 1", err, effects(t, db))
		}
	})
}

// TestTwoMembers has two members of a group get the same event while neither is done.
func TestTwoMembers(t *testing.T) {
	onEach(t, func(t *testing.T, db *sql.DB) {
		const events, members = 20, 4
		for i := range events {
			e := &event{Group: "stock", Source: "a", ID: fmt.Sprint(i)}
			var calls int
			var mu sync.Mutex
			handle := inbox.Handler(db, func(ctx context.Context, tx *sql.Tx, e *event) error {
				mu.Lock()
				calls++
				first := calls == 1
				mu.Unlock()
				if first && i%2 == 0 { // the others take their turn
					return errors.New("the first one fails")
				}
				return apply(ctx, tx, e)
			})
			var all sync.WaitGroup
			errs := make([]error, members)
			for j := range members {
				all.Go(func() { errs[j] = handle(t.Context(), e) })
			}
			all.Wait()
			failed := 0
			for _, err := range errs {
				if err != nil {
					failed++
				}
			}
			if want := (i + 1) % 2; failed != want || calls != 1+want {
				t.Errorf("event %d: %d members failed and %d called the handler, want %d and %d: %v", i, failed, calls, want, 1+want, errs)
			}
		}
		if n := effects(t, db); n != events {
			t.Errorf("%d effects of %d events", n, events)
		}
	})
}

// TestIsolation holds that no effect is there twice at the levels at which the second member fails, too: it waits for the first, and is known, or fails.
func TestIsolation(t *testing.T) {
	onEach(t, func(t *testing.T, db *sql.DB) {
		sqlite := db.QueryRowContext(t.Context(), `SELECT sqlite_version()`).Scan(new(string)) == nil
		for _, level := range []sql.IsolationLevel{sql.LevelReadCommitted, sql.LevelRepeatableRead, sql.LevelSerializable} {
			if sqlite {
				t.Skip("it has one level, and TestTwoMembers is at that")
			}
			e := &event{Group: "stock", Source: "a", ID: level.String()}
			before := effects(t, db)
			begin := func() *sql.Tx {
				tx, err := db.BeginTx(t.Context(), &sql.TxOptions{Isolation: level})
				if err != nil {
					t.Fatal(err)
				}
				if _, err := tx.ExecContext(t.Context(), `SELECT count(*) FROM effects`); err != nil { // the snapshot is of now
					t.Fatal(err)
				}
				return tx
			}
			handle := func(tx *sql.Tx) error {
				return inbox.Handle(t.Context(), tx, e, func() error { return apply(t.Context(), tx, e) })
			}
			first, second := begin(), begin()
			if err := handle(first); err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 1)
			go func() {
				defer second.Rollback()
				err := handle(second)
				if err == nil {
					err = second.Commit()
				}
				ended <- err
			}()
			for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(2 * time.Millisecond) {
				var waiting int
				if err := db.QueryRowContext(t.Context(), `SELECT count(*) FROM pg_locks WHERE NOT granted`).Scan(&waiting); err != nil {
					t.Fatal(err)
				}
				if waiting > 0 {
					break
				}
				if time.Now().After(deadline) {
					t.Fatal("the second member does not wait")
				}
			}
			if err := first.Commit(); err != nil {
				t.Fatal(err)
			}
			if err := <-ended; (err == nil) != (level == sql.LevelReadCommitted) {
				t.Errorf("%v: the second member: %v", level, err)
			}
			if got := effects(t, db) - before; got != 1 {
				t.Errorf("%v: %d effects, want 1", level, got)
			}
			if err := inbox.Handler(db, apply)(t.Context(), e); err != nil || effects(t, db)-before != 1 {
				t.Errorf("%v: when it comes again: %v", level, err)
			}
		}
	})
}

func TestRefuses(t *testing.T) {
	for what, e := range map[string]event{"group": {ID: "1"}, "ID": {Group: "g"}} {
		err := inbox.Handle(t.Context(), nil, &e, func() error { t.Error("called"); return nil })
		if err == nil || !events.IsPermanent(err) || !strings.Contains(err.Error(), what) {
			t.Errorf("without its %s: %v", what, err)
		}
	}
	onEach(t, func(t *testing.T, db *sql.DB) {
		if _, err := inbox.Prune(t.Context(), db, 0); err == nil {
			t.Error("pruned of everything")
		}
	})
	if err := (&inbox.Pruner{}).Run(t.Context()); err == nil {
		t.Error("a Pruner without a database runs")
	}
}

func TestPrune(t *testing.T) {
	onEach(t, func(t *testing.T, db *sql.DB) {
		const old, young = 2500, 3
		add := func(n int, at time.Time, prefix string) {
			tx, err := db.BeginTx(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			for i := range n {
				if _, err := tx.ExecContext(t.Context(), `INSERT INTO hanse_inbox (handler, source, id, handled_at) VALUES ('g', 's', $1, $2)`, prefix+fmt.Sprint(i), at.UnixMilli()); err != nil {
					t.Fatal(err)
				}
			}
			if err := tx.Commit(); err != nil {
				t.Fatal(err)
			}
		}
		add(old, time.Now().Add(-16*24*time.Hour), "old")
		add(young, time.Now().Add(-14*24*time.Hour), "young")
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- (&inbox.Pruner{DB: db}).Run(ctx) }()
		for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(2 * time.Millisecond) {
			var n int
			if err := db.QueryRowContext(t.Context(), `SELECT count(*) FROM hanse_inbox`).Scan(&n); err != nil {
				t.Fatal(err)
			}
			if n == young {
				break
			}
			if n < young || time.Now().After(deadline) {
				t.Fatalf("%d notes are left, want %d", n, young)
			}
		}
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if n, err := inbox.Prune(t.Context(), db, 13*24*time.Hour); err != nil || n != young {
			t.Errorf("pruned %d, %v", n, err)
		}
	})
}

func TestSchema(t *testing.T) {
	for _, d := range []outbox.Dialect{outbox.SQLite, outbox.Postgres} {
		if text, err := inbox.Schema(d); err != nil || !strings.Contains(text, "CREATE TABLE hanse_inbox (") || strings.Contains(text, "goose") {
			t.Errorf("%s: %v\n%s", d, err, text)
		}
	}
	if _, err := inbox.Schema("mysql"); err == nil || !strings.Contains(err.Error(), "mysql") {
		t.Errorf("another database: %v", err)
	}
}
