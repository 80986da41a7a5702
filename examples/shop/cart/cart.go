// Package cart is the service that keeps what each session is about to buy.
//
// Carts are in a SQLite file that all replicas on a host share: it does not matter which replica answers, and a cart survives the
// restart of every one of them.
package cart

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/hanse-go/hanse"
	"github.com/hanse-go/hanse/examples/shop/database"
	"github.com/hanse-go/hanse/examples/shop/problem"
	cartv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/cart/v1"
	"github.com/hanse-go/hanse/telemetry"
)

const (
	maxLines    = 50
	maxQuantity = 99

	keepCart    = 30 * 24 * time.Hour // after its last change
	keepRequest = 24 * time.Hour      // how long a repeated AddItem is known again
	sweepEvery  = 10 * time.Minute
)

const schema = `
CREATE TABLE IF NOT EXISTS items (
	session  TEXT    NOT NULL,
	product  TEXT    NOT NULL,
	quantity INTEGER NOT NULL,
	added    INTEGER NOT NULL, -- in nanoseconds: it orders the lines
	changed  INTEGER NOT NULL, -- in milliseconds
	PRIMARY KEY (session, product)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS requests (
	session TEXT    NOT NULL,
	id      TEXT    NOT NULL,
	at      INTEGER NOT NULL,
	PRIMARY KEY (session, id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS items_changed ON items (changed);
CREATE INDEX IF NOT EXISTS requests_at ON requests (at);`

// Service returns the cart service.
func Service() *hanse.Service {
	return &hanse.Service{Name: "cart", Setup: func(ctx context.Context, s *hanse.Service) error {
		var cfg database.Settings
		if err := s.Config(&cfg); err != nil {
			return err
		}
		dir, err := cfg.Dir()
		if err != nil {
			return err
		}
		carts, err := New(ctx, dir, s.Telemetry())
		if err != nil {
			return err
		}
		s.OnStop(func(context.Context) error { return carts.Close() })
		s.Go("sweep", carts.sweep)
		cartv1.RegisterCartsServer(s, carts)
		return nil
	}}
}

// Carts is the implementation.
type Carts struct {
	cartv1.UnimplementedCartsServer
	db *sql.DB
}

// New returns carts that are kept in a folder. Close them.
func New(ctx context.Context, dir string, tells *telemetry.Service) (*Carts, error) {
	db, err := database.Open(ctx, dir, "cart", schema, tells)
	if err != nil {
		return nil, err
	}
	return &Carts{db: db}, nil
}

// Close closes the file.
func (c *Carts) Close() error { return c.db.Close() }

// GetCart returns the cart of a session.
func (c *Carts) GetCart(ctx context.Context, req *cartv1.GetCartRequest) (*cartv1.GetCartResponse, error) {
	if err := check(field{"session", req.GetSession()}); err != nil {
		return nil, err
	}
	cart, err := read(ctx, c.db, req.GetSession())
	if err != nil {
		return nil, database.Status(ctx, err)
	}
	return &cartv1.GetCartResponse{Cart: cart}, nil
}

// AddItem adds to a line, once for each request ID.
func (c *Carts) AddItem(ctx context.Context, req *cartv1.AddItemRequest) (*cartv1.AddItemResponse, error) {
	session, product, n := req.GetSession(), req.GetItem().GetProductId(), req.GetItem().GetQuantity()
	if err := check(field{"session", session}, field{"item.product_id", product}, field{"request_id", req.GetRequestId()}); err != nil {
		return nil, err
	}
	if n < 1 || n > maxQuantity {
		return nil, problem.Invalid(problem.Field{Name: "item.quantity", Problem: fmt.Sprintf("is %d, must be from 1 to %d", n, maxQuantity)})
	}
	cart, err := c.change(ctx, session, func(tx *sql.Tx) error {
		now := time.Now()
		result, err := tx.ExecContext(ctx, `INSERT OR IGNORE INTO requests VALUES (?, ?, ?)`, session, req.GetRequestId(), now.UnixMilli())
		if err != nil {
			return err
		}
		if first, err := result.RowsAffected(); err != nil || first == 0 {
			return err
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO items VALUES (?, ?, ?, ?, ?)
			ON CONFLICT DO UPDATE SET quantity = quantity + excluded.quantity, changed = excluded.changed`, session, product, n, now.UnixNano(), now.UnixMilli())
		if err != nil {
			return err
		}
		return limits(ctx, tx, session, product)
	})
	if err != nil {
		return nil, err
	}
	return &cartv1.AddItemResponse{Cart: cart}, nil
}

// SetItem sets the quantity of a line.
func (c *Carts) SetItem(ctx context.Context, req *cartv1.SetItemRequest) (*cartv1.SetItemResponse, error) {
	session, product, n := req.GetSession(), req.GetItem().GetProductId(), req.GetItem().GetQuantity()
	if err := check(field{"session", session}, field{"item.product_id", product}); err != nil {
		return nil, err
	}
	if n < 0 || n > maxQuantity {
		return nil, problem.Invalid(problem.Field{Name: "item.quantity", Problem: fmt.Sprintf("is %d, must be from 0 to %d", n, maxQuantity)})
	}
	cart, err := c.change(ctx, session, func(tx *sql.Tx) error {
		if n == 0 {
			_, err := tx.ExecContext(ctx, `DELETE FROM items WHERE session = ? AND product = ?`, session, product)
			return err
		}
		now := time.Now()
		_, err := tx.ExecContext(ctx, `INSERT INTO items VALUES (?, ?, ?, ?, ?)
			ON CONFLICT DO UPDATE SET quantity = excluded.quantity, changed = excluded.changed`, session, product, n, now.UnixNano(), now.UnixMilli())
		if err != nil {
			return err
		}
		return limits(ctx, tx, session, product)
	})
	if err != nil {
		return nil, err
	}
	return &cartv1.SetItemResponse{Cart: cart}, nil
}

// ClearCart removes all lines.
func (c *Carts) ClearCart(ctx context.Context, req *cartv1.ClearCartRequest) (*cartv1.ClearCartResponse, error) {
	if err := check(field{"session", req.GetSession()}); err != nil {
		return nil, err
	}
	if _, err := c.db.ExecContext(ctx, `DELETE FROM items WHERE session = ?`, req.GetSession()); err != nil {
		return nil, database.Status(ctx, err)
	}
	return &cartv1.ClearCartResponse{}, nil
}

// change runs f in a transaction and returns the cart as it is at the end of it.
func (c *Carts) change(ctx context.Context, session string, f func(*sql.Tx) error) (*cartv1.Cart, error) {
	tx, err := c.db.BeginTx(ctx, nil)
	if err != nil {
		return nil, database.Status(ctx, err)
	}
	defer tx.Rollback() // after Commit it does nothing
	if err := f(tx); err != nil {
		return nil, database.Status(ctx, err)
	}
	cart, err := read(ctx, tx, session)
	if err != nil {
		return nil, database.Status(ctx, err)
	}
	if err := tx.Commit(); err != nil {
		return nil, database.Status(ctx, err)
	}
	return cart, nil
}

// limits refuses a change that made a line or the cart too large.
func limits(ctx context.Context, tx *sql.Tx, session, product string) error {
	var lines, quantity int
	err := tx.QueryRowContext(ctx, `SELECT count(*), coalesce(max(CASE WHEN product = ? THEN quantity END), 0) FROM items WHERE session = ?`,
		product, session).Scan(&lines, &quantity)
	switch {
	case err != nil:
		return err
	case lines > maxLines:
		return problem.Precondition("CART_FULL", fmt.Sprintf("a cart holds at most %d different products", maxLines))
	case quantity > maxQuantity:
		return problem.Precondition("QUANTITY_LIMIT", fmt.Sprintf("a cart holds at most %d of one product", maxQuantity))
	}
	return nil
}

type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

func read(ctx context.Context, db querier, session string) (*cartv1.Cart, error) {
	rows, err := db.QueryContext(ctx, `SELECT product, quantity FROM items WHERE session = ? ORDER BY added, product`, session)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	cart := &cartv1.Cart{Session: session}
	for rows.Next() {
		item := &cartv1.Item{}
		if err := rows.Scan(&item.ProductId, &item.Quantity); err != nil {
			return nil, err
		}
		cart.Items = append(cart.Items, item)
	}
	return cart, rows.Err()
}

// sweep forgets carts and requests that are old, until ctx ends.
func (c *Carts) sweep(ctx context.Context) error {
	ticker := time.NewTicker(sweepEvery)
	defer ticker.Stop()
	for {
		now := time.Now()
		for query, before := range map[string]time.Time{
			`DELETE FROM items WHERE changed < ?`: now.Add(-keepCart),
			`DELETE FROM requests WHERE at < ?`:   now.Add(-keepRequest),
		} {
			if _, err := c.db.ExecContext(ctx, query, before.UnixMilli()); err != nil && ctx.Err() == nil {
				return fmt.Errorf("forget old carts: %w", err)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

type field struct{ name, value string }

// check refuses names that are missing or too long.
func check(fields ...field) error {
	for _, f := range fields {
		switch {
		case f.value == "":
			return problem.Invalid(problem.Field{Name: f.name, Problem: "is missing"})
		case len(f.value) > 128:
			return problem.Invalid(problem.Field{Name: f.name, Problem: fmt.Sprintf("has %d bytes, at most 128", len(f.value))})
		}
	}
	return nil
}
