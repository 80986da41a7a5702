// Package inbox has an event take effect once, though it may be delivered several times: what its handler does in an SQL transaction, and a note that
// it was done, are committed together.
//
//	orders.Placed.Subscribe(svc, "stock", inbox.Handler(db, func(ctx context.Context, tx *sql.Tx, e *events.Event[*ordersv1.Placed]) error {
//		_, err := tx.ExecContext(ctx, `UPDATE stock SET …`)
//		return err
//	}))
//
// The set-up of the service makes the table, and has notes removed that are too old to be of use:
//
//	if err := inbox.Migrate(ctx, db); err != nil {
//		return err
//	}
//	(&inbox.Pruner{DB: db}).Attach(svc)
//
// What a handler does elsewhere, such as sending mail, is not undone with the transaction. Let it ask there whether it was done before, by the event's ID, or
// publish an event of its own through the outbox in the same transaction.
//
// The database is SQLite or PostgreSQL. Each group has its own effect.
package inbox
