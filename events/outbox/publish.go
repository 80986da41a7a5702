package outbox

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	"github.com/hanse-go/hanse/events"
	"google.golang.org/protobuf/proto"
)

// Tx is a transaction: a *sql.Tx, or a *sql.Conn in one.
type Tx interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

// Publish puts an event into the outbox, as part of a transaction: it is published when that is committed, and never was when it is rolled back. What
// [events.Topic.Publish] would refuse, such as a message that is too large, is an error now; the broker is not asked, so it may be away. The options are
// those of events.
//
// In PostgreSQL a transaction that has published with a key holds the key until it ends, and others that publish with it wait: so the order of the events is that
// of the commits. Publish last, then that is short, and two transactions that publish with several keys do not meet in a deadlock, which PostgreSQL
// would resolve by failing one.
func Publish[T proto.Message](ctx context.Context, tx Tx, topic *events.Topic[T], msg T, opts ...events.PublishOption) error {
	return PublishAll(ctx, tx, topic, []T{msg}, opts...)
}

// PublishAll puts events into the outbox, in their order, by few statements. The options are for each of them, so none may give an ID.
func PublishAll[T proto.Message](ctx context.Context, tx Tx, topic *events.Topic[T], msgs []T, opts ...events.PublishOption) error {
	rows := make([]row, len(msgs))
	ids := make(map[string]bool, len(msgs))
	for i, msg := range msgs {
		m, err := topic.Encode(ctx, msg, opts...)
		if err != nil {
			return err
		}
		if ids[m.ID] {
			return fmt.Errorf("outbox: publish to %s: several events have the ID %s", topic.Name(), m.ID)
		}
		ids[m.ID] = true
		if rows[i], err = newRow(topic.Name(), m); err != nil {
			return fmt.Errorf("outbox: publish to %s: %w", topic.Name(), err)
		}
	}
	for len(rows) > 0 {
		n := min(len(rows), rowsPerInsert)
		if err := insert(ctx, tx, rows[:n]); err != nil {
			return fmt.Errorf("outbox: publish to %s: %w", topic.Name(), err)
		}
		rows = rows[n:]
	}
	return nil
}

// rowsPerInsert keeps the parameters of a statement below 999, the least that a SQLite allows.
const rowsPerInsert = 100

const insertRow = `INSERT INTO hanse_outbox (topic, lane, attributes, data, created_at) VALUES ($1, $2, $3, $4, $5)`

func insert(ctx context.Context, tx Tx, rows []row) error {
	now := time.Now().UnixMilli()
	query := insertRow
	if len(rows) > 1 {
		var b strings.Builder
		b.WriteString(insertRow)
		for i := 1; i < len(rows); i++ {
			n := 5 * i
			fmt.Fprintf(&b, ", ($%d, $%d, $%d, $%d, $%d)", n+1, n+2, n+3, n+4, n+5)
		}
		query = b.String()
	}
	args := make([]any, 0, 5*len(rows))
	for _, r := range rows {
		args = append(args, r.topic, r.lane, r.attributes, r.data, now)
	}
	_, err := tx.ExecContext(ctx, query, args...)
	return err
}
