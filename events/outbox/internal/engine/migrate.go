package engine

import (
	"context"
	"database/sql"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/pressly/goose/v3"
)

// Migrations are numbered SQL files, in a folder for each dialect.
type Migrations struct {
	files fs.FS
	table string // keeps what was done; not goose's own, which the program may use for its tables
}

// New returns the migrations in the folder migrations.
func New(files fs.FS, table string) Migrations { return Migrations{files, table} }

// Up brings the tables of a database to the newest version. Processes that do it at the same time wait for each other.
func (m Migrations) Up(ctx context.Context, db *sql.DB) error {
	d, err := Of(ctx, db)
	if err != nil {
		return err
	}
	files, err := fs.Sub(m.files, folder(d))
	if err != nil {
		return err
	}
	kind := goose.DialectSQLite3
	opts := []goose.ProviderOption{goose.WithTableName(m.table), goose.WithDisableGlobalRegistry(true)}
	if d == Postgres {
		kind = goose.DialectPostgres
		opts = append(opts, goose.WithSessionLocker(advisoryLock(m.table)))
	}
	provider, err := goose.NewProvider(kind, db, files, opts...)
	if err != nil {
		return err
	}
	// In SQLite nothing can be locked before it is there, so the one that comes too late looks again.
	for wait := 10 * time.Millisecond; ; wait *= 2 {
		if _, err = provider.Up(ctx); err == nil {
			return nil
		}
		if d != SQLite || !overtaken(err) || wait > 2*time.Second {
			return fmt.Errorf("migrate: %w", err)
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// overtaken reports whether an error of SQLite may come of another process that did the same.
func overtaken(err error) bool {
	text := err.Error()
	return strings.Contains(text, "already exists") || strings.Contains(text, "locked") || strings.Contains(text, "SQLITE_BUSY") ||
		strings.Contains(text, "UNIQUE constraint")
}

// advisoryLock is a lock of PostgreSQL, by the name of what it guards.
type advisoryLock string

func (l advisoryLock) SessionLock(ctx context.Context, conn *sql.Conn) error {
	_, err := conn.ExecContext(ctx, `SELECT pg_advisory_lock(hashtextextended($1, 0))`, string(l))
	return err
}

func (l advisoryLock) SessionUnlock(ctx context.Context, conn *sql.Conn) error {
	_, err := conn.ExecContext(ctx, `SELECT pg_advisory_unlock(hashtextextended($1, 0))`, string(l))
	return err
}

// SQL returns what Up would run in an empty database, for who brings it there by other means.
func (m Migrations) SQL(d Dialect) (string, error) {
	names, err := fs.Glob(m.files, folder(d)+"/*.sql")
	if err != nil {
		return "", err
	}
	if len(names) == 0 {
		return "", fmt.Errorf("there is nothing for %q: %s and %s will do", d, SQLite, Postgres)
	}
	var all strings.Builder
	for _, name := range names {
		text, err := fs.ReadFile(m.files, name)
		if err != nil {
			return "", err
		}
		for line := range strings.Lines(string(text)) {
			if !strings.HasPrefix(line, "-- +goose ") {
				all.WriteString(line)
			}
		}
	}
	return all.String(), nil
}

func folder(d Dialect) string { return "migrations/" + string(d) }
