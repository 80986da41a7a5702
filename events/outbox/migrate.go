package outbox

import (
	"context"
	"database/sql"
	"embed"
	"fmt"

	"github.com/hanse-go/hanse/events/outbox/internal/engine"
)

// Dialect is a kind of database.
type Dialect = engine.Dialect

// The kinds of databases.
const (
	SQLite   = engine.SQLite
	Postgres = engine.Postgres
)

//go:embed migrations
var files embed.FS

var migrations = engine.New(files, "hanse_outbox_version")

// Migrate makes the tables of the outbox, or brings them up to date: hanse_outbox and others whose names begin with that. Processes may do it at the
// same time. What was done is kept in hanse_outbox_version, so it does not meet the migrations of the program.
func Migrate(ctx context.Context, db *sql.DB) error {
	if err := migrations.Up(ctx, db); err != nil {
		return fmt.Errorf("outbox: %w", err)
	}
	return nil
}

// Schema returns the SQL that makes the tables, for who migrates the database by other means, and then does not call Migrate.
func Schema(d Dialect) (string, error) { return migrations.SQL(d) }
