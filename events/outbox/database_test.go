package outbox_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/hanse-go/hanse/events"
	"github.com/hanse-go/hanse/events/outbox"
	"github.com/hanse-go/hanse/events/outbox/postgrestest"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/types/known/wrapperspb"

	_ "github.com/jackc/pgx/v5/stdlib"
	_ "modernc.org/sqlite"
)

func TestMain(m *testing.M) {
	if childMain() {
		return
	}
	status := m.Run()
	stopServer()
	if status == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			status = 1
		}
	}
	os.Exit(status)
}

// database is one that a test has for itself.
type database struct {
	driver, source string
	dialect        outbox.Dialect
}

// server is the one PostgreSQL of these tests. What it keeps needs to survive nothing.
var server, stopServer = func() (func() (*postgrestest.Server, error), func()) {
	var running *postgrestest.Server
	start := sync.OnceValues(func() (_ *postgrestest.Server, err error) {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
		defer cancel()
		running, err = postgrestest.Start(ctx, "fsync=off")
		return running, err
	})
	return start, func() {
		if running != nil {
			running.Stop()
		}
	}
}()

// onEach runs a test on each kind of database.
func onEach(t *testing.T, test func(t *testing.T, d database)) {
	t.Run("sqlite", func(t *testing.T) {
		test(t, sqliteDatabase(t.TempDir()))
	})
	t.Run("postgres", func(t *testing.T) {
		test(t, postgresDatabase(t))
	})
}

func sqliteDatabase(dir string) database {
	options := url.Values{"_txlock": {"immediate"}, "_pragma": {"busy_timeout(10000)", "journal_mode(WAL)", "synchronous(NORMAL)"}}
	file := url.URL{Scheme: "file", Path: filepath.ToSlash(filepath.Join(dir, "x.db")), RawQuery: options.Encode()}
	return database{driver: "sqlite", source: file.String(), dialect: outbox.SQLite}
}

func postgresDatabase(t *testing.T) database {
	t.Helper()
	s, err := server()
	if errors.Is(err, postgrestest.ErrNotInstalled) && os.Getenv("HANSE_ENGINES") == "" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	source, err := s.NewDatabase(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return database{driver: "pgx", source: source, dialect: outbox.Postgres}
}

// open returns a pool of its own, as another process would have.
func (d database) open(t *testing.T) *sql.DB {
	t.Helper()
	db, err := d.pool()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

func (d database) pool() (*sql.DB, error) {
	db, err := sql.Open(d.driver, d.source)
	if err == nil {
		db.SetMaxOpenConns(4)
		db.SetMaxIdleConns(4)
	}
	return db, err
}

// migrated returns a pool on a database with an outbox.
func (d database) migrated(t *testing.T) *sql.DB {
	t.Helper()
	db := d.open(t)
	if err := outbox.Migrate(t.Context(), db); err != nil {
		t.Fatal(err)
	}
	return db
}

func run(t *testing.T, db *sql.DB, query string, args ...any) {
	t.Helper()
	if _, err := db.ExecContext(t.Context(), query, args...); err != nil {
		t.Fatal(err)
	}
}

func count(t *testing.T, db *sql.DB, table string) (n int) {
	t.Helper()
	if err := db.QueryRowContext(t.Context(), `SELECT count(*) FROM `+table).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// text is the topic of most tests; the key is what stands before the first space.
var text = events.NewTopic[*wrapperspb.StringValue]("text", events.Key(keyOf))

func keyOf(m *wrapperspb.StringValue) string {
	key, _, _ := cut(m.GetValue())
	return key
}

func cut(s string) (before, after string, found bool) {
	for i := range len(s) {
		if s[i] == ' ' {
			return s[:i], s[i+1:], true
		}
	}
	return s, "", false
}

// publish publishes texts, each in a transaction of its own.
func publish(t *testing.T, db *sql.DB, texts ...string) {
	t.Helper()
	for _, s := range texts {
		if err := publishOne(t.Context(), db, s); err != nil {
			t.Fatal(err)
		}
	}
}

func publishOne(ctx context.Context, db *sql.DB, s string) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if err := outbox.Publish(ctx, tx, text, wrapperspb.String(s)); err != nil {
		return err
	}
	return tx.Commit()
}

// relay runs a relay, until the test ends or stop is called.
func relay(t *testing.T, r *outbox.Relay, host events.Host) (stop func()) {
	t.Helper()
	if r.Logger == nil {
		r.Logger = slog.New(slog.DiscardHandler)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx, host) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("relay: %v", err)
		}
	})
	t.Cleanup(stop)
	return stop
}

// eventually looks until something holds that others do.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not in 20 s: %s", what)
		}
	}
}
