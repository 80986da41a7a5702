package orders

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/hanse-go/hanse/examples/shop/database"
	ordersv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/orders/v1"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// revision grows with every change of any order: whoever has seen the highest has seen all.
const schema = `
CREATE TABLE IF NOT EXISTS orders (
	id       TEXT PRIMARY KEY,
	customer TEXT    NOT NULL,
	created  INTEGER NOT NULL,
	entered  INTEGER NOT NULL,
	status   INTEGER NOT NULL,
	settled  INTEGER NOT NULL DEFAULT 0, -- cancelled, and what was paid for it given back
	revision INTEGER NOT NULL,
	body     BLOB    NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS orders_customer ON orders (customer, created);
CREATE INDEX IF NOT EXISTS orders_due ON orders (status, entered) WHERE settled = 0;
CREATE UNIQUE INDEX IF NOT EXISTS orders_revision ON orders (revision);`

// errUnchanged ends a change that has nothing to do; the order is returned as it is.
var errUnchanged = errors.New("unchanged")

// store is the file. An order is kept whole, as its message; the columns beside it are what is searched for.
type store struct {
	db *sql.DB
}

// insert stores an order unless its ID is there, and returns the one that is stored.
func (s *store) insert(ctx context.Context, order *ordersv1.Order) (*ordersv1.Order, error) {
	body, err := proto.Marshal(order)
	if err != nil {
		return nil, err
	}
	at := entered(order).UnixMilli()
	_, err = s.db.ExecContext(ctx, `INSERT INTO orders (id, customer, created, entered, status, revision, body)
		VALUES (?, ?, ?, ?, ?, (SELECT coalesce(max(revision), 0) + 1 FROM orders), ?) ON CONFLICT (id) DO NOTHING`,
		order.GetId(), order.GetCustomer(), at, at, order.GetStatus(), body)
	if err != nil {
		return nil, err
	}
	stored, _, err := s.get(ctx, order.GetId())
	return stored, err
}

func (s *store) get(ctx context.Context, id string) (*ordersv1.Order, int64, error) {
	return scan(s.db.QueryRowContext(ctx, `SELECT body, revision FROM orders WHERE id = ?`, id))
}

func (s *store) list(ctx context.Context, customer string, limit int) ([]*ordersv1.Order, error) {
	rows, err := s.db.QueryContext(ctx, `SELECT body, revision FROM orders WHERE customer = ? ORDER BY created DESC, id LIMIT ?`, customer, limit)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var orders []*ordersv1.Order
	for rows.Next() {
		order, _, err := scan(rows)
		if err != nil {
			return nil, err
		}
		orders = append(orders, order)
	}
	return orders, rows.Err()
}

// due returns the IDs of orders that have had a status since a time or longer and are not settled, oldest first.
func (s *store) due(ctx context.Context, status ordersv1.Status, since time.Time) ([]string, error) {
	rows, err := s.db.QueryContext(ctx, `SELECT id FROM orders WHERE status = ? AND entered <= ? AND settled = 0 ORDER BY entered LIMIT 500`, status, since.UnixMilli())
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var ids []string
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, rows.Err()
}

// settle notes that nothing is left to do for a cancelled order.
func (s *store) settle(ctx context.Context, id string) error {
	_, err := s.db.ExecContext(ctx, `UPDATE orders SET settled = 1 WHERE id = ? AND status = ?`, id, ordersv1.Status_STATUS_CANCELLED)
	return err
}

// change applies f to an order and stores it, and does what else is to be done then, in one transaction that no other can come between.
func (s *store) change(ctx context.Context, id string, f func(*ordersv1.Order) error, then ...after) (order *ordersv1.Order, err error) {
	err = database.InTx(ctx, s.db, func(tx *sql.Tx) error {
		if order, _, err = scan(tx.QueryRowContext(ctx, `SELECT body, revision FROM orders WHERE id = ?`, id)); err != nil {
			return err
		}
		if err := f(order); err != nil {
			return err
		}
		body, err := proto.Marshal(order)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `UPDATE orders SET status = ?, entered = ?, body = ?,
			revision = (SELECT max(revision) + 1 FROM orders) WHERE id = ?`, order.GetStatus(), entered(order).UnixMilli(), body, id)
		for _, do := range then {
			if err == nil {
				err = do(ctx, tx, order)
			}
		}
		return err
	})
	if errors.Is(err, errUnchanged) {
		return order, nil
	}
	if err != nil {
		return nil, err
	}
	return order, nil
}

// after is what a change of an order brings with it.
type after func(ctx context.Context, tx *sql.Tx, order *ordersv1.Order) error

// revision returns the highest one, 0 when there is no order.
func (s *store) revision(ctx context.Context) (int64, error) {
	var n int64
	err := s.db.QueryRowContext(ctx, `SELECT coalesce(max(revision), 0) FROM orders`).Scan(&n)
	return n, err
}

type row interface{ Scan(...any) error }

func scan(r row) (*ordersv1.Order, int64, error) {
	var body []byte
	var revision int64
	if err := r.Scan(&body, &revision); err != nil {
		return nil, 0, err
	}
	order := &ordersv1.Order{}
	return order, revision, proto.Unmarshal(body, order)
}

// enter puts an order into a state and notes when.
func enter(order *ordersv1.Order, status ordersv1.Status) {
	order.Status = status
	order.History = append(order.History, &ordersv1.Event{Status: status, Time: timestamppb.Now()})
}

// entered returns when an order came into its state.
func entered(order *ordersv1.Order) time.Time {
	if n := len(order.GetHistory()); n > 0 {
		return order.GetHistory()[n-1].GetTime().AsTime()
	}
	return time.Time{}
}
