package inbox

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/hanse-go/hanse/events"
	"github.com/hanse-go/hanse/events/outbox"
	"google.golang.org/protobuf/proto"
)

// Handle calls f, unless the group has handled the event before, and notes in the transaction that it has. When f fails, so does Handle: roll the transaction
// back then, and return the error from the event's handler, so that the event comes again. Otherwise commit. An event that was handled before is no error, so
// that the handler is done with it.
//
// When the event is with two members of the group at the same time, the second waits here for the first to commit or to roll back, and then knows. That is
// so in SQLite (begin with BEGIN IMMEDIATE, _txlock=immediate, and set a busy_timeout; else the second may fail instead of waiting) and at PostgreSQL's READ COMMITTED. At
// REPEATABLE READ and SERIALIZABLE the second fails with a serialization failure, its event comes again, and is known then. No level has f take effect
// twice.
//
// An event is known by its source and ID, for as long as its note is kept, see [Pruner].
func Handle[T proto.Message](ctx context.Context, tx outbox.Tx, e *events.Event[T], f func() error) error {
	if e.Group == "" {
		return events.Permanent(errors.New("inbox: the event has no group, in which it could be handled once: use Subscribe in place of SubscribeEach"))
	}
	if e.ID == "" {
		return events.Permanent(errors.New("inbox: the event has no ID"))
	}
	done, err := tx.ExecContext(ctx, `INSERT INTO hanse_inbox (handler, source, id, handled_at) VALUES ($1, $2, $3, $4) ON CONFLICT (handler, source, id) DO NOTHING`,
		e.Group, printable(e.Source), printable(e.ID), time.Now().UnixMilli())
	if err != nil {
		return fmt.Errorf("inbox: %w", err)
	}
	n, err := done.RowsAffected()
	if err != nil {
		return fmt.Errorf("inbox: %w", err)
	}
	if n == 0 {
		return nil
	}
	return f()
}

// Handler returns a handler, for [events.Topic.Subscribe], that calls f in a transaction of its own, once for each event: it begins, calls [Handle], and commits
// or rolls back. An error of f is that of the handler.
func Handler[T proto.Message](db *sql.DB, f func(ctx context.Context, tx *sql.Tx, e *events.Event[T]) error) func(context.Context, *events.Event[T]) error {
	return func(ctx context.Context, e *events.Event[T]) error {
		tx, err := db.BeginTx(ctx, nil)
		if err != nil {
			return fmt.Errorf("inbox: %w", err)
		}
		defer tx.Rollback() // has no effect after Commit
		if err := Handle(ctx, tx, e, func() error { return f(ctx, tx, e) }); err != nil {
			return err
		}
		if err := tx.Commit(); err != nil {
			return fmt.Errorf("inbox: %w", err)
		}
		return nil
	}
}

// printable makes a text fit for a column: PostgreSQL takes neither zero bytes nor what is not UTF-8.
func printable(s string) string {
	if strings.ContainsRune(s, 0) || strings.ToValidUTF8(s, "") != s {
		return fmt.Sprintf("%q", s)
	}
	return s
}
