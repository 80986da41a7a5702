package inbox

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// Pruner removes notes of events that were handled so long ago that they cannot come again. A Pruner with DB is ready.
type Pruner struct {
	DB *sql.DB

	// Keep is how long a note is kept. An event that comes after that takes effect again, so it must be longer than an event can come: the MaxAge of its topic, and
	// for dead letters that are delivered once more that of their topic, too. Default: 15 days, which is a day more than both together by
	// default.
	Keep time.Duration

	// Every is how often it looks. Default: 1 h.
	Every time.Duration

	// Logger gets what is logged. Default: [slog.Default].
	Logger *slog.Logger
}

const (
	defaultKeep  = 15 * 24 * time.Hour
	defaultEvery = time.Hour

	// pruneRows is how many notes a statement removes, so that none takes long.
	pruneRows = 1000
)

// Service is what [Pruner.Attach] needs of a *hanse.Service.
type Service interface {
	Go(name string, task func(ctx context.Context) error)
}

// Attach has a service prune. It is called in a set-up.
func (p *Pruner) Attach(svc Service) { svc.Go("inbox", p.Run) }

// Run prunes until ctx ends. What fails is logged, and tried again the next time.
func (p *Pruner) Run(ctx context.Context) error {
	if p.DB == nil {
		return errors.New("inbox: the Pruner has no DB")
	}
	log := p.Logger
	if log == nil {
		log = slog.Default()
	}
	keep, tick := cmp.Or(p.Keep, defaultKeep), time.NewTicker(max(cmp.Or(p.Every, defaultEvery), time.Millisecond))
	defer tick.Stop()
	for {
		if _, err := Prune(ctx, p.DB, keep); err != nil && ctx.Err() == nil {
			log.Warn("inbox: old notes cannot be removed: trying again", "error", err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// Prune removes the notes that are older than an age, in small transactions of its own, and returns how many.
func Prune(ctx context.Context, db *sql.DB, age time.Duration) (removed int64, err error) {
	if age <= 0 {
		return 0, fmt.Errorf("inbox: notes must be kept for some time, and %v is none", age)
	}
	before := time.Now().Add(-age).UnixMilli()
	for {
		// The first notes are the oldest, but for clocks that differ.
		done, err := db.ExecContext(ctx, `DELETE FROM hanse_inbox WHERE handled_at < $1 AND number IN
			(SELECT number FROM hanse_inbox ORDER BY number LIMIT $2)`, before, pruneRows)
		if err != nil {
			return removed, fmt.Errorf("inbox: %w", err)
		}
		n, err := done.RowsAffected()
		if err != nil {
			return removed, fmt.Errorf("inbox: %w", err)
		}
		removed += n
		if n < pruneRows {
			return removed, nil
		}
	}
}
