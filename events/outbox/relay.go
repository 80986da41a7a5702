package outbox

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/hanse-go/hanse/events"
	"github.com/hanse-go/hanse/events/outbox/internal/engine"
)

// Relay moves events from the outbox to the broker. Each instance of a service has one; the events of a topic are moved by one of them at a time, so that
// events of a key keep their order, and when that one ends or dies another goes on. It moves the topics that its host declares, those of others wait
// for theirs.
//
// While the broker is away, or a topic is full, events wait in the outbox. One that the broker refuses for good, because it is too large for it, is set
// aside with the reason, see [Relay.Refused], and does not stop others.
//
// A Relay with DB is ready. Its fields must not change once it runs; its methods may be called concurrently.
type Relay struct {
	// DB has the tables that [Migrate] makes. A relay uses one connection at a time for each topic that has events.
	DB *sql.DB

	// Listen, if there is one, calls wake whenever events may have been committed, until ctx ends. When it fails it is called again, after a pause. See
	// pgxoutbox.Listen. Default: for SQLite what tells of changes of the file, and else nothing, so that Poll counts.
	Listen func(ctx context.Context, wake func()) error

	// Poll is how often the outbox is looked at when nothing woke the relay. Default: 1 s, and 50 ms where nothing ever does.
	Poll time.Duration

	// Batch is how many events are read and on their way at a time. Default: 500.
	Batch int

	// Lease is how long a relay has a topic after it was last heard of: when it dies, or freezes, another waits that long. Default: 5 s; at
	// least 1 s.
	Lease time.Duration

	// MaxPending has the check of the service fail when more events wait, and MaxAge when one has waited longer. Default: it does not fail, for a
	// service can go on while the broker is away.
	MaxPending int64
	MaxAge     time.Duration

	// Logger gets what is logged. Default: that of the service, else [slog.Default].
	Logger *slog.Logger

	wake        atomic.Pointer[chan struct{}]
	published   atomic.Uint64
	refused     atomic.Uint64
	failed      atomic.Uint64
	lastFailure atomic.Pointer[error]
}

// Service is what [Relay.Attach] needs of a *hanse.Service.
type Service interface {
	events.Host
	Go(name string, task func(ctx context.Context) error)
	Check(name string, f func(ctx context.Context) error)
	Logger() *slog.Logger
}

// Topic is any *events.Topic.
type Topic interface{ Declare(events.Host) }

// Attach has a service run the relay, and declares the topics that are moved. It is called in a set-up.
func (r *Relay) Attach(svc Service, topics ...Topic) {
	for _, t := range topics {
		t.Declare(svc)
	}
	svc.Go("outbox", func(ctx context.Context) error {
		if r.Logger == nil {
			r.Logger = svc.Logger()
		}
		return r.Run(ctx, svc)
	})
	svc.Check("outbox", r.Check)
}

// Run moves events, to the broker of a host, until ctx ends. It then finishes what is on its way, for at most 2 s. It fails when it cannot ever work: there
// is no database, or it has no outbox.
func (r *Relay) Run(ctx context.Context, host events.Host) error {
	if r.DB == nil {
		return errors.New("outbox: the Relay has no DB")
	}
	if host == nil || host.Events() == nil {
		return errors.New("outbox: the host is nil")
	}
	m, err := r.open(ctx, host.Events())
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return fmt.Errorf("outbox: %w", err)
	}
	m.run(ctx)
	return nil
}

// Wake has the relay look at the outbox now. It is only needed where nothing else tells it, and speed counts.
func (r *Relay) Wake() {
	if wake := r.wake.Load(); wake != nil {
		select {
		case *wake <- struct{}{}:
		default:
		}
	}
}

const (
	defaultBatch = 500
	defaultLease = 5 * time.Second
	minLease     = time.Second
	slowPoll     = time.Second
	blindPoll    = 50 * time.Millisecond
)

// open prepares a run. It waits for a database that is away.
func (r *Relay) open(ctx context.Context, bus *events.Bus) (*mover, error) {
	log := r.Logger
	if log == nil {
		log = slog.Default()
	}
	m := &mover{
		relay: r, db: r.DB, bus: bus, log: log,
		batch: max(cmp.Or(r.Batch, defaultBatch), 1), lease: max(cmp.Or(r.Lease, defaultLease), minLease),
		owner: newOwner(), wake: make(chan struct{}, 1), topics: make(map[string]*topic), others: make(map[string]bool),
	}
	var d Dialect
	for attempt := 1; ; attempt++ {
		var err error
		if d, err = engine.Of(ctx, r.DB); err == nil {
			m.sql = statementsOf(d)
			if err = m.begin(ctx, d); err == nil || errors.Is(err, errNoTables) {
				if err != nil {
					return nil, err
				}
				break
			}
		}
		if attempt == 1 {
			log.Warn("outbox: the database does not answer: trying on", "error", err)
		}
		if !sleep(ctx, backoff(attempt)) {
			return nil, context.Cause(ctx)
		}
	}
	m.listen = r.Listen
	if m.listen == nil && d == SQLite {
		file, err := fileOf(ctx, r.DB)
		if err != nil {
			return nil, err
		}
		m.listen = watchFile(file)
	}
	m.poll = r.Poll
	if m.poll <= 0 {
		m.poll = slowPoll
		if m.listen == nil {
			m.poll = blindPoll
		}
	}
	r.wake.Store(&m.wake)
	return m, nil
}

var errNoTables = errors.New("the database has no table hanse_outbox: call outbox.Migrate in the set-up, or make the tables of outbox.Schema")

// begin looks at the tables, and agrees with other relays about the source of the events.
func (m *mover) begin(ctx context.Context, d Dialect) error {
	there, err := engine.HasTable(ctx, m.db, d, "hanse_outbox")
	if err != nil {
		return err
	}
	if !there {
		return errNoTables
	}
	source := cmp.Or(m.bus.Source, "hanse:///")
	if _, err := m.db.ExecContext(ctx, `INSERT INTO hanse_outbox_setting (name, value) VALUES ('source', $1) ON CONFLICT (name) DO NOTHING`, source); err != nil {
		return err
	}
	if err := m.db.QueryRowContext(ctx, `SELECT value FROM hanse_outbox_setting WHERE name = 'source'`).Scan(&m.source); err != nil {
		return err
	}
	if m.source != source {
		m.log.Info("outbox: events carry the source of the service that was the first to use this outbox", "source", m.source)
	}
	return nil
}
