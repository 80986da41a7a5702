package outbox

import (
	"context"
	"database/sql"
	"fmt"
	"time"
)

// Stats is what waits in an outbox, and what this relay did.
type Stats struct {
	Pending int64         // events that wait, of all topics
	Oldest  time.Duration // how long the oldest of them has waited
	Refused int64         // events that were set aside, and are still there

	Published uint64 // by this relay
	SetAside  uint64 // by this relay
	Failures  uint64 // rounds of this relay in which not all was published
	LastError string // of the last such round
}

// Stats counts what is in the outbox, which reads all of it.
func (r *Relay) Stats(ctx context.Context) (Stats, error) {
	s := Stats{Published: r.published.Load(), SetAside: r.refused.Load(), Failures: r.failed.Load()}
	if err := r.lastFailure.Load(); err != nil {
		s.LastError = (*err).Error()
	}
	var oldest sql.NullInt64
	err := r.DB.QueryRowContext(ctx, `SELECT count(*), (SELECT created_at FROM hanse_outbox ORDER BY seq LIMIT 1),
		(SELECT count(*) FROM hanse_outbox_refused) FROM hanse_outbox`).Scan(&s.Pending, &oldest, &s.Refused)
	if err != nil {
		return s, fmt.Errorf("outbox: %w", err)
	}
	s.Oldest = age(oldest)
	return s, nil
}

func age(ms sql.NullInt64) time.Duration {
	if !ms.Valid {
		return 0
	}
	return max(time.Since(time.UnixMilli(ms.Int64)), 0)
}

// Check returns why the outbox is in no good state: there is more in it than MaxPending, or for longer than MaxAge. Without these it returns nil.
// Attach makes it a check of the service.
func (r *Relay) Check(ctx context.Context) error {
	if r.MaxAge > 0 {
		var oldest sql.NullInt64
		if err := r.DB.QueryRowContext(ctx, `SELECT (SELECT created_at FROM hanse_outbox ORDER BY seq LIMIT 1)`).Scan(&oldest); err != nil {
			return fmt.Errorf("the outbox cannot be read: %w", err)
		}
		if waited := age(oldest); waited > r.MaxAge {
			return fmt.Errorf("an event has waited for %v in the outbox%s", waited.Round(time.Second), r.because())
		}
	}
	if r.MaxPending > 0 {
		var there bool
		if err := r.DB.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM hanse_outbox ORDER BY seq LIMIT 1 OFFSET $1)`, r.MaxPending).Scan(&there); err != nil {
			return fmt.Errorf("the outbox cannot be read: %w", err)
		}
		if there {
			return fmt.Errorf("more than %d events wait in the outbox%s", r.MaxPending, r.because())
		}
	}
	return nil
}

func (r *Relay) because() string {
	if err := r.lastFailure.Load(); err != nil {
		return fmt.Sprintf(" (%v)", *err)
	}
	return ""
}
