package sqltrace_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/hanse-go/hanse/telemetry/sqltrace"
	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

// TestSpanConventions holds which attributes each kind of span has, by the names that OpenTelemetry publishes for clients of databases.
func TestSpanConventions(t *testing.T) {
	tells := newTold()
	db := open(t, tells, func(o *sqltrace.Options) { o.Address, o.Port = "db", 5432 })
	var (
		any       = []attribute.Key{semconv.DBSystemNameKey, semconv.DBNamespaceKey, semconv.ServerAddressKey, semconv.ServerPortKey}
		operation = append(any[:4:4], semconv.DBOperationNameKey)
		statement = append(any[:4:4], semconv.DBQuerySummaryKey, semconv.DBOperationNameKey, semconv.DBCollectionNameKey, semconv.DBQueryTextKey)
		query     = append(statement[:8:8], semconv.DBResponseReturnedRowsKey)
		failed    = append(statement[:8:8], semconv.ErrorTypeKey, semconv.DBResponseStatusCodeKey)
	)
	// hold compares the one span that was told since the last time.
	hold := func(what string, want ...attribute.Key) {
		t.Helper()
		spans := tells.spans.Ended()
		tells.spans.Reset()
		if len(spans) != 1 {
			t.Fatalf("%s: %d spans", what, len(spans))
		}
		var got []attribute.Key
		for _, a := range spans[0].Attributes() {
			got = append(got, a.Key)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s has\n%v\nand not\n%v", what, got, want)
		}
		if a := spans[0].Attributes()[0]; a != semconv.DBSystemNameSQLite {
			t.Errorf("%s is of the system %s", what, a.Value.AsString())
		}
	}
	exec(t, db, "CREATE TABLE orders (id INTEGER PRIMARY KEY)")
	hold("a statement", statement...)
	var n int
	if err := db.QueryRowContext(inTrace(t), "SELECT count(*) FROM orders").Scan(&n); err != nil {
		t.Fatal(err)
	}
	hold("a query", query...)
	exec(t, db, "INSERT INTO orders VALUES (1)")
	hold("an insertion", statement...)
	if _, err := db.ExecContext(inTrace(t), "INSERT INTO orders VALUES (1)"); err == nil {
		t.Fatal("a row is there twice")
	}
	hold("a failure", failed...)
	tx, err := db.BeginTx(inTrace(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	hold("BEGIN", operation...)
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	hold("COMMIT", operation...)

	// What clients tell that are no drivers of database/sql.
	r := sqltrace.NewRecorder(sqltrace.Options{Telemetry: tells, System: "sqlite"})
	r.Operation(inTrace(t), time.Now(), "COPY", "orders", 1, nil)
	hold("COPY", semconv.DBSystemNameKey, semconv.DBOperationNameKey, semconv.DBCollectionNameKey)
	r.Operation(inTrace(t), time.Now(), "BATCH", "", 2, nil)
	hold("a batch", semconv.DBSystemNameKey, semconv.DBOperationNameKey, semconv.DBOperationBatchSizeKey)
	r.Query(inTrace(t), time.Now(), "SELECT 1", -1, errors.New("away"))
	hold("no answer", semconv.DBSystemNameKey, semconv.DBQuerySummaryKey, semconv.DBOperationNameKey, semconv.DBQueryTextKey, semconv.ErrorTypeKey)
}
