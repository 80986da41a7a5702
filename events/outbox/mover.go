package outbox

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/json"
	"log/slog"
	mathrand "math/rand/v2"
	"sync"
	"time"

	"github.com/hanse-go/hanse/events"
)

// mover is a relay that runs.
type mover struct {
	relay  *Relay
	db     *sql.DB
	sql    statements
	bus    *events.Bus
	log    *slog.Logger
	listen func(ctx context.Context, wake func()) error
	poll   time.Duration
	batch  int
	lease  time.Duration
	owner  string // names this run
	source string // of the events
	wake   chan struct{}

	others map[string]bool // topics of which tellOfOthers has told

	workers sync.WaitGroup
	mu      sync.Mutex
	topics  map[string]*topic
	broken  bool // the database, so that it is logged once
}

// topic is what a mover knows of a topic.
type topic struct {
	name    string
	running bool
	due     time.Time // it is left alone until then
	held    time.Time // it is ours until then

	// What follows belongs to the worker.
	failures int                // rounds in a row that failed
	why      string             // it fails, as it was logged
	told     time.Time          // and when
	skipped  map[string]skipped // lanes that are left alone
	stored   []int64            // events that are with the broker and were not removed
}

// skipped is a lane whose first event failed.
type skipped struct {
	until    time.Time
	failures int
}

const (
	// The pauses between looks at the outbox after something happened: what tells of it may come before it can be seen. Each is twice the last one.
	firstLook = time.Millisecond / 2
	lastLook  = 256 * time.Millisecond

	// mostSpacing is the least time between two looks while a database is busy with other things than the outbox.
	mostSpacing = 4 * time.Millisecond

	// stopGrace is what is on its way gets when the relay is told to stop.
	stopGrace = 2 * time.Second

	maxSkipped = 100
)

func newOwner() string { return rand.Text() }

func (m *mover) run(ctx context.Context) {
	var listening sync.WaitGroup
	if m.listen != nil {
		listening.Go(func() { m.hear(ctx) })
	}
	m.loop(ctx)
	m.workers.Wait()
	listening.Wait()
	m.release(ctx)
}

// loop looks at the outbox when it is woken, a few times after that, and now and then.
func (m *mover) loop(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	look := firstLook
	var last, others time.Time
	fruitless := 0 // looks since one found something
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-m.wake:
			look = firstLook
			spacing := min(firstLook*time.Duration(1+fruitless/16), mostSpacing)
			if !sleep(ctx, spacing-time.Since(last)) {
				return
			}
		}
		last = time.Now()
		fruitless++
		if m.scan(ctx) {
			look, fruitless = firstLook, 0
		}
		if last.Sub(others) > othersAfter {
			others = last
			m.tellOfOthers(ctx, last)
		}
		pause := m.poll
		if look <= lastLook {
			pause = min(pause, look)
			look *= 2
		}
		timer.Reset(m.untilDue(pause))
	}
}

// untilDue returns how long it is until a topic may be looked at again that is left alone, or pause when that is shorter.
func (m *mover) untilDue(pause time.Duration) time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	for _, t := range m.topics {
		if !t.running && t.due.After(now) {
			pause = min(pause, t.due.Sub(now))
		}
	}
	return pause
}

// scan starts to work on the topics that have events.
func (m *mover) scan(ctx context.Context) (found bool) {
	var names []string
	now := time.Now()
	m.mu.Lock()
	for _, name := range m.bus.Declared() {
		t := m.topics[name]
		if t == nil {
			t = &topic{name: name, skipped: make(map[string]skipped)}
			m.topics[name] = t
		}
		if !t.running && !t.due.After(now) {
			names = append(names, name)
		}
	}
	m.mu.Unlock()
	if len(names) == 0 {
		return false
	}
	pending, err := m.pending(ctx, names)
	if err != nil {
		m.databaseFailed(ctx, err)
		return false
	}
	m.databaseWorks()
	for _, name := range pending {
		m.mu.Lock()
		t := m.topics[name]
		t.running = true
		m.mu.Unlock()
		m.workers.Go(func() {
			due := m.work(ctx, t)
			m.mu.Lock()
			t.running, t.due = false, due
			m.mu.Unlock()
			m.relay.Wake()
		})
	}
	return len(pending) > 0
}

// pending returns those of some topics that have events.
func (m *mover) pending(ctx context.Context, names []string) ([]string, error) {
	list, err := json.Marshal(names)
	if err != nil {
		return nil, err
	}
	return m.strings(ctx, m.sql.pending, string(list))
}

// strings returns the rows of a query of one text.
func (m *mover) strings(ctx context.Context, query string, args ...any) (all []string, err error) {
	rows, err := m.db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, rows.Err()
}

// othersAfter is how long an event of a topic that the host does not declare may wait for another service before that is logged.
const othersAfter = time.Minute

// tellOfOthers logs which topics have events that this relay does not move, once for each: their declaration may have been forgotten.
func (m *mover) tellOfOthers(ctx context.Context, now time.Time) {
	list, err := json.Marshal(m.bus.Declared())
	if err != nil {
		return
	}
	topics, err := m.strings(ctx, m.sql.others, string(list), now.Add(-othersAfter).UnixMilli())
	if err != nil {
		m.databaseFailed(ctx, err)
		return
	}
	for _, name := range topics {
		if !m.others[name] {
			m.others[name] = true
			m.log.Warn("outbox: events have waited for a minute, for this service does not declare their topic: give it to Attach, or run the service that does", "topic", name)
		}
	}
}

// hear calls what tells of events, again when it fails.
func (m *mover) hear(ctx context.Context) {
	for failures := 1; ; failures++ {
		begin := time.Now()
		err := m.listen(ctx, m.relay.Wake)
		if ctx.Err() != nil {
			return
		}
		if time.Since(begin) > time.Minute {
			failures = 1
		}
		if failures == 1 {
			m.log.Warn("outbox: nothing tells of new events for the moment: polling", "every", m.poll, "error", err)
		}
		m.relay.Wake()
		if !sleep(ctx, backoff(failures+3)) {
			return
		}
	}
}

func (m *mover) databaseFailed(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.broken {
		m.broken = true
		m.log.Warn("outbox: the database fails: trying on", "error", err)
	}
}

func (m *mover) databaseWorks() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.broken {
		m.broken = false
		m.log.Info("outbox: the database works again")
	}
}

// backoff returns the pause after so many failures: 50 ms, and twice that each time, to 5 s, less up to a half.
func backoff(failures int) time.Duration {
	d := min(50*time.Millisecond<<min(max(failures-1, 0), 10), 5*time.Second)
	return d - time.Duration(mathrand.Int64N(int64(d/2)))
}

// sleep reports false when ctx ended.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
