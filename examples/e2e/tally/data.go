package tally

import (
	"context"
	"database/sql"
	"time"

	"github.com/hanse-go/hanse/examples/shop/database"
)

// OpenOrders opens the database of the writer in a folder: the table written has the marks, each with an event in the outbox.
func OpenOrders(ctx context.Context, dir string) (*sql.DB, error) {
	return database.Open(ctx, dir, "orders", `CREATE TABLE IF NOT EXISTS written (mark TEXT PRIMARY KEY, at INTEGER NOT NULL, took INTEGER NOT NULL) STRICT`, nil)
}

// Written returns the marks that were written since a moment, and how long the slowest took.
func Written(ctx context.Context, db *sql.DB, since time.Time) (marks []Mark, slowest time.Duration, err error) {
	rows, err := db.QueryContext(ctx, `SELECT mark, took FROM written WHERE at >= ? ORDER BY at`, since.UnixNano())
	if err != nil {
		return nil, 0, err
	}
	defer rows.Close()
	for rows.Next() {
		var text string
		var took time.Duration
		if err := rows.Scan(&text, &took); err != nil {
			return nil, 0, err
		}
		m, err := Parse(text)
		if err != nil {
			return nil, 0, err
		}
		marks, slowest = append(marks, m), max(slowest, took)
	}
	return marks, slowest, rows.Err()
}

// OpenEffects opens the database of the handlers in a folder: the table effects has what was handled, in the order of that.
func OpenEffects(ctx context.Context, dir string) (*sql.DB, error) {
	return database.Open(ctx, dir, "effects", `CREATE TABLE IF NOT EXISTS effects (id INTEGER PRIMARY KEY AUTOINCREMENT, mark TEXT NOT NULL) STRICT`, nil)
}

// Effects returns what was handled.
func Effects(ctx context.Context, db *sql.DB) (marks []Mark, err error) {
	rows, err := db.QueryContext(ctx, `SELECT mark FROM effects ORDER BY id`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			return nil, err
		}
		m, err := Parse(text)
		if err != nil {
			return nil, err
		}
		marks = append(marks, m)
	}
	return marks, rows.Err()
}
