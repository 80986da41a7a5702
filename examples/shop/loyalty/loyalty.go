// Package loyalty is the service that counts the points of customers: ten for each piece, whatever it costs.
//
// It hears of orders by their event, and an order brings its points once, however often the event comes.
package loyalty

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/hanse-go/hanse"
	"github.com/hanse-go/hanse/events"
	"github.com/hanse-go/hanse/events/outbox/inbox"
	"github.com/hanse-go/hanse/examples/shop/database"
	"github.com/hanse-go/hanse/examples/shop/orders"
	"github.com/hanse-go/hanse/examples/shop/problem"
	loyaltyv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/loyalty/v1"
	ordersv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/orders/v1"
	"github.com/hanse-go/hanse/telemetry"
	"google.golang.org/protobuf/types/known/timestamppb"
)

const (
	perPiece = 10

	defaultList = 20
	maxList     = 100
)

// Nothing but the inbox keeps an order from having two entries.
const schema = `
CREATE TABLE IF NOT EXISTS accounts (
	customer TEXT PRIMARY KEY,
	points   INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS entries (
	customer TEXT    NOT NULL,
	order_id TEXT    NOT NULL,
	points   INTEGER NOT NULL,
	time     INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS entries_customer ON entries (customer, time);`

// Service returns the loyalty service.
func Service() *hanse.Service {
	return &hanse.Service{Name: "loyalty", Setup: func(ctx context.Context, s *hanse.Service) error {
		var cfg database.Settings
		if err := s.Config(&cfg); err != nil {
			return err
		}
		dir, err := cfg.Dir()
		if err != nil {
			return err
		}
		loyalty, err := New(ctx, dir, s.Telemetry())
		if err != nil {
			return err
		}
		s.OnStop(func(context.Context) error { return loyalty.Close() })
		orders.Placed.Subscribe(s, "loyalty", loyalty.Placed(), events.Start{All: true})
		(&inbox.Pruner{DB: loyalty.db}).Attach(s)
		loyaltyv1.RegisterLoyaltyServer(s, loyalty)
		return nil
	}}
}

// Loyalty is the implementation.
type Loyalty struct {
	loyaltyv1.UnimplementedLoyaltyServer
	db *sql.DB
}

// New returns accounts that are kept in a folder. Close them.
func New(ctx context.Context, dir string, tells *telemetry.Service) (*Loyalty, error) {
	db, err := database.Open(ctx, dir, "loyalty", schema, tells)
	if err != nil {
		return nil, err
	}
	if err := inbox.Migrate(ctx, db); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return &Loyalty{db: db}, nil
}

// Close closes the file.
func (l *Loyalty) Close() error { return l.db.Close() }

// GetAccount returns a customer's points, and the last orders that brought some.
func (l *Loyalty) GetAccount(ctx context.Context, req *loyaltyv1.GetAccountRequest) (*loyaltyv1.GetAccountResponse, error) {
	limit := int(req.GetLimit())
	switch {
	case req.GetCustomer() == "":
		return nil, problem.Invalid(problem.Field{Name: "customer", Problem: "is missing"})
	case limit < 0 || limit > maxList:
		return nil, problem.Invalid(problem.Field{Name: "limit", Problem: fmt.Sprintf("is %d, must be from 0 to %d", limit, maxList)})
	case limit == 0:
		limit = defaultList
	}
	reply, err := l.account(ctx, req.GetCustomer(), limit)
	if err != nil {
		return nil, database.Status(ctx, err)
	}
	return reply, nil
}

func (l *Loyalty) account(ctx context.Context, customer string, limit int) (*loyaltyv1.GetAccountResponse, error) {
	reply := &loyaltyv1.GetAccountResponse{}
	err := l.db.QueryRowContext(ctx, `SELECT points FROM accounts WHERE customer = ?`, customer).Scan(&reply.Points)
	if errors.Is(err, sql.ErrNoRows) {
		return reply, nil
	}
	if err != nil {
		return nil, err
	}
	rows, err := l.db.QueryContext(ctx, `SELECT order_id, points, time FROM entries WHERE customer = ? ORDER BY time DESC, rowid DESC LIMIT ?`, customer, limit)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		entry, at := &loyaltyv1.Entry{}, int64(0)
		if err := rows.Scan(&entry.OrderId, &entry.Points, &at); err != nil {
			return nil, err
		}
		entry.Time = timestamppb.New(time.UnixMilli(at))
		reply.Entries = append(reply.Entries, entry)
	}
	return reply, rows.Err()
}

// Placed returns the handler that gives the customer the points of an order, once.
func (l *Loyalty) Placed() func(context.Context, *events.Event[*ordersv1.Placed]) error {
	return inbox.Handler(l.db, credit)
}

func credit(ctx context.Context, tx *sql.Tx, e *events.Event[*ordersv1.Placed]) error {
	order := e.Data.GetOrder()
	var points int64
	for _, line := range order.GetLines() {
		points += perPiece * int64(line.GetQuantity())
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO entries (customer, order_id, points, time) VALUES (?, ?, ?, ?)`,
		order.GetCustomer(), order.GetId(), points, time.Now().UnixMilli())
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO accounts (customer, points) VALUES (?, ?)
		ON CONFLICT (customer) DO UPDATE SET points = points + excluded.points`, order.GetCustomer(), points)
	return err
}
