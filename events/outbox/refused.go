package outbox

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"github.com/hanse-go/hanse/events"
)

// Refused is an event that the broker refused for good, and that was set aside.
type Refused struct {
	Number    int64 // by which [Again] and [Drop] know it
	Topic     string
	Message   *events.Message // nil when it cannot be read
	Error     string          // why it was refused
	CreatedAt time.Time
	RefusedAt time.Time
}

// Refusals returns the events that were set aside, the oldest first, at most limit of them.
func Refusals(ctx context.Context, db *sql.DB, limit int) ([]Refused, error) {
	found, err := db.QueryContext(ctx, `SELECT seq, topic, attributes, data, created_at, error, refused_at FROM hanse_outbox_refused ORDER BY seq LIMIT $1`, limit)
	if err != nil {
		return nil, fmt.Errorf("outbox: %w", err)
	}
	defer found.Close()
	var all []Refused
	for found.Next() {
		var (
			r                  row
			refused            Refused
			created, refusedAt int64
		)
		if err := found.Scan(&refused.Number, &refused.Topic, &r.attributes, &r.data, &created, &refused.Error, &refusedAt); err != nil {
			return nil, fmt.Errorf("outbox: %w", err)
		}
		refused.CreatedAt, refused.RefusedAt = time.UnixMilli(created), time.UnixMilli(refusedAt)
		refused.Message, _ = r.message()
		all = append(all, refused)
	}
	if err := found.Err(); err != nil {
		return nil, fmt.Errorf("outbox: %w", err)
	}
	return all, nil
}

// Again puts an event that was set aside at the end of the outbox, to be published once more.
func Again(ctx context.Context, db *sql.DB, number int64) error {
	return inTransaction(ctx, db, func(tx *sql.Tx) error {
		done, err := tx.ExecContext(ctx, `INSERT INTO hanse_outbox (topic, lane, attributes, data, created_at)
			SELECT topic, lane, attributes, data, created_at FROM hanse_outbox_refused WHERE seq = $1`, number)
		if err != nil {
			return err
		}
		if n, err := done.RowsAffected(); err != nil || n == 0 {
			return cause(err, fmt.Errorf("no event with the number %d was set aside", number))
		}
		_, err = tx.ExecContext(ctx, `DELETE FROM hanse_outbox_refused WHERE seq = $1`, number)
		return err
	})
}

// Drop deletes an event that was set aside.
func Drop(ctx context.Context, db *sql.DB, number int64) error {
	done, err := db.ExecContext(ctx, `DELETE FROM hanse_outbox_refused WHERE seq = $1`, number)
	if err != nil {
		return fmt.Errorf("outbox: %w", err)
	}
	if n, err := done.RowsAffected(); err != nil || n == 0 {
		return cause(err, fmt.Errorf("outbox: no event with the number %d was set aside", number))
	}
	return nil
}

// setAside takes an event out of the way that the broker will never take.
func (m *mover) setAside(ctx context.Context, r *row, why error) error {
	err := inTransaction(ctx, m.db, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO hanse_outbox_refused (seq, topic, lane, attributes, data, created_at, error, refused_at)
			SELECT seq, topic, lane, attributes, data, created_at, $2, `+m.sql.now+` FROM hanse_outbox WHERE seq = $1
			ON CONFLICT (seq) DO NOTHING`, r.seq, why.Error())
		if err == nil {
			_, err = tx.ExecContext(ctx, `DELETE FROM hanse_outbox WHERE seq = $1`, r.seq)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("set an event aside: %w", err)
	}
	var known struct{ ID string }
	_ = json.Unmarshal([]byte(r.attributes), &known) // it may be what is wrong
	m.relay.refused.Add(1)
	m.log.Error("outbox: an event was refused for good, and set aside in hanse_outbox_refused", "topic", r.topic, "number", r.seq, "id", known.ID, "error", why)
	return nil
}

func inTransaction(ctx context.Context, db *sql.DB, f func(*sql.Tx) error) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("outbox: %w", err)
	}
	defer tx.Rollback() // has no effect after Commit
	if err := f(tx); err != nil {
		return fmt.Errorf("outbox: %w", err)
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("outbox: %w", err)
	}
	return nil
}

// cause returns err, or otherwise when it is nil.
func cause(err, otherwise error) error {
	if err != nil {
		return err
	}
	return otherwise
}
