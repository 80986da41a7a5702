package inbox

import (
	"context"
	"database/sql"
	"embed"
	"fmt"

	"github.com/hanse-go/hanse/events/outbox"
	"github.com/hanse-go/hanse/events/outbox/internal/engine"
)

//go:embed migrations
var files embed.FS

var migrations = engine.New(files, "hanse_inbox_version")

// Migrate makes the table of the inbox, hanse_inbox, or brings it up to date. Processes may do it at the same time. What was done is kept in
// hanse_inbox_version, so it does not meet the migrations of the program.
func Migrate(ctx context.Context, db *sql.DB) error {
	if err := migrations.Up(ctx, db); err != nil {
		return fmt.Errorf("inbox: %w", err)
	}
	return nil
}

// Schema returns the SQL that makes the table, for who migrates the database by other means, and then does not call Migrate.
func Schema(d outbox.Dialect) (string, error) { return migrations.SQL(d) }
