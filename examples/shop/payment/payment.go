// Package payment is the service that charges cards.
//
// A charge has a key, and a key is charged at most once, by whichever replica and however often it is asked. Card numbers are checked
// and forgotten: they are neither stored nor logged, and no error repeats them.
package payment

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/hanse-go/hanse"
	"github.com/hanse-go/hanse/examples/shop/database"
	"github.com/hanse-go/hanse/examples/shop/money"
	"github.com/hanse-go/hanse/examples/shop/problem"
	moneyv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/money/v1"
	paymentv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/payment/v1"
	"github.com/hanse-go/hanse/telemetry"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"
)

const schema = `
CREATE TABLE IF NOT EXISTS payments (
	key       TEXT PRIMARY KEY,
	id        TEXT    NOT NULL,
	currency  TEXT    NOT NULL,
	minor     INTEGER NOT NULL,
	state     INTEGER NOT NULL,
	network   TEXT    NOT NULL,
	last_four TEXT    NOT NULL,
	charged   INTEGER NOT NULL,
	reason    TEXT    NOT NULL DEFAULT ''
) WITHOUT ROWID;`

// Service returns the payment service.
func Service() *hanse.Service {
	return &hanse.Service{Name: "payment", Setup: func(ctx context.Context, s *hanse.Service) error {
		var cfg database.Settings
		if err := s.Config(&cfg); err != nil {
			return err
		}
		dir, err := cfg.Dir()
		if err != nil {
			return err
		}
		payments, err := New(ctx, dir, s.Telemetry())
		if err != nil {
			return err
		}
		s.OnStop(func(context.Context) error { return payments.Close() })
		paymentv1.RegisterPaymentsServer(s, payments)
		return nil
	}}
}

// Payments is the implementation.
type Payments struct {
	paymentv1.UnimplementedPaymentsServer
	db *sql.DB
}

// New returns payments that are kept in a folder. Close them.
func New(ctx context.Context, dir string, tells *telemetry.Service) (*Payments, error) {
	db, err := database.Open(ctx, dir, "payment", schema, tells)
	if err != nil {
		return nil, err
	}
	return &Payments{db: db}, nil
}

// Close closes the file.
func (p *Payments) Close() error { return p.db.Close() }

// Charge charges a card once for each key.
func (p *Payments) Charge(ctx context.Context, req *paymentv1.ChargeRequest) (*paymentv1.ChargeResponse, error) {
	if err := checkKey(req.GetKey()); err != nil {
		return nil, err
	}
	amount := money.Of(req.GetAmount())
	if amount.Minor <= 0 || len(amount.Currency) != 3 {
		return nil, problem.Invalid(problem.Field{Name: "amount", Problem: "must be more than nothing, of a currency"})
	}
	// A key that is known is answered before the card is looked at: the answer is the same whatever the second request says of it.
	paid, err := p.find(ctx, req.GetKey())
	if errors.Is(err, sql.ErrNoRows) {
		paid, err = p.charge(ctx, req, amount)
	}
	if err != nil {
		return nil, database.Status(ctx, err)
	}
	switch {
	case paid.GetState() == paymentv1.State_STATE_REFUNDED:
		return nil, problem.Precondition("REFUNDED", fmt.Sprintf("payment %q was refunded and cannot be charged again", req.GetKey()))
	case money.Of(paid.GetAmount()) != amount:
		return nil, status.Errorf(codes.AlreadyExists, "payment %q was charged with %s, not with %s", req.GetKey(), money.Of(paid.GetAmount()), amount)
	}
	return &paymentv1.ChargeResponse{Payment: paid}, nil
}

// charge stores a new payment, unless another request with its key was faster, and returns the one that is stored.
func (p *Payments) charge(ctx context.Context, req *paymentv1.ChargeRequest, amount money.Amount) (*paymentv1.Payment, error) {
	c, err := checkCard(req.GetCard(), time.Now())
	if err != nil {
		return nil, err
	}
	if no, ok := declined[c.number]; ok {
		return nil, problem.Precondition(no.reason, no.message)
	}
	_, err = p.db.ExecContext(ctx, `INSERT INTO payments (key, id, currency, minor, state, network, last_four, charged)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
		req.GetKey(), newID(), amount.Currency, amount.Minor, paymentv1.State_STATE_CHARGED, c.network, c.lastFour, time.Now().UnixMilli())
	if err != nil {
		return nil, err
	}
	return p.find(ctx, req.GetKey())
}

// Refund gives a payment back. A key that was never charged is marked, so that a charge that is still on its way fails.
func (p *Payments) Refund(ctx context.Context, req *paymentv1.RefundRequest) (*paymentv1.RefundResponse, error) {
	if err := checkKey(req.GetKey()); err != nil {
		return nil, err
	}
	_, err := p.db.ExecContext(ctx, `INSERT INTO payments (key, id, currency, minor, state, network, last_four, charged, reason)
		VALUES (?, ?, '', 0, ?, '', '', ?, ?)
		ON CONFLICT DO UPDATE SET state = excluded.state, reason = excluded.reason WHERE state <> excluded.state`,
		req.GetKey(), newID(), paymentv1.State_STATE_REFUNDED, time.Now().UnixMilli(), req.GetReason())
	if err != nil {
		return nil, database.Status(ctx, err)
	}
	paid, err := p.find(ctx, req.GetKey())
	if err != nil {
		return nil, database.Status(ctx, err)
	}
	return &paymentv1.RefundResponse{Payment: paid}, nil
}

// GetPayment finds a payment by its key.
func (p *Payments) GetPayment(ctx context.Context, req *paymentv1.GetPaymentRequest) (*paymentv1.GetPaymentResponse, error) {
	paid, err := p.find(ctx, req.GetKey())
	if errors.Is(err, sql.ErrNoRows) {
		return nil, problem.NotFound("payment", req.GetKey())
	}
	if err != nil {
		return nil, database.Status(ctx, err)
	}
	return &paymentv1.GetPaymentResponse{Payment: paid}, nil
}

func (p *Payments) find(ctx context.Context, key string) (*paymentv1.Payment, error) {
	paid := &paymentv1.Payment{Key: key, Amount: &moneyv1.Money{}}
	var charged int64
	err := p.db.QueryRowContext(ctx, `SELECT id, currency, minor, state, network, last_four, charged FROM payments WHERE key = ?`, key).
		Scan(&paid.Id, &paid.Amount.Currency, &paid.Amount.Minor, &paid.State, &paid.Network, &paid.LastFour, &charged)
	if err != nil {
		return nil, err
	}
	paid.Charged = timestamppb.New(time.UnixMilli(charged))
	return paid, nil
}

func newID() string { return "pay_" + rand.Text()[:16] }

func checkKey(key string) error {
	switch {
	case key == "":
		return problem.Invalid(problem.Field{Name: "key", Problem: "is missing"})
	case len(key) > 128:
		return problem.Invalid(problem.Field{Name: "key", Problem: fmt.Sprintf("has %d bytes, at most 128", len(key))})
	}
	return nil
}
