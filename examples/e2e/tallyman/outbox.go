package main

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"time"

	"github.com/hanse-go/hanse"
	"github.com/hanse-go/hanse/events/outbox"
	"github.com/hanse-go/hanse/examples/e2e/tally"
)

// orders opens the database of the writer and of the relay.
func orders(ctx context.Context, s *hanse.Service) (*sql.DB, error) {
	db, err := tally.OpenOrders(ctx, os.Getenv("TALLY_DATA"))
	if err != nil {
		return nil, err
	}
	s.OnStop(func(context.Context) error { return db.Close() })
	return db, outbox.Migrate(ctx, db)
}

// writer writes at a steady rate. It asks no broker.
func writer(ctx context.Context, s *hanse.Service) error {
	db, err := orders(ctx, s)
	if err != nil {
		return err
	}
	s.Go("write", func(ctx context.Context) error {
		every := time.NewTicker(time.Second / time.Duration(number("TALLY_RATE", 50)))
		defer every.Stop()
		for n := 0; ; n++ {
			select {
			case <-every.C:
			case <-ctx.Done():
				return nil
			}
			m := tally.Mark{Key: fmt.Sprintf("w-%d", n%number("TALLY_KEYS", 20)), Number: time.Now().UnixNano()}
			if err := write(context.WithoutCancel(ctx), db, m); err != nil {
				s.Logger().Warn("not written", "mark", m.String(), "error", err)
			}
		}
	})
	return nil
}

// write writes a mark, and puts its event into the outbox.
func write(ctx context.Context, db *sql.DB, m tally.Mark) error {
	began := time.Now()
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() // has no effect after Commit
	if err := outbox.Publish(ctx, tx, tally.Marks, m.Event()); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, `INSERT INTO written (mark, at, took) VALUES (?, ?, ?)`, m.String(), began.UnixNano(), time.Since(began)); err != nil {
		return err
	}
	return tx.Commit()
}

// relay moves what the writer has put into the outbox.
func relay(ctx context.Context, s *hanse.Service) error {
	db, err := orders(ctx, s)
	if err != nil {
		return err
	}
	(&outbox.Relay{DB: db}).Attach(s, tally.Marks)
	return nil
}
