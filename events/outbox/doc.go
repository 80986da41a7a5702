// Package outbox publishes events in the program's own SQL transaction: the event and the change that it tells of are there together, or neither is.
//
//	tx, err := db.BeginTx(ctx, nil)
//	...
//	_, err = tx.ExecContext(ctx, `INSERT INTO orders …`)
//	err = outbox.Publish(ctx, tx, orders.Placed, &ordersv1.Placed{OrderId: id})
//	err = tx.Commit()
//
// The event is in a table until a [Relay] has moved it to the broker, which it does within milliseconds, and as soon as the broker is back when it
// was away. Events of a key keep their order. The set-up of a service makes the tables and starts the relay:
//
//	if err := outbox.Migrate(ctx, db); err != nil {
//		return err
//	}
//	(&outbox.Relay{DB: db}).Attach(svc, orders.Placed)
//
// An event may reach the broker more than once, after a crash; it then has the ID that it had, by which brokers that can keep one of them, and package
// [github.com/hanse-go/hanse/events/outbox/inbox] has a handler take effect once.
//
// The database is SQLite or PostgreSQL, by any driver of database/sql. Transactions of pgx, and a relay that PostgreSQL wakes, are in
// github.com/hanse-go/hanse/events/outbox/pgxoutbox.
package outbox
