package pgxoutbox

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/hanse-go/hanse/events"
	"github.com/hanse-go/hanse/events/outbox"
	"github.com/hanse-go/hanse/events/outbox/inbox"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"google.golang.org/protobuf/proto"
)

// Tx is a transaction: a pgx.Tx, or a *pgx.Conn in one.
type Tx interface {
	Exec(ctx context.Context, query string, args ...any) (pgconn.CommandTag, error)
}

// Publish is [outbox.Publish] in a transaction of pgx.
func Publish[T proto.Message](ctx context.Context, tx Tx, topic *events.Topic[T], msg T, opts ...events.PublishOption) error {
	return outbox.Publish(ctx, standard{tx}, topic, msg, opts...)
}

// PublishAll is [outbox.PublishAll] in a transaction of pgx.
func PublishAll[T proto.Message](ctx context.Context, tx Tx, topic *events.Topic[T], msgs []T, opts ...events.PublishOption) error {
	return outbox.PublishAll(ctx, standard{tx}, topic, msgs, opts...)
}

// Handle is [inbox.Handle] in a transaction of pgx.
func Handle[T proto.Message](ctx context.Context, tx Tx, e *events.Event[T], f func() error) error {
	return inbox.Handle(ctx, standard{tx}, e, f)
}

// Beginner begins transactions: a *pgxpool.Pool, or a *pgx.Conn.
type Beginner interface {
	Begin(ctx context.Context) (pgx.Tx, error)
}

// Handler is [inbox.Handler] for pgx: it returns a handler that calls f in a transaction of its own, once for each event.
func Handler[T proto.Message](db Beginner, f func(ctx context.Context, tx pgx.Tx, e *events.Event[T]) error) func(context.Context, *events.Event[T]) error {
	return func(ctx context.Context, e *events.Event[T]) error {
		tx, err := db.Begin(ctx)
		if err != nil {
			return fmt.Errorf("inbox: %w", err)
		}
		defer tx.Rollback(context.WithoutCancel(ctx)) // has no effect after Commit
		if err := Handle(ctx, tx, e, func() error { return f(ctx, tx, e) }); err != nil {
			return err
		}
		if err := tx.Commit(ctx); err != nil {
			return fmt.Errorf("inbox: %w", err)
		}
		return nil
	}
}

// standard makes of a transaction of pgx what the outbox takes.
type standard struct{ tx Tx }

func (s standard) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	tag, err := s.tx.Exec(ctx, query, args...)
	return result(tag.RowsAffected()), err
}

// result is how many rows a statement has changed.
type result int64

func (r result) RowsAffected() (int64, error) { return int64(r), nil }
func (r result) LastInsertId() (int64, error) { return 0, fmt.Errorf("PostgreSQL has none") }
