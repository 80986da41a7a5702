package sqltrace

import (
	"cmp"
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hanse-go/hanse/telemetry"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"
)

// Telemetry is where spans and numbers go: a *telemetry.Service, or the providers of another SDK.
type Telemetry interface {
	TracerProvider() trace.TracerProvider
	MeterProvider() metric.MeterProvider
}

// Options say what is told of a database.
type Options struct {
	// Telemetry is told. Default: nobody, and nothing is wrapped.
	Telemetry Telemetry

	// System is the kind of the database, db.system.name: "postgresql", "sqlite", "mysql", "mariadb", "microsoft.sql_server", or another of the
	// semantic conventions. It also says whether double quotes are around names or, as in MySQL, around texts. Default: "other_sql", whose
	// double quotes are taken for those of texts.
	System string

	// Namespace is the name of the database, db.namespace, such as "orders". Default: it is not told.
	Namespace string

	// Address and Port are those of its server. Default: they are not told.
	Address string
	Port    int

	// Pool names the pool of connections in its numbers. Default: the namespace, else the system.
	Pool string

	// NoText does not tell the text of statements, only what they do with which tables.
	NoText bool

	// Code returns the code of an error of the database, "" for others. Default: what methods SQLState() string and Code() int of the error say,
	// as errors of drivers for PostgreSQL and SQLite have.
	Code func(error) string
}

func (o Options) off() bool {
	s, ok := o.Telemetry.(*telemetry.Service)
	return o.Telemetry == nil || ok && s == nil
}

const scopeName = "github.com/hanse-go/hanse/telemetry/sqltrace"

// bounds are the upper bounds of db.client.operation.duration that the conventions name, in seconds.
var bounds = metric.WithExplicitBucketBoundaries(0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10)

// Recorder tells what was done with one database. It is for who wraps a client of a database; package [sqltrace] does it itself with those of database/sql. A
// nil *Recorder tells nothing. It is safe for concurrent use.
//
// [sqltrace]: https://pkg.go.dev/github.com/hanse-go/hanse/telemetry/sqltrace
type Recorder struct {
	options  Options
	tracer   trace.Tracer
	duration metric.Float64Histogram
	pool     poolMeters
	always   []attribute.KeyValue // of spans and numbers

	statements sync.Map // text → *known
	known      atomic.Int64
}

// known is a statement that was seen before.
type known struct {
	name    string
	span    []attribute.KeyValue
	meter   []attribute.KeyValue
	success metric.MeasurementOption // made once
}

// mostKnown bounds the statements that are kept: a program that writes values into its statements has any number of them.
const mostKnown = 2048

// NewRecorder returns a recorder; nil without Options.Telemetry.
func NewRecorder(options Options) *Recorder {
	if options.off() {
		return nil
	}
	options.System = cmp.Or(options.System, "other_sql")
	options.Pool = cmp.Or(options.Pool, options.Namespace, options.System)
	r := &Recorder{options: options, tracer: options.Telemetry.TracerProvider().Tracer(scopeName)}
	meter := options.Telemetry.MeterProvider().Meter(scopeName)
	// An instrument that cannot be made is one that does nothing, so its error changes nothing.
	r.duration, _ = meter.Float64Histogram("db.client.operation.duration", metric.WithUnit("s"), metric.WithDescription("Duration of database client operations."), bounds)
	r.pool.make(meter)
	r.always = []attribute.KeyValue{attribute.String("db.system.name", options.System)}
	if options.Namespace != "" {
		r.always = append(r.always, attribute.String("db.namespace", options.Namespace))
	}
	if options.Address != "" {
		r.always = append(r.always, attribute.String("server.address", options.Address))
		if options.Port != 0 {
			r.always = append(r.always, attribute.Int("server.port", options.Port))
		}
	}
	return r
}

// Query tells of a statement that began at a time and ended now, with an error or nil. rows is how many it returned, -1 when that is not known.
func (r *Recorder) Query(ctx context.Context, began time.Time, query string, rows int, err error) {
	if r != nil {
		r.ended(ctx, began, r.statement(query), rows, err)
	}
}

// Operation tells of an operation that is not said by a statement, such as COMMIT, or COPY into a collection; "" is none. batch is how many operations it has
// of the same kind, 1 when it is no batch.
func (r *Recorder) Operation(ctx context.Context, began time.Time, operation, collection string, batch int, err error) {
	if r == nil {
		return
	}
	if batch > 1 {
		r.ended(ctx, began, r.describe(operation, collection, attribute.Int("db.operation.batch.size", batch)), -1, err)
		return
	}
	key := "\x00" + operation + "\x00" + collection
	k, ok := r.statements.Load(key)
	if !ok {
		k = r.remember(key, r.describe(operation, collection))
	}
	r.ended(ctx, began, k.(*known), -1, err)
}

func (r *Recorder) statement(query string) *known {
	if k, ok := r.statements.Load(query); ok {
		return k.(*known)
	}
	s := parse(query, r.options.System == "mysql" || r.options.System == "mariadb" || r.options.System == "other_sql")
	k := &known{name: cmp.Or(s.summary, r.options.Namespace, r.options.System), meter: r.with()}
	if s.summary != "" {
		k.meter = append(k.meter, attribute.String("db.query.summary", s.summary))
	}
	k.describe(s.operation, s.collection)
	k.span = k.meter
	if !r.options.NoText {
		k.span = append(k.span[:len(k.span):len(k.span)], attribute.String("db.query.text", s.text))
	}
	return r.remember(strings.Clone(query), k)
}

func (r *Recorder) describe(operation, collection string, more ...attribute.KeyValue) *known {
	k := &known{name: strings.TrimSpace(operation + " " + collection), meter: r.with()}
	k.describe(operation, collection)
	k.span = append(k.meter[:len(k.meter):len(k.meter)], more...)
	k.success = metric.WithAttributes(k.meter...)
	return k
}

func (k *known) describe(operation, collection string) {
	if operation != "" {
		k.meter = append(k.meter, attribute.String("db.operation.name", operation))
	}
	if collection != "" {
		k.meter = append(k.meter, attribute.String("db.collection.name", collection))
	}
}

// with returns the attributes that all have, to be added to.
func (r *Recorder) with() []attribute.KeyValue {
	return append(make([]attribute.KeyValue, 0, len(r.always)+4), r.always...)
}

func (r *Recorder) remember(key string, k *known) *known {
	k.success = metric.WithAttributes(k.meter...)
	if r.known.Load() >= mostKnown {
		return k
	}
	if other, there := r.statements.LoadOrStore(key, k); there {
		return other.(*known)
	}
	r.known.Add(1)
	return k
}

var client = []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindClient)}

// ended makes the span of what has ended: only now it is known whether there is one, for a driver may decline.
func (r *Recorder) ended(ctx context.Context, began time.Time, k *known, rows int, err error) {
	now := time.Now()
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	kind, code := "", ""
	if err != nil {
		kind, code = r.classify(err)
	}
	span := trace.SpanFromContext(ctx)
	if span.SpanContext().IsValid() {
		ctx, span = r.tracer.Start(ctx, k.name, append(client[:1:1], trace.WithTimestamp(began))...)
		defer span.End(trace.WithTimestamp(now))
	} // else nobody asked for it, as when a relay polls: it would be a trace of a single span, again and again
	if span.IsRecording() {
		span.SetAttributes(k.span...)
		if rows >= 0 {
			span.SetAttributes(attribute.Int("db.response.returned_rows", rows))
		}
		if err != nil {
			span.SetAttributes(attribute.String("error.type", kind))
			if code != "" {
				span.SetAttributes(attribute.String("db.response.status_code", code))
			}
			span.SetStatus(codes.Error, err.Error())
		}
	}
	if err == nil {
		r.duration.Record(ctx, now.Sub(began).Seconds(), k.success)
	} else {
		all := append(k.meter[:len(k.meter):len(k.meter)], attribute.String("error.type", kind))
		if code != "" {
			all = append(all, attribute.String("db.response.status_code", code))
		}
		r.duration.Record(ctx, now.Sub(began).Seconds(), metric.WithAttributes(all...))
	}
}

// classify returns error.type and db.response.status_code of an error; the latter may be "".
func (r *Recorder) classify(err error) (kind, code string) {
	switch code = r.code(err); {
	case code != "":
		return code, code
	case errors.Is(err, context.Canceled):
		return "context.Canceled", ""
	case errors.Is(err, context.DeadlineExceeded):
		return "context.DeadlineExceeded", ""
	case errors.Is(err, driver.ErrBadConn):
		return "driver.ErrBadConn", ""
	case errors.Is(err, sql.ErrTxDone):
		return "sql.ErrTxDone", ""
	}
	return strings.TrimPrefix(fmt.Sprintf("%T", err), "*"), ""
}

func (r *Recorder) code(err error) string {
	if r.options.Code != nil {
		return r.options.Code(err)
	}
	if e, ok := errors.AsType[interface {
		error
		SQLState() string
	}](err); ok {
		return e.SQLState()
	}
	if e, ok := errors.AsType[interface {
		error
		Code() int
	}](err); ok {
		return strconv.Itoa(e.Code())
	}
	return ""
}
