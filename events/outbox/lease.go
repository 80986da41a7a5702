package outbox

import (
	"context"
	"time"
)

// hold takes the lease of a topic, or begins it anew when the rest of it is short. It reports false and for how long another has it.
//
// A lease is kept when there is nothing more to do, and ends by itself: so who has it need not write for each event, and nobody writes for none.
func (m *mover) hold(ctx context.Context, t *topic) (ok bool, wait time.Duration, err error) {
	begin := time.Now()
	m.mu.Lock()
	rest := t.held.Sub(begin)
	m.mu.Unlock()
	if rest > m.lease*2/3 {
		return true, 0, nil
	}
	return m.extend(ctx, t)
}

// extend begins the lease anew.
func (m *mover) extend(ctx context.Context, t *topic) (ok bool, wait time.Duration, err error) {
	begin := time.Now()
	done, err := m.db.ExecContext(ctx, m.sql.hold(), t.name, m.owner, m.lease.Milliseconds())
	if err != nil {
		return false, 0, err
	}
	n, err := done.RowsAffected()
	if err != nil {
		return false, 0, err
	}
	m.mu.Lock()
	if n > 0 {
		t.held = begin.Add(m.lease) // by our clock, and rather too early
	} else {
		t.held = time.Time{}
	}
	m.mu.Unlock()
	if n > 0 {
		return true, 0, nil
	}
	var ms int64
	if err := m.db.QueryRowContext(ctx, m.sql.held(), t.name).Scan(&ms); err != nil {
		return false, 0, err
	}
	return false, time.Duration(ms) * time.Millisecond, nil
}

func (m *mover) holds(t *topic) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return time.Now().Before(t.held)
}

// keep extends the lease of a topic as long as it is worked on. stop ends that.
func (m *mover) keep(ctx context.Context, t *topic) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var timer *time.Timer
	ended := make(chan struct{})
	timer = time.AfterFunc(m.lease/3, func() {
		defer close(ended)
		for {
			ok, _, err := m.extend(ctx, t)
			if err != nil {
				m.databaseFailed(ctx, err)
			}
			if err == nil && !ok || !sleep(ctx, m.lease/3) {
				return
			}
		}
	})
	return func() {
		cancel()
		if !timer.Stop() {
			<-ended
		}
	}
}

// release gives back what this relay has, so that others need not wait.
func (m *mover) release(ctx context.Context) {
	held := false
	m.mu.Lock()
	for _, t := range m.topics {
		held = held || !t.held.IsZero()
	}
	m.mu.Unlock()
	if !held {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopGrace)
	defer cancel()
	if _, err := m.db.ExecContext(ctx, releaseAll, m.owner); err != nil {
		m.log.Warn("outbox: the next relay waits, for the lease could not be given back", "for", m.lease, "error", err)
	}
}
