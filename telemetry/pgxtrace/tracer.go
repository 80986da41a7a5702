// Package pgxtrace has the statements of pgx be spans, below the span of whoever made them, and counts them, by the semantic conventions of OpenTelemetry. It is for
// programs that use pgx without database/sql; what is told is the same as by package telemetry/sqltrace:
//
//	config, err := pgxpool.ParseConfig(url)
//	…
//	tracer := pgxtrace.New(svc.Telemetry(), config.ConnConfig)
//	config.ConnConfig.Tracer = tracer
//	pool, err := pgxpool.NewWithConfig(ctx, config)
//	…
//	stop := tracer.Observe(pool) // its numbers, until stop is called
package pgxtrace

import (
	"context"
	"time"

	"github.com/hanse-go/hanse/telemetry/sqltrace"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Tracer is told by pgx what is done. Its methods are for pgx.
type Tracer struct{ r *sqltrace.Recorder }

var (
	_ pgx.QueryTracer       = (*Tracer)(nil)
	_ pgx.BatchTracer       = (*Tracer)(nil)
	_ pgx.CopyFromTracer    = (*Tracer)(nil)
	_ pgx.ConnectTracer     = (*Tracer)(nil)
	_ pgxpool.AcquireTracer = (*Tracer)(nil)
)

// New returns a tracer for the database of a config. Without telemetry, nil or a nil *telemetry.Service, it tells nothing.
func New(tells sqltrace.Telemetry, config *pgx.ConnConfig) *Tracer {
	return &Tracer{sqltrace.NewRecorder(sqltrace.Options{
		Telemetry: tells, System: "postgresql", Namespace: config.Database, Address: config.Host, Port: int(config.Port),
	})}
}

// Observe has the numbers of a pool be told until stop is called.
func (t *Tracer) Observe(pool *pgxpool.Pool) (stop func()) {
	return t.r.ObservePool(func() sqltrace.PoolState {
		s := pool.Stat()
		return sqltrace.PoolState{Idle: int(s.IdleConns()), Used: int(s.AcquiredConns()), Max: int(s.MaxConns())}
	})
}

// work is what was begun: a statement, a batch, a copy, a connection.
type work struct {
	began time.Time
	what  string
	n     int
	err   error // the first of a batch
}

type workKey struct{}

func begin(ctx context.Context, what string, n int) context.Context {
	return context.WithValue(ctx, workKey{}, &work{began: time.Now(), what: what, n: n})
}

func of(ctx context.Context) *work {
	if w, ok := ctx.Value(workKey{}).(*work); ok {
		return w
	}
	return &work{began: time.Now()}
}

// TraceQueryStart implements [pgx.QueryTracer].
func (t *Tracer) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	return begin(ctx, data.SQL, 1)
}

// TraceQueryEnd implements [pgx.QueryTracer].
func (t *Tracer) TraceQueryEnd(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryEndData) {
	w, rows := of(ctx), -1
	if data.CommandTag.Select() {
		rows = int(data.CommandTag.RowsAffected())
	}
	t.r.Query(ctx, w.began, w.what, rows, data.Err)
}

// TraceBatchStart implements [pgx.BatchTracer].
func (t *Tracer) TraceBatchStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceBatchStartData) context.Context {
	return begin(ctx, "BATCH", data.Batch.Len())
}

// TraceBatchQuery implements [pgx.BatchTracer].
func (t *Tracer) TraceBatchQuery(ctx context.Context, _ *pgx.Conn, data pgx.TraceBatchQueryData) {
	if w := of(ctx); w.err == nil {
		w.err = data.Err
	}
}

// TraceBatchEnd implements [pgx.BatchTracer].
func (t *Tracer) TraceBatchEnd(ctx context.Context, _ *pgx.Conn, data pgx.TraceBatchEndData) {
	w := of(ctx)
	if data.Err != nil {
		w.err = data.Err
	}
	t.r.Operation(ctx, w.began, w.what, "", w.n, w.err)
}

// TraceCopyFromStart implements [pgx.CopyFromTracer].
func (t *Tracer) TraceCopyFromStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceCopyFromStartData) context.Context {
	return begin(ctx, data.TableName.Sanitize(), 1)
}

// TraceCopyFromEnd implements [pgx.CopyFromTracer].
func (t *Tracer) TraceCopyFromEnd(ctx context.Context, _ *pgx.Conn, data pgx.TraceCopyFromEndData) {
	w := of(ctx)
	t.r.Operation(ctx, w.began, "COPY", w.what, 1, data.Err)
}

// TraceConnectStart implements [pgx.ConnectTracer].
func (t *Tracer) TraceConnectStart(ctx context.Context, _ pgx.TraceConnectStartData) context.Context {
	return begin(ctx, "", 1)
}

// TraceConnectEnd implements [pgx.ConnectTracer].
func (t *Tracer) TraceConnectEnd(ctx context.Context, data pgx.TraceConnectEndData) {
	t.r.Connected(ctx, of(ctx).began, data.Err)
}

// TraceAcquireStart implements [pgxpool.AcquireTracer].
func (t *Tracer) TraceAcquireStart(ctx context.Context, _ *pgxpool.Pool, _ pgxpool.TraceAcquireStartData) context.Context {
	return begin(ctx, "", 1)
}

// TraceAcquireEnd implements [pgxpool.AcquireTracer].
func (t *Tracer) TraceAcquireEnd(ctx context.Context, _ *pgxpool.Pool, data pgxpool.TraceAcquireEndData) {
	if data.Err == nil {
		t.r.Waited(ctx, of(ctx).began)
	}
}
