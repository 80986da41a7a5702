package pgxtrace_test

import (
	"context"
	"slices"
	"testing"

	"github.com/jackc/pgx/v5"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/semconv/v1.43.0/dbconv"
	"go.opentelemetry.io/otel/trace"
)

// TestConventions holds which attributes each kind of span and number has, by the names that OpenTelemetry publishes for clients of databases.
func TestConventions(t *testing.T) {
	db := open(t)
	var (
		every     = []attribute.Key{semconv.DBSystemNameKey, semconv.DBNamespaceKey, semconv.ServerAddressKey, semconv.ServerPortKey}
		statement = append(every[:4:4], semconv.DBQuerySummaryKey, semconv.DBOperationNameKey, semconv.DBCollectionNameKey, semconv.DBQueryTextKey)
		query     = append(statement[:8:8], semconv.DBResponseReturnedRowsKey)
		failed    = append(statement[:8:8], semconv.ErrorTypeKey, semconv.DBResponseStatusCodeKey)
	)
	// inTrace does something, and compares the one span that is told of it.
	inTrace := func(what string, do func(ctx context.Context) error, want ...attribute.Key) {
		t.Helper()
		ctx, above := db.tells.traces.Tracer("").Start(t.Context(), "above")
		if err := do(ctx); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		spans := db.spans.Ended()
		db.spans.Reset()
		above.End()
		db.spans.Reset()
		if len(spans) != 1 {
			t.Fatalf("%s: %d spans", what, len(spans))
		}
		var got []attribute.Key
		has := map[attribute.Key]attribute.Value{}
		for _, a := range spans[0].Attributes() {
			got = append(got, a.Key)
			has[a.Key] = a.Value
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s has\n%v\nand not\n%v", what, got, want)
		}
		if has[semconv.DBSystemNameKey] != semconv.DBSystemNamePostgreSQL.Value || has[semconv.DBNamespaceKey].AsString() != db.config.Database ||
			has[semconv.ServerAddressKey].AsString() != db.config.Host || has[semconv.ServerPortKey].AsInt64() != int64(db.config.Port) {
			t.Errorf("%s is of %v", what, has)
		}
		if spans[0].SpanKind() != trace.SpanKindClient {
			t.Errorf("%s is of the kind %v", what, spans[0].SpanKind())
		}
	}
	exec := func(text string) func(context.Context) error {
		return func(ctx context.Context) error { _, err := db.pool.Exec(ctx, text); return err }
	}
	inTrace("a statement", exec("CREATE TABLE orders (id int PRIMARY KEY)"), statement...)
	inTrace("an insertion", exec("INSERT INTO orders VALUES (1)"), statement...)
	inTrace("a query", func(ctx context.Context) error {
		var n int
		return db.pool.QueryRow(ctx, "SELECT count(*) FROM orders").Scan(&n)
	}, query...)
	inTrace("a failure", func(ctx context.Context) error {
		if err := exec("INSERT INTO orders VALUES (1)")(ctx); err == nil {
			t.Error("a row is there twice")
		}
		return nil
	}, failed...)
	inTrace("COPY", func(ctx context.Context) error {
		_, err := db.pool.CopyFrom(ctx, pgx.Identifier{"orders"}, []string{"id"}, pgx.CopyFromRows([][]any{{2}}))
		return err
	}, append(every[:4:4], semconv.DBOperationNameKey, semconv.DBCollectionNameKey)...)
	inTrace("a batch", func(ctx context.Context) error {
		batch := new(pgx.Batch)
		batch.Queue("DELETE FROM orders WHERE id = 7")
		batch.Queue("DELETE FROM orders WHERE id = 8")
		return db.pool.SendBatch(ctx, batch).Close()
	}, append(every[:4:4], semconv.DBOperationNameKey, semconv.DBOperationBatchSizeKey)...)

	// Numbers: name, unit, description, and which attributes they have, all together.
	type convention interface {
		Name() string
		Unit() string
		Description() string
	}
	pool := append(every[:4:4], semconv.DBClientConnectionPoolNameKey)
	want := map[string][]attribute.Key{}
	conventions := map[string]convention{}
	for _, c := range []struct {
		convention
		attributes []attribute.Key
	}{
		{dbconv.ClientOperationDuration{}, append(failed[:4:4], semconv.DBQuerySummaryKey, semconv.DBOperationNameKey, semconv.DBCollectionNameKey, semconv.ErrorTypeKey, semconv.DBResponseStatusCodeKey)},
		{dbconv.ClientConnectionCount{}, append(pool[:5:5], semconv.DBClientConnectionStateKey)},
		{dbconv.ClientConnectionMax{}, pool},
		{dbconv.ClientConnectionCreateTime{}, pool},
		{dbconv.ClientConnectionWaitTime{}, pool},
	} {
		want[c.Name()], conventions[c.Name()] = c.attributes, c.convention
	}
	var data metricdata.ResourceMetrics
	if err := db.reader.Collect(t.Context(), &data); err != nil {
		t.Fatal(err)
	}
	for _, m := range data.ScopeMetrics[0].Metrics {
		c := conventions[m.Name]
		if c == nil || m.Unit != c.Unit() || m.Description != c.Description() {
			t.Errorf("%s: %q in %q is not as theirs", m.Name, m.Description, m.Unit)
			continue
		}
		var sets []attribute.Set
		switch d := m.Data.(type) {
		case metricdata.Histogram[float64]:
			for _, p := range d.DataPoints {
				sets = append(sets, p.Attributes)
			}
		case metricdata.Sum[int64]:
			for _, p := range d.DataPoints {
				sets = append(sets, p.Attributes)
			}
		default:
			t.Errorf("%s is a %T", m.Name, d)
		}
		var got []attribute.Key
		for _, set := range sets {
			for _, a := range set.ToSlice() {
				got = append(got, a.Key)
			}
		}
		slices.Sort(got)
		if got, want := slices.Compact(got), slices.Sorted(slices.Values(want[m.Name])); !slices.Equal(got, want) {
			t.Errorf("%s has\n%v\nand not\n%v", m.Name, got, want)
		}
		delete(conventions, m.Name)
	}
	if len(conventions) > 0 {
		t.Errorf("missing: %v", conventions)
	}
}
