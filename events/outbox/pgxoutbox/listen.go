package pgxoutbox

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
)

// heartbeat is after how long without a notification the connection is tried: one whose other end vanished says nothing.
const heartbeat = 30 * time.Second

// Listen returns what wakes a relay ([outbox.Relay].Listen) when a transaction with an event is committed. It takes one connection out of the pool, and closes
// it in the end.
func Listen(pool *pgxpool.Pool) func(ctx context.Context, wake func()) error {
	return func(ctx context.Context, wake func()) error {
		acquired, err := pool.Acquire(ctx)
		if err != nil {
			return err
		}
		conn := acquired.Hijack()
		defer func() {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
			defer cancel()
			_ = conn.Close(ctx) // it may be broken
		}()
		return listen(ctx, conn, wake)
	}
}

// ListenDB is [Listen] for a database that was opened with pgx's driver for database/sql. It keeps one connection of the pool.
func ListenDB(db *sql.DB) func(ctx context.Context, wake func()) error {
	return func(ctx context.Context, wake func()) error {
		conn, err := db.Conn(ctx)
		if err != nil {
			return err
		}
		defer conn.Close()
		var ended error
		_ = conn.Raw(func(c any) error { // the same error
			own, ok := c.(*stdlib.Conn)
			if !ok {
				ended = fmt.Errorf("ListenDB wants a database that was opened with pgx's driver, and this driver's connection is a %T", c)
				return nil
			}
			ended = listen(ctx, own.Conn(), wake)
			return driver.ErrBadConn // nobody else gets a connection that listens
		})
		return ended
	}
}

func listen(ctx context.Context, conn *pgx.Conn, wake func()) error {
	if _, err := conn.Exec(ctx, `LISTEN hanse_outbox`); err != nil {
		return err
	}
	wake() // for what was committed before
	for {
		wait, cancel := context.WithTimeout(ctx, heartbeat)
		_, err := conn.WaitForNotification(wait)
		cancel()
		switch {
		case ctx.Err() != nil:
			return nil
		case err == nil:
			wake()
		case errors.Is(err, context.DeadlineExceeded):
			check, cancel := context.WithTimeout(ctx, heartbeat)
			err := conn.Ping(check)
			cancel()
			if err != nil {
				return err
			}
		default:
			return err
		}
	}
}
