// Package sqltrace has the statements of database/sql be spans, below the span of whoever made them, and counts them, by the semantic conventions of
// OpenTelemetry; those with a context that has no span are only counted:
//
//	db, err := sqltrace.Open("sqlite", "file:orders.db", sqltrace.Options{Telemetry: svc.Telemetry(), System: "sqlite", Namespace: "orders"})
//
// [Wrap] does it with a [driver.Connector], as drivers have one with more options. It registers nothing and wraps any driver. For pgx without
// database/sql there is module telemetry/pgxtrace.
//
// A statement is told by its text without literals, which may be anybody's secrets, and never with its arguments. It is grouped by a summary of it, such as
// "SELECT orders", which is the name of its span as well. One that fails has error.type, and db.response.status_code where the driver tells.
// The span of a query lasts until its rows are closed. The numbers are db.client.operation.duration and those of the pool, db.client.connection.*.
//
// [driver.Connector]: https://pkg.go.dev/database/sql/driver#Connector
package sqltrace
