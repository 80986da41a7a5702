// Package engine is what the outbox and the inbox know of databases.
package engine

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
)

// Dialect is a kind of database.
type Dialect string

// The kinds.
const (
	SQLite   Dialect = "sqlite"
	Postgres Dialect = "postgres"
)

// Of finds out the kind of a database by asking it, so that it does not matter which driver is used.
func Of(ctx context.Context, db *sql.DB) (Dialect, error) {
	var version string
	err := db.QueryRowContext(ctx, `SELECT version()`).Scan(&version)
	switch {
	case err == nil && strings.HasPrefix(version, "PostgreSQL "):
		return Postgres, nil
	case err == nil:
		return "", fmt.Errorf("the database is %q: PostgreSQL and SQLite will do", version)
	}
	sqliteErr := db.QueryRowContext(ctx, `SELECT sqlite_version()`).Scan(&version)
	if sqliteErr == nil {
		return SQLite, nil
	}
	return "", fmt.Errorf("the database does not tell its version: %w", errors.Join(err, sqliteErr))
}

// HasTable reports whether a table is there.
func HasTable(ctx context.Context, db *sql.DB, d Dialect, name string) (there bool, err error) {
	query := `SELECT count(*) > 0 FROM sqlite_master WHERE type = 'table' AND name = $1`
	if d == Postgres {
		query = `SELECT to_regclass($1) IS NOT NULL`
	}
	err = db.QueryRowContext(ctx, query, name).Scan(&there)
	return there, err
}
