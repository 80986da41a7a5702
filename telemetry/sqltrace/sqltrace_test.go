package sqltrace_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/hanse-go/hanse/telemetry"
	"github.com/hanse-go/hanse/telemetry/sqltrace"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/semconv/v1.43.0/dbconv"
	"go.opentelemetry.io/otel/trace"
	_ "modernc.org/sqlite"
)

// told is what a database tells, with the SDK of OpenTelemetry.
type told struct {
	spans  *tracetest.SpanRecorder
	traces *sdktrace.TracerProvider
	reader *sdkmetric.ManualReader
	meters *sdkmetric.MeterProvider
}

func newTold() *told {
	t := &told{spans: tracetest.NewSpanRecorder(), reader: sdkmetric.NewManualReader()}
	t.traces = sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(t.spans))
	t.meters = sdkmetric.NewMeterProvider(sdkmetric.WithReader(t.reader))
	return t
}

func (t *told) TracerProvider() trace.TracerProvider { return t.traces }
func (t *told) MeterProvider() metric.MeterProvider  { return t.meters }

// take returns the spans since the last time, by name, status and attributes.
func (t *told) take() (all []string) {
	for _, s := range t.spans.Ended() {
		text := s.Name() + " " + s.SpanKind().String()
		if s.Status().Code != codes.Unset {
			text += " " + s.Status().Code.String()
		}
		for _, a := range s.Attributes() {
			text += fmt.Sprintf(" %s=%s", a.Key, a.Value.String())
		}
		all = append(all, text)
	}
	t.spans.Reset()
	return all
}

func open(t *testing.T, tells *told, change ...func(*sqltrace.Options)) *sql.DB {
	t.Helper()
	o := sqltrace.Options{Telemetry: tells, System: "sqlite", Namespace: "orders"}
	for _, c := range change {
		c(&o)
	}
	db, err := sqltrace.Open("sqlite", "file:"+t.TempDir()+"/x.db", o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

// inTrace is the context of a call that is recorded, of which the rest is told elsewhere.
func inTrace(t *testing.T) context.Context {
	return trace.ContextWithRemoteSpanContext(t.Context(), trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}, TraceFlags: trace.FlagsSampled, Remote: true,
	}))
}

func exec(t *testing.T, db interface {
	ExecContext(context.Context, string, ...any) (sql.Result, error)
}, query string, args ...any) {
	t.Helper()
	if _, err := db.ExecContext(inTrace(t), query, args...); err != nil {
		t.Fatal(err)
	}
}

func want(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// What nobody's call makes, such as a poll, is counted and makes no trace.
func TestOutsideOfTraces(t *testing.T) {
	tells := newTold()
	db := open(t, tells)
	if _, err := db.ExecContext(t.Context(), "CREATE TABLE orders (id INTEGER PRIMARY KEY)"); err != nil {
		t.Fatal(err)
	}
	want(t, tells.take())
	var data metricdata.ResourceMetrics
	if err := tells.reader.Collect(t.Context(), &data); err != nil {
		t.Fatal(err)
	}
	for _, scope := range data.ScopeMetrics {
		for _, m := range scope.Metrics {
			if h, ok := m.Data.(metricdata.Histogram[float64]); ok && m.Name == "db.client.operation.duration" && len(h.DataPoints) == 1 && h.DataPoints[0].Count == 1 {
				return
			}
		}
	}
	t.Errorf("it was not counted: %+v", data.ScopeMetrics)
}

// Each thing that is done is one span, as the conventions say, and with no value of anybody's.
func TestSpans(t *testing.T) {
	tells := newTold()
	db := open(t, tells)
	const all = " client db.system.name=sqlite db.namespace=orders"
	exec(t, db, "CREATE TABLE orders (id INTEGER PRIMARY KEY, who TEXT)")
	exec(t, db, "INSERT INTO orders VALUES (1, 'secret'), ($1, $2)", 2, "secret")
	want(t, tells.take(),
		"CREATE orders"+all+" db.query.summary=CREATE orders db.operation.name=CREATE db.collection.name=orders db.query.text=CREATE TABLE orders (id INTEGER PRIMARY KEY, who TEXT)",
		"INSERT orders"+all+" db.query.summary=INSERT orders db.operation.name=INSERT db.collection.name=orders db.query.text=INSERT INTO orders VALUES (?, ?), ($1, $2)")

	rows, err := db.QueryContext(inTrace(t), "SELECT who FROM orders")
	if err != nil {
		t.Fatal(err)
	}
	if !rows.Next() {
		t.Fatal(rows.Err())
	}
	want(t, tells.take()) // it is not over
	for rows.Next() {
	}
	const selected = "SELECT orders" + all + " db.query.summary=SELECT orders db.operation.name=SELECT db.collection.name=orders db.query.text=SELECT who FROM orders"
	want(t, tells.take(), selected+" db.response.returned_rows=2")

	stmt, err := db.PrepareContext(inTrace(t), "SELECT who FROM orders")
	if err != nil {
		t.Fatal(err)
	}
	var who string
	if err := stmt.QueryRowContext(inTrace(t)).Scan(&who); err != nil || who != "secret" {
		t.Fatal(who, err)
	}
	if err := stmt.Close(); err != nil {
		t.Fatal(err)
	}
	want(t, tells.take(), selected+" db.response.returned_rows=1")
	if err := db.QueryRowContext(inTrace(t), "SELECT who FROM orders WHERE id = 9").Scan(&who); !errors.Is(err, sql.ErrNoRows) {
		t.Fatal(err)
	}
	want(t, tells.take(), selected+" WHERE id = ? db.response.returned_rows=0")

	for _, end := range []string{"COMMIT", "ROLLBACK"} {
		tx, err := db.BeginTx(inTrace(t), nil)
		if err != nil {
			t.Fatal(err)
		}
		exec(t, tx, "DELETE FROM orders WHERE id = ?", 7)
		if end == "COMMIT" {
			err = tx.Commit()
		} else {
			err = tx.Rollback()
		}
		if err != nil {
			t.Fatal(err)
		}
		want(t, tells.take(), "BEGIN"+all+" db.operation.name=BEGIN",
			"DELETE orders"+all+" db.query.summary=DELETE orders db.operation.name=DELETE db.collection.name=orders db.query.text=DELETE FROM orders WHERE id = ?",
			end+all+" db.operation.name="+end)
	}

	if _, err := db.ExecContext(inTrace(t), "INSERT INTO orders VALUES (1, 'again')"); err == nil {
		t.Fatal("a row is there twice")
	}
	want(t, tells.take(), "INSERT orders client Error db.system.name=sqlite db.namespace=orders db.query.summary=INSERT orders db.operation.name=INSERT db.collection.name=orders "+
		"db.query.text=INSERT INTO orders VALUES (?, ?) error.type=1555 db.response.status_code=1555")
	ctx, cancel := context.WithCancel(inTrace(t))
	conn, err := db.Conn(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	cancel()
	if err := conn.Raw(func(c any) error {
		if _, ok := c.(interface{ Raw() driver.Conn }); !ok {
			return errors.New("the driver's connection cannot be had")
		}
		_, err := c.(driver.ExecerContext).ExecContext(ctx, "SELECT 1", nil)
		if !errors.Is(err, context.Canceled) {
			return fmt.Errorf("got %v", err)
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
	want(t, tells.take(), "SELECT client Error db.system.name=sqlite db.namespace=orders db.query.summary=SELECT db.operation.name=SELECT db.query.text=SELECT ? error.type=context.Canceled")
}

// The spans belong to the one in the context.
func TestParent(t *testing.T) {
	tells := newTold()
	db := open(t, tells, func(o *sqltrace.Options) { o.NoText = true })
	ctx, above := tells.traces.Tracer("").Start(t.Context(), "above")
	if _, err := db.ExecContext(ctx, "SELECT 'x'"); err != nil {
		t.Fatal(err)
	}
	above.End()
	spans := tells.spans.Ended()
	if len(spans) != 2 || spans[0].Parent().SpanID() != above.SpanContext().SpanID() {
		t.Errorf("%d spans, %v", len(spans), tells.take())
	}
	for _, s := range spans {
		for _, a := range s.Attributes() {
			if a.Key == semconv.DBQueryTextKey {
				t.Errorf("the text is told though it is not to be: %s", a.Value.String())
			}
		}
	}
}

// TestConventions holds the names of all numbers and attributes against OpenTelemetry's own.
func TestConventions(t *testing.T) {
	tells := newTold()
	db := open(t, tells, func(o *sqltrace.Options) { o.Address, o.Port = "db", 1 })
	db.SetMaxOpenConns(3)
	exec(t, db, "CREATE TABLE orders (id INTEGER PRIMARY KEY)")
	if _, err := db.ExecContext(inTrace(t), "SELECT nonsense"); err == nil {
		t.Fatal("nonsense is no error")
	}
	names := []attribute.Key{
		semconv.DBSystemNameKey, semconv.DBNamespaceKey, semconv.DBQuerySummaryKey, semconv.DBQueryTextKey, semconv.DBOperationNameKey, semconv.DBCollectionNameKey,
		semconv.DBResponseStatusCodeKey, semconv.ErrorTypeKey, semconv.ServerAddressKey, semconv.ServerPortKey, semconv.DBClientConnectionPoolNameKey, semconv.DBClientConnectionStateKey,
	}
	known := func(where string, all []attribute.KeyValue) {
		for _, a := range all {
			if !slices.Contains(names, a.Key) {
				t.Errorf("%s: %s is none of the conventions' names", where, a.Key)
			}
		}
	}
	for _, s := range tells.spans.Ended() {
		known(s.Name(), s.Attributes())
	}
	var data metricdata.ResourceMetrics
	if err := tells.reader.Collect(t.Context(), &data); err != nil {
		t.Fatal(err)
	}
	seen := make(map[string]bool)
	theirs := map[string]interface {
		Name() string
		Unit() string
		Description() string
	}{}
	for _, m := range []interface {
		Name() string
		Unit() string
		Description() string
	}{dbconv.ClientOperationDuration{}, dbconv.ClientConnectionCount{}, dbconv.ClientConnectionMax{}, dbconv.ClientConnectionCreateTime{}} {
		theirs[m.Name()] = m
	}
	for _, m := range data.ScopeMetrics[0].Metrics {
		seen[m.Name] = true
		if their := theirs[m.Name]; their == nil || their.Unit() != m.Unit || their.Description() != m.Description {
			t.Errorf("%s in %s, %q, is not as in the conventions: %v", m.Name, m.Unit, m.Description, their)
		}
		switch d := m.Data.(type) {
		case metricdata.Histogram[float64]:
			for _, p := range d.DataPoints {
				known(m.Name, p.Attributes.ToSlice())
			}
		case metricdata.Sum[int64]:
			for _, p := range d.DataPoints {
				known(m.Name, p.Attributes.ToSlice())
			}
		}
	}
	for name := range theirs {
		if !seen[name] {
			t.Errorf("%s is not told", name)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	data = metricdata.ResourceMetrics{}
	if err := tells.reader.Collect(t.Context(), &data); err != nil {
		t.Fatal(err)
	}
	for _, m := range data.ScopeMetrics[0].Metrics {
		if strings.HasSuffix(m.Name, ".count") || strings.HasSuffix(m.Name, ".max") {
			t.Errorf("%s is told of a pool that is closed", m.Name)
		}
	}
}

func TestOff(t *testing.T) {
	var off *telemetry.Service
	for _, tells := range []sqltrace.Telemetry{nil, off} {
		db, err := sqltrace.Open("sqlite", ":memory:", sqltrace.Options{Telemetry: tells})
		if err != nil {
			t.Fatal(err)
		}
		conn, err := db.Conn(inTrace(t))
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.Raw(func(c any) error {
			if _, ok := c.(interface{ Raw() driver.Conn }); ok {
				t.Error("a database that is not told of is wrapped")
			}
			return nil
		})
		conn.Close()
		db.Close()
	}
	if _, err := sqltrace.Open("there is none", "", sqltrace.Options{Telemetry: newTold()}); err == nil {
		t.Error("a driver that there is not is no error")
	}
}

// old is a driver from before contexts: it prepares all, and begins without options.
type old struct{ log []string }

func (o *old) Connect(context.Context) (driver.Conn, error) { return o, nil }
func (o *old) Driver() driver.Driver                        { return nil }
func (o *old) Prepare(query string) (driver.Stmt, error)    { return oldStmt{o, query}, nil }
func (o *old) Close() error                                 { return nil }
func (o *old) Begin() (driver.Tx, error)                    { return o, nil }
func (o *old) Commit() error                                { return errors.New("no") }
func (o *old) Rollback() error                              { return nil }

type oldStmt struct {
	o     *old
	query string
}

func (s oldStmt) Close() error  { return nil }
func (s oldStmt) NumInput() int { return -1 }
func (s oldStmt) Exec(args []driver.Value) (driver.Result, error) {
	s.o.log = append(s.o.log, fmt.Sprint(s.query, args))
	return driver.RowsAffected(1), nil
}
func (s oldStmt) Query(args []driver.Value) (driver.Rows, error) { return oldRows{}, nil }

type oldRows struct{}

func (oldRows) Columns() []string         { return []string{"a"} }
func (oldRows) Close() error              { return nil }
func (oldRows) Next([]driver.Value) error { return io.EOF }

// What a driver does not have is done as database/sql would do it, and told once.
func TestOldDriver(t *testing.T) {
	tells := newTold()
	o := &old{}
	db := sqltrace.Wrap(o, sqltrace.Options{Telemetry: tells, System: "other_sql"})
	defer db.Close()
	exec(t, db, "DELETE FROM a WHERE x = ?", 5)
	if err := db.PingContext(inTrace(t)); err != nil {
		t.Error(err)
	}
	rows, err := db.QueryContext(inTrace(t), "SELECT * FROM a")
	if err != nil {
		t.Fatal(err)
	}
	types, err := rows.ColumnTypes()
	if err != nil || types[0].DatabaseTypeName() != "" || rows.NextResultSet() {
		t.Error(types, err)
	}
	rows.Close()
	if _, err := db.BeginTx(inTrace(t), &sql.TxOptions{ReadOnly: true}); err == nil {
		t.Error("it can do what it cannot")
	}
	tx, err := db.BeginTx(inTrace(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := tx.Commit(); err == nil {
		t.Error("it commits what it cannot")
	}
	if want := []string{"DELETE FROM a WHERE x = ?[5]"}; !slices.Equal(o.log, want) {
		t.Errorf("it did %q, want %q", o.log, want)
	}
	var names []string
	for _, s := range tells.take() {
		name, _, _ := strings.Cut(s, " db.")
		names = append(names, name)
	}
	want(t, names, "DELETE a client", "SELECT a client", "BEGIN client Error", "BEGIN client", "COMMIT client Error")
}
