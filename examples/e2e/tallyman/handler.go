package main

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"strings"
	"time"

	"github.com/hanse-go/hanse"
	"github.com/hanse-go/hanse/events"
	"github.com/hanse-go/hanse/events/outbox/inbox"
	"github.com/hanse-go/hanse/examples/e2e/tally"
)

// handler handles the marks, and then takes its time before it says so. Those whose key begins with "poison" fail when their number is even.
func handler(ctx context.Context, s *hanse.Service) error {
	book, err := open(s, "TALLY_EFFECTS")
	if err != nil {
		return err
	}
	effect := func(context.Context, *events.Event[tally.Text]) error { return nil }
	if dir := os.Getenv("TALLY_DATA"); dir != "" {
		db, err := tally.OpenEffects(ctx, dir)
		if err != nil {
			return err
		}
		s.OnStop(func(context.Context) error { return db.Close() })
		if err := inbox.Migrate(ctx, db); err != nil {
			return err
		}
		(&inbox.Pruner{DB: db}).Attach(s)
		effect = inbox.Handler(db, func(ctx context.Context, tx *sql.Tx, e *events.Event[tally.Text]) error {
			_, err := tx.ExecContext(ctx, `INSERT INTO effects (mark) VALUES (?)`, e.Data.GetValue())
			return err
		})
	}
	takes := duration("TALLY_TAKES", 0)
	tally.Marks.Subscribe(s, tally.Group, func(ctx context.Context, e *events.Event[tally.Text]) error {
		m, err := tally.Parse(e.Data.GetValue())
		if err != nil {
			return events.Permanent(err)
		}
		if strings.HasPrefix(m.Key, "poison") && m.Number%2 == 0 {
			return errors.New("no stomach for " + m.String())
		}
		if err := effect(ctx, e); err != nil {
			return err
		}
		if err := book.Write(m, e.Time); err != nil {
			return err
		}
		if takes > 0 {
			select {
			case <-time.After(takes):
			case <-ctx.Done():
			}
		}
		return nil
	}, events.Start{All: true}, events.AckWait(duration("TALLY_ACKWAIT", 30*time.Second)),
		events.Retry{Attempts: number("TALLY_ATTEMPTS", 10), Min: duration("TALLY_RETRY", time.Second), Max: duration("TALLY_RETRY", time.Minute)})
	return nil
}
