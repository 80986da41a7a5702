// Package pgxoutbox is the outbox and the inbox for programs that use pgx: [Publish] and [Handle] take its transactions, and [Listen] has PostgreSQL wake the
// relay.
//
//	err := pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
//		if _, err := tx.Exec(ctx, `INSERT INTO orders …`); err != nil {
//			return err
//		}
//		return pgxoutbox.Publish(ctx, tx, orders.Placed, &ordersv1.Placed{OrderId: id})
//	})
//
// The set-up of a service, where the relay and the migrations use the pool by way of database/sql:
//
//	db := stdlib.OpenDBFromPool(pool)
//	svc.OnStop(func(context.Context) error { return db.Close() })
//	if err := outbox.Migrate(ctx, db); err != nil {
//		return err
//	}
//	(&outbox.Relay{DB: db, Listen: pgxoutbox.Listen(pool)}).Attach(svc, orders.Placed)
//
// A program that uses PostgreSQL by database/sql, with pgx's driver, needs only [ListenDB] of this package.
package pgxoutbox
