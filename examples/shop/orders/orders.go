// Package orders is the service that stores orders and sees them through: received, paid, packed, shipped, delivered.
//
// Orders are in a SQLite file that all replicas on a host share. Each replica moves orders along and each watches the file, so it does
// not matter which one made a change and which one tells of it, and a restart loses nothing.
//
// That an order was placed is an event, which is stored with the order that it is about and published from there: there is no order without
// it, and none for an order that is not there.
package orders

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/hanse-go/hanse"
	"github.com/hanse-go/hanse/events/outbox"
	"github.com/hanse-go/hanse/examples/shop/database"
	"github.com/hanse-go/hanse/examples/shop/problem"
	ordersv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/orders/v1"
	paymentv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/payment/v1"
	shippingv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/shipping/v1"
	"github.com/hanse-go/hanse/telemetry"
	"google.golang.org/protobuf/proto"
)

const (
	defaultList = 20
	maxList     = 100
)

// Settings of the service.
type Settings struct {
	database.Settings `yaml:",inline"`

	// Step is how long an order stays in each state before it moves on.
	Step time.Duration `default:"4s" desc:"how long an order stays paid, packed and shipped"`

	// Unpaid is how long an order may stay received.
	Unpaid time.Duration `default:"10m" desc:"when an order that was not paid is cancelled"`
}

// Validate refuses settings that cannot work.
func (s *Settings) Validate() error {
	if s.Step <= 0 || s.Unpaid <= 0 {
		return fmt.Errorf("step (%v) and unpaid (%v) must be more than 0", s.Step, s.Unpaid)
	}
	return nil
}

// Service returns the orders service.
func Service() *hanse.Service {
	return &hanse.Service{Name: "orders", Setup: func(ctx context.Context, s *hanse.Service) error {
		var cfg Settings
		if err := s.Config(&cfg); err != nil {
			return err
		}
		dir, err := cfg.Dir()
		if err != nil {
			return err
		}
		orders, err := New(ctx, dir, s.Telemetry())
		if err != nil {
			return err
		}
		s.OnStop(func(context.Context) error { return orders.Close() })
		clerk := &Clerk{
			Orders:   orders,
			Payments: paymentv1.NewPaymentsClient(s.Conn("payment")),
			Shipping: shippingv1.NewShippingClient(s.Conn("shipping")),
			Step:     cfg.Step,
			Unpaid:   cfg.Unpaid,
			Logger:   s.Logger(),
		}
		s.Go("clerk", clerk.Run)
		(&outbox.Relay{DB: orders.store.db}).Attach(s, Placed)
		ordersv1.RegisterOrdersServer(s, orders)
		return nil
	}}
}

// Orders is the implementation.
type Orders struct {
	ordersv1.UnimplementedOrdersServer
	store *store
	watch watchers
}

// New returns orders that are kept in a folder. Close them.
func New(ctx context.Context, dir string, tells *telemetry.Service) (*Orders, error) {
	db, err := database.Open(ctx, dir, "orders", schema, tells)
	if err != nil {
		return nil, err
	}
	if err := outbox.Migrate(ctx, db); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return &Orders{store: &store{db: db}}, nil
}

// Close closes the file.
func (o *Orders) Close() error { return o.store.db.Close() }

// CreateOrder stores an order as received, once.
func (o *Orders) CreateOrder(ctx context.Context, req *ordersv1.CreateOrderRequest) (*ordersv1.CreateOrderResponse, error) {
	if err := checkOrder(req.GetOrder()); err != nil {
		return nil, err
	}
	order := proto.CloneOf(req.GetOrder())
	order.History, order.PaymentId, order.PaidWith, order.TrackingId = nil, "", "", ""
	enter(order, ordersv1.Status_STATUS_RECEIVED)
	stored, err := o.store.insert(ctx, order)
	if err != nil {
		return nil, database.Status(ctx, err)
	}
	if stored.GetCustomer() != order.GetCustomer() {
		return nil, problem.Precondition("OTHER_CUSTOMER", fmt.Sprintf("order %q is another customer's", order.GetId()))
	}
	return &ordersv1.CreateOrderResponse{Order: stored}, nil
}

// ConfirmPayment turns a received order into a paid one: it is placed.
func (o *Orders) ConfirmPayment(ctx context.Context, req *ordersv1.ConfirmPaymentRequest) (*ordersv1.ConfirmPaymentResponse, error) {
	order, err := o.change(ctx, req.GetId(), func(order *ordersv1.Order) error {
		switch order.GetStatus() {
		case ordersv1.Status_STATUS_RECEIVED:
			order.PaymentId, order.PaidWith = req.GetPaymentId(), req.GetPaidWith()
			enter(order, ordersv1.Status_STATUS_PAID)
			return nil
		case ordersv1.Status_STATUS_CANCELLED:
			return problem.Precondition("CANCELLED", fmt.Sprintf("order %q was cancelled", order.GetId()))
		default:
			return errUnchanged // paid before
		}
	}, publishPlaced)
	if err != nil {
		return nil, err
	}
	return &ordersv1.ConfirmPaymentResponse{Order: order}, nil
}

// CancelOrder ends an order that is not paid.
func (o *Orders) CancelOrder(ctx context.Context, req *ordersv1.CancelOrderRequest) (*ordersv1.CancelOrderResponse, error) {
	order, err := o.change(ctx, req.GetId(), func(order *ordersv1.Order) error {
		switch order.GetStatus() {
		case ordersv1.Status_STATUS_RECEIVED:
			enter(order, ordersv1.Status_STATUS_CANCELLED)
			return nil
		case ordersv1.Status_STATUS_CANCELLED:
			return errUnchanged
		default:
			return problem.Precondition("PAID", fmt.Sprintf("order %q is paid", order.GetId()))
		}
	})
	if err != nil {
		return nil, err
	}
	return &ordersv1.CancelOrderResponse{Order: order}, nil
}

// GetOrder returns one order.
func (o *Orders) GetOrder(ctx context.Context, req *ordersv1.GetOrderRequest) (*ordersv1.GetOrderResponse, error) {
	order, _, err := o.get(ctx, req.GetId())
	if err != nil {
		return nil, err
	}
	return &ordersv1.GetOrderResponse{Order: order}, nil
}

// ListOrders returns a customer's orders, newest first.
func (o *Orders) ListOrders(ctx context.Context, req *ordersv1.ListOrdersRequest) (*ordersv1.ListOrdersResponse, error) {
	limit := int(req.GetLimit())
	switch {
	case req.GetCustomer() == "":
		return nil, problem.Invalid(problem.Field{Name: "customer", Problem: "is missing"})
	case limit < 0 || limit > maxList:
		return nil, problem.Invalid(problem.Field{Name: "limit", Problem: fmt.Sprintf("is %d, must be from 0 to %d", limit, maxList)})
	case limit == 0:
		limit = defaultList
	}
	orders, err := o.store.list(ctx, req.GetCustomer(), limit)
	if err != nil {
		return nil, database.Status(ctx, err)
	}
	return &ordersv1.ListOrdersResponse{Orders: orders}, nil
}

// get returns an order and its revision.
func (o *Orders) get(ctx context.Context, id string) (*ordersv1.Order, int64, error) {
	order, revision, err := o.store.get(ctx, id)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, 0, problem.NotFound("order", id)
	}
	return order, revision, database.Status(ctx, err)
}

// change applies f to an order in a transaction and wakes those who watch.
func (o *Orders) change(ctx context.Context, id string, f func(*ordersv1.Order) error, then ...after) (*ordersv1.Order, error) {
	order, err := o.store.change(ctx, id, f, then...)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, problem.NotFound("order", id)
	}
	if err != nil {
		return nil, database.Status(ctx, err)
	}
	o.watch.wake()
	return order, nil
}

// checkOrder refuses an order that could not be packed.
func checkOrder(order *ordersv1.Order) error {
	var wrong []problem.Field
	need := func(name, value string) {
		if value == "" {
			wrong = append(wrong, problem.Field{Name: "order." + name, Problem: "is missing"})
		}
	}
	need("id", order.GetId())
	need("customer", order.GetCustomer())
	need("address.name", order.GetAddress().GetName())
	need("address.country", order.GetAddress().GetCountry())
	if len(order.GetLines()) == 0 {
		wrong = append(wrong, problem.Field{Name: "order.lines", Problem: "are empty"})
	}
	if order.GetTotal().GetMinor() <= 0 {
		wrong = append(wrong, problem.Field{Name: "order.total", Problem: "must be more than nothing"})
	}
	if len(wrong) > 0 {
		return problem.Invalid(wrong...)
	}
	return nil
}
