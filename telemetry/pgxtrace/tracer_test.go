package pgxtrace_test

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/hanse-go/hanse/events/outbox/postgrestest"
	"github.com/hanse-go/hanse/telemetry/pgxtrace"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"go.opentelemetry.io/otel/metric"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
)

type told struct {
	traces *sdktrace.TracerProvider
	meters *sdkmetric.MeterProvider
}

func (t told) TracerProvider() trace.TracerProvider { return t.traces }
func (t told) MeterProvider() metric.MeterProvider  { return t.meters }

// traced is a database of a real PostgreSQL, of which pgx tells.
type traced struct {
	pool   *pgxpool.Pool
	config *pgx.ConnConfig
	tells  told
	spans  *tracetest.SpanRecorder
	reader *sdkmetric.ManualReader
}

func open(t *testing.T) *traced {
	t.Helper()
	server, err := postgrestest.Start(context.Background(), "fsync=off")
	if errors.Is(err, postgrestest.ErrNotInstalled) && os.Getenv("HANSE_ENGINES") == "" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Stop)
	source, err := server.NewDatabase(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	config, err := pgxpool.ParseConfig(source)
	if err != nil {
		t.Fatal(err)
	}
	db := &traced{config: config.ConnConfig, spans: tracetest.NewSpanRecorder(), reader: sdkmetric.NewManualReader()}
	db.tells = told{sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(db.spans)), sdkmetric.NewMeterProvider(sdkmetric.WithReader(db.reader))}
	tracer := pgxtrace.New(db.tells, config.ConnConfig)
	config.ConnConfig.Tracer = tracer
	if db.pool, err = pgxpool.NewWithConfig(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.pool.Close)
	t.Cleanup(tracer.Observe(db.pool))
	return db
}

// TestTracer does all that pgx tells of.
func TestTracer(t *testing.T) {
	db := open(t)
	pool, tells, spans, reader := db.pool, db.tells, db.spans, db.reader
	ctx, above := tells.traces.Tracer("").Start(t.Context(), "above")
	do := func(query string, args ...any) {
		t.Helper()
		if _, err := pool.Exec(ctx, query, args...); err != nil {
			t.Fatal(err)
		}
	}
	do("CREATE TABLE orders (id int PRIMARY KEY, who text)")
	do("INSERT INTO orders VALUES ($1, 'secret')", 1)
	if _, err := pool.CopyFrom(ctx, pgx.Identifier{"orders"}, []string{"id", "who"}, pgx.CopyFromRows([][]any{{2, "secret"}})); err != nil {
		t.Fatal(err)
	}
	batch := new(pgx.Batch)
	batch.Queue("DELETE FROM orders WHERE id = 7")
	batch.Queue("DELETE FROM orders WHERE id = 8")
	if err := pool.SendBatch(ctx, batch).Close(); err != nil {
		t.Fatal(err)
	}
	var n int
	if err := pool.QueryRow(ctx, "SELECT count(*) FROM orders").Scan(&n); err != nil || n != 2 {
		t.Fatal(n, err)
	}
	if _, err := pool.Exec(ctx, "INSERT INTO orders VALUES (1, 'again')"); err == nil {
		t.Fatal("a row is there twice")
	}
	above.End()
	var got []string
	for _, s := range spans.Ended() {
		if s.Name() == "above" {
			continue
		}
		if s.Parent().SpanID() != above.SpanContext().SpanID() {
			t.Errorf("%s is not below its caller", s.Name())
		}
		text := s.Name() + " " + s.Status().Code.String()
		for _, a := range s.Attributes() {
			switch {
			case strings.Contains(a.Value.String(), "secret"):
				t.Errorf("%s is told", a.Value.String())
			case a.Key == "error.type", a.Key == "db.response.status_code", a.Key == "db.operation.batch.size", a.Key == "db.response.returned_rows":
				text += " " + a.Value.String()
			}
		}
		got = append(got, text)
	}
	if want := []string{"CREATE orders Unset", "INSERT orders Unset", `COPY "orders" Unset`, "BATCH Unset 2", "SELECT orders Unset 1", "INSERT orders Error 23505 23505"}; !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	var data metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &data); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, m := range data.ScopeMetrics[0].Metrics {
		names = append(names, m.Name)
	}
	slices.Sort(names)
	if want := "db.client.connection.count db.client.connection.create_time db.client.connection.max db.client.connection.wait_time db.client.operation.duration"; strings.Join(names, " ") != want {
		t.Errorf("the numbers are %v", names)
	}
}
