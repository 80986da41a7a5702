package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/hanse-go/hanse/bench/sample"
	"github.com/hanse-go/hanse/embednats"
	"github.com/hanse-go/hanse/events"
	"github.com/hanse-go/hanse/events/natsevents"
	"github.com/hanse-go/hanse/events/outbox"
	"github.com/hanse-go/hanse/events/outbox/inbox"
	"github.com/hanse-go/hanse/events/outbox/pgxoutbox"
	"github.com/hanse-go/hanse/events/outbox/postgrestest"
	"google.golang.org/protobuf/types/known/wrapperspb"

	_ "github.com/jackc/pgx/v5/stdlib"
	_ "modernc.org/sqlite"
)

// outboxBench measures events from a transaction to their handler, over SQLite and over PostgreSQL.
func outboxBench(ctx context.Context, env *environment) (*section, error) {
	rounds, many, few := 5, 20_000, 200
	if env.quick {
		rounds, many, few = 2, 2_000, 20
	}
	sec := &section{
		intro: fmt.Sprintf("Events of 200 B, published in transactions, moved by a relay to JetStream in the same process, and handled. *Latency*: one event after the other, each in a "+
			"transaction of its own, from before it begins until the handler has the event; the broker syncs each event, as is the default, SQLite is in WAL mode with `synchronous=NORMAL`, PostgreSQL as it comes, "+
			"with `fsync`; %d events a round. *Throughput*: %d events, published by 8 goroutines in transactions of ten while the relay moves them, from the first transaction until the last event is handled, with 1000 keys; "+
			"and the same number moved out of a full outbox. The broker does not sync there, for that alone would be slower than what is measured. Medians of %d rounds.", few, many, rounds),
		header: []string{"", "SQLite", "PostgreSQL", "goal"},
	}
	var cells [5][]string
	for _, open := range []func(context.Context, string) (*outboxDatabase, error){openSQLite, openPostgres} {
		db, err := open(ctx, env.tmp)
		if errors.Is(err, postgrestest.ErrNotInstalled) {
			return nil, err
		}
		if err != nil {
			return nil, err
		}
		figures, err := measureOutbox(ctx, env.tmp, db, rounds, many, few)
		db.close()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", db.name, err)
		}
		for i, f := range figures {
			cells[i] = append(cells[i], f)
		}
	}
	for i, row := range []struct{ name, goal string }{
		{"latency p50", "≤ 10 ms on SQLite"}, {"latency p99", ""}, {"published, moved and handled at the same time", ""},
		{"moved and handled, out of a full outbox", "≥ 5,000/s on PostgreSQL"}, {"handled through the inbox, one transaction each", ""},
	} {
		sec.add(append(append([]string{row.name}, cells[i]...), row.goal)...)
	}
	return sec, nil
}

// outboxDatabase is one of those that are compared.
type outboxDatabase struct {
	name   string
	db     *sql.DB
	listen func(context.Context, func()) error
	close  func()
}

func openSQLite(ctx context.Context, tmp string) (*outboxDatabase, error) {
	options := url.Values{"_txlock": {"immediate"}, "_pragma": {"busy_timeout(10000)", "journal_mode(WAL)", "synchronous(NORMAL)"}}
	file := url.URL{Scheme: "file", Path: filepath.Join(tmp, "outbox.db"), RawQuery: options.Encode()}
	db, err := sql.Open("sqlite", file.String())
	if err != nil {
		return nil, err
	}
	return &outboxDatabase{name: "sqlite", db: db, close: func() { db.Close() }}, prepareOutbox(ctx, db)
}

func openPostgres(ctx context.Context, _ string) (*outboxDatabase, error) {
	server, err := postgrestest.Start(ctx)
	if err != nil {
		return nil, err
	}
	source, err := server.NewDatabase(ctx)
	if err != nil {
		return nil, err
	}
	db, err := sql.Open("pgx", source)
	if err != nil {
		return nil, err
	}
	return &outboxDatabase{name: "postgres", db: db, listen: pgxoutbox.ListenDB(db), close: func() { db.Close(); server.Stop() }}, prepareOutbox(ctx, db)
}

func prepareOutbox(ctx context.Context, db *sql.DB) error {
	db.SetMaxOpenConns(16)
	db.SetMaxIdleConns(16)
	return errors.Join(outbox.Migrate(ctx, db), inbox.Migrate(ctx, db))
}

// outboxRun is a system of a relay and a handler that count events.
type outboxRun struct {
	db  *sql.DB
	bus *events.Bus

	mu   sync.Mutex
	left int
	done chan struct{}
}

// outboxTopic is ordered by the first four characters of its texts, of which there are 1000.
var outboxTopic = events.NewTopic[*wrapperspb.StringValue]("outbox", events.Key(func(m *wrapperspb.StringValue) string { return m.GetValue()[:4] }))

func (r *outboxRun) expect(n int) <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.left, r.done = n, make(chan struct{})
	return r.done
}

func (r *outboxRun) handle(context.Context, *events.Event[*wrapperspb.StringValue]) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.left--; r.left == 0 {
		close(r.done)
	}
	return nil
}

// publish publishes events in one transaction.
func (r *outboxRun) publish(ctx context.Context, n, from int) error {
	tx, err := r.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	for i := range n {
		msg := wrapperspb.String(fmt.Sprintf("%04d", (from+i)%1000) + eventPayload().GetValue()[4:])
		if err := outbox.Publish(ctx, tx, outboxTopic, msg); err != nil {
			return err
		}
	}
	return tx.Commit()
}

// wait waits for what expect has returned.
func wait(ctx context.Context, done <-chan struct{}) error {
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func measureOutbox(ctx context.Context, tmp string, d *outboxDatabase, rounds, many, few int) (figures []string, err error) {
	var latencies []float64
	slow := func() error {
		return withOutbox(ctx, filepath.Join(tmp, d.name+"-sync"), d, false, true, func(r *outboxRun) error {
			for round := range rounds + 1 { // the first one warms up
				for range few {
					begin, done := time.Now(), r.expect(1)
					if err := r.publish(ctx, 1, 0); err != nil {
						return err
					}
					if err := wait(ctx, done); err != nil {
						return err
					}
					if round > 0 {
						latencies = append(latencies, float64(time.Since(begin).Microseconds())/1000)
					}
				}
			}
			return nil
		})
	}
	if err := slow(); err != nil {
		return nil, err
	}
	slices.Sort(latencies)
	figures = append(figures, fmt.Sprintf("%.1f ms", sample.Median(latencies)), fmt.Sprintf("%.1f ms", latencies[len(latencies)*99/100]))

	var through, drained, noted []float64
	for round := range rounds {
		rate := func(begin time.Time) float64 { return float64(many) / time.Since(begin).Seconds() }
		err := withOutbox(ctx, filepath.Join(tmp, fmt.Sprintf("%s-%d", d.name, round)), d, true, true, func(r *outboxRun) error {
			begin, done := time.Now(), r.expect(many)
			if err := r.publishMany(ctx, many); err != nil {
				return err
			}
			if err := wait(ctx, done); err != nil {
				return err
			}
			through = append(through, rate(begin))
			return nil
		})
		if err != nil {
			return nil, err
		}
		err = withOutbox(ctx, filepath.Join(tmp, fmt.Sprintf("%s-%d-full", d.name, round)), d, true, false, func(r *outboxRun) error {
			if err := r.publishMany(ctx, many); err != nil {
				return err
			}
			begin, done := time.Now(), r.expect(many)
			stop := r.relay(ctx, d)
			err := wait(ctx, done)
			drained = append(drained, rate(begin))
			return errors.Join(err, stop())
		})
		if err != nil {
			return nil, err
		}
		handle := inbox.Handler(d.db, func(context.Context, *sql.Tx, *events.Event[*wrapperspb.StringValue]) error { return nil })
		begin := time.Now()
		for i := range many / 20 {
			if err := handle(ctx, &events.Event[*wrapperspb.StringValue]{Group: "bench", Source: "s", ID: fmt.Sprint(round, " ", i)}); err != nil {
				return nil, err
			}
		}
		noted = append(noted, rate(begin)/20)
	}
	for _, rates := range [][]float64{through, drained, noted} {
		figures = append(figures, fmt.Sprintf("%.0f/s", sample.Median(rates)))
	}
	return figures, nil
}

// publishMany publishes from several goroutines, ten events in a transaction.
func (r *outboxRun) publishMany(ctx context.Context, many int) error {
	const publishers, each = 8, 10
	errs := make([]error, publishers)
	var all sync.WaitGroup
	for p := range publishers {
		all.Go(func() {
			for i := p * each; i < many && errs[p] == nil; i += publishers * each {
				errs[p] = r.publish(ctx, each, i)
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

// relay runs a relay until stop is called.
func (r *outboxRun) relay(ctx context.Context, d *outboxDatabase) (stop func() error) {
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() {
		ended <- (&outbox.Relay{DB: d.db, Listen: d.listen, Logger: slog.New(slog.DiscardHandler)}).Run(ctx, r.bus)
	}()
	return func() error { cancel(); return <-ended }
}

// withOutbox runs a broker, a handler and, if it is told to, a relay around f.
func withOutbox(ctx context.Context, dir string, d *outboxDatabase, fast, relaying bool, f func(*outboxRun) error) error {
	serving, stopServer := context.WithCancel(context.WithoutCancel(ctx))
	server := &embednats.Server{Dir: dir, NoSync: fast, Logger: slog.New(slog.DiscardHandler)}
	var running sync.WaitGroup
	running.Go(func() { _ = server.Run(serving) })
	defer running.Wait()
	defer stopServer()
	conn, err := server.Connect(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	r := &outboxRun{db: d.db, bus: &events.Bus{Broker: natsevents.New(conn, natsevents.Options{System: "bench"}), Source: "hanse:///bench"}}
	outboxTopic.Subscribe(r.bus, "bench", r.handle, events.MaxInFlight(eventsWindow))
	if err := r.bus.Declare(ctx); err != nil {
		return err
	}
	delivering, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- r.bus.Run(delivering) }()
	stopRelay := func() error { return nil }
	if relaying {
		stopRelay = r.relay(ctx, d)
	}
	err = errors.Join(f(r), stopRelay())
	stop()
	return errors.Join(err, <-ended)
}
