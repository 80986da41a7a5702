// Package stock is the service that knows how much of each product is in the warehouse.
//
// Nobody calls it to take something: it hears of orders by their event, and an order takes its goods once, however often the event comes.
package stock

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
	ordersv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/orders/v1"
	stockv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/stock/v1"
	"github.com/hanse-go/hanse/telemetry"
)

const (
	// cargo is how many pieces of a product a ship brings. The warehouse begins with one, and the next comes when it would be empty.
	cargo = 240

	maxProducts = 100
)

// A movement is what an order took of a product, or, without an order, what a ship brought. What there is of a product is the cargo that
// it began with and all of its movements.
const schema = `
CREATE TABLE IF NOT EXISTS stock (
	product TEXT PRIMARY KEY,
	pieces  INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS movements (
	product    TEXT    NOT NULL,
	order_id   TEXT    NOT NULL,
	pieces     INTEGER NOT NULL,
	time       INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS movements_order ON movements (order_id);`

// Service returns the stock service.
func Service() *hanse.Service {
	return &hanse.Service{Name: "stock", Setup: func(ctx context.Context, s *hanse.Service) error {
		var cfg database.Settings
		if err := s.Config(&cfg); err != nil {
			return err
		}
		dir, err := cfg.Dir()
		if err != nil {
			return err
		}
		stock, err := New(ctx, dir, s.Telemetry())
		if err != nil {
			return err
		}
		s.OnStop(func(context.Context) error { return stock.Close() })
		orders.Placed.Subscribe(s, "stock", stock.Placed(), events.Start{All: true})
		(&inbox.Pruner{DB: stock.db}).Attach(s)
		stockv1.RegisterStockServer(s, stock)
		return nil
	}}
}

// Stock is the implementation.
type Stock struct {
	stockv1.UnimplementedStockServer
	db *sql.DB
}

// New returns a stock that is kept in a folder. Close it.
func New(ctx context.Context, dir string, tells *telemetry.Service) (*Stock, error) {
	db, err := database.Open(ctx, dir, "stock", schema, tells)
	if err != nil {
		return nil, err
	}
	if err := inbox.Migrate(ctx, db); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return &Stock{db: db}, nil
}

// Close closes the file.
func (s *Stock) Close() error { return s.db.Close() }

// GetStock returns what there is.
func (s *Stock) GetStock(ctx context.Context, req *stockv1.GetStockRequest) (*stockv1.GetStockResponse, error) {
	if n := len(req.GetProductIds()); n == 0 || n > maxProducts {
		return nil, problem.Invalid(problem.Field{Name: "product_ids", Problem: fmt.Sprintf("has %d entries, must have 1 to %d", n, maxProducts)})
	}
	reply := &stockv1.GetStockResponse{}
	for _, id := range req.GetProductIds() {
		level := &stockv1.Level{ProductId: id, Pieces: cargo}
		err := s.db.QueryRowContext(ctx, `SELECT pieces FROM stock WHERE product = ?`, id).Scan(&level.Pieces)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return nil, database.Status(ctx, err)
		}
		reply.Levels = append(reply.Levels, level)
	}
	return reply, nil
}

// Placed returns the handler that takes what was ordered out of the warehouse, once.
func (s *Stock) Placed() func(context.Context, *events.Event[*ordersv1.Placed]) error {
	return inbox.Handler(s.db, take)
}

func take(ctx context.Context, tx *sql.Tx, e *events.Event[*ordersv1.Placed]) error {
	order := e.Data.GetOrder()
	now := time.Now().UnixMilli()
	move := func(product, order string, pieces int64) (left int64, err error) {
		_, err = tx.ExecContext(ctx, `INSERT INTO movements (product, order_id, pieces, time) VALUES (?, ?, ?, ?)`, product, order, pieces, now)
		if err != nil {
			return 0, err
		}
		err = tx.QueryRowContext(ctx, `INSERT INTO stock (product, pieces) VALUES (?, ?)
			ON CONFLICT (product) DO UPDATE SET pieces = pieces + ? RETURNING pieces`, product, cargo+pieces, pieces).Scan(&left)
		return left, err
	}
	for _, line := range order.GetLines() {
		left, err := move(line.GetProductId(), order.GetId(), -int64(line.GetQuantity()))
		if err == nil && left <= 0 {
			_, err = move(line.GetProductId(), "", cargo)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
