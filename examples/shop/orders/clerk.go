package orders

import (
	"context"
	"log/slog"
	"time"

	"github.com/hanse-go/hanse/examples/shop/database"
	ordersv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/orders/v1"
	paymentv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/payment/v1"
	shippingv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/shipping/v1"
)

// callTimeout bounds each call of the clerk.
const callTimeout = 3 * time.Second

// Clerk moves orders along: paid ones are packed, packed ones handed to the carrier, shipped ones arrive; those that nobody paid are
// cancelled, and the money of cancelled ones goes back. Any number of clerks may work on the same orders.
type Clerk struct {
	Orders   *Orders
	Payments paymentv1.PaymentsClient
	Shipping shippingv1.ShippingClient
	Step     time.Duration
	Unpaid   time.Duration
	Logger   *slog.Logger
}

// Run works until ctx ends.
func (c *Clerk) Run(ctx context.Context) error {
	ticker := time.NewTicker(min(max(c.Step/8, 20*time.Millisecond), time.Second))
	defer ticker.Stop()
	for {
		c.round(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// round looks at every order that is due. What fails is looked at again in the next round.
func (c *Clerk) round(ctx context.Context) {
	now := time.Now()
	for _, work := range []struct {
		status ordersv1.Status
		since  time.Time
		do     func(ctx context.Context, id string) error
	}{
		{ordersv1.Status_STATUS_RECEIVED, now.Add(-c.Unpaid), c.cancel},
		{ordersv1.Status_STATUS_CANCELLED, now, c.refund},
		{ordersv1.Status_STATUS_PAID, now.Add(-c.Step), c.pack},
		{ordersv1.Status_STATUS_PACKED, now.Add(-c.Step), c.ship},
		{ordersv1.Status_STATUS_SHIPPED, now.Add(-c.Step), c.deliver},
	} {
		ids, err := c.Orders.store.due(ctx, work.status, work.since)
		if err != nil {
			if ctx.Err() == nil {
				c.Logger.Error("orders that are due cannot be read", "status", work.status, "error", database.Status(ctx, err))
			}
			return
		}
		for _, id := range ids {
			if err := work.do(ctx, id); err != nil {
				if ctx.Err() == nil {
					c.Logger.Warn("order cannot move on; the next round tries again", "order", id, "status", work.status, "error", err)
				}
				break // the others of this kind would meet the same
			}
		}
	}
}

func (c *Clerk) pack(ctx context.Context, id string) error {
	return c.move(ctx, id, ordersv1.Status_STATUS_PAID, ordersv1.Status_STATUS_PACKED, "")
}

func (c *Clerk) ship(ctx context.Context, id string) error {
	order, _, err := c.Orders.get(ctx, id)
	if err != nil {
		return err
	}
	call, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	shipment, err := c.Shipping.CreateShipment(call, &shippingv1.CreateShipmentRequest{
		OrderId: id, Country: order.GetAddress().GetCountry(), Speed: order.GetSpeed(),
	})
	if err != nil {
		return err
	}
	return c.move(ctx, id, ordersv1.Status_STATUS_PACKED, ordersv1.Status_STATUS_SHIPPED, shipment.GetTrackingId())
}

func (c *Clerk) deliver(ctx context.Context, id string) error {
	return c.move(ctx, id, ordersv1.Status_STATUS_SHIPPED, ordersv1.Status_STATUS_DELIVERED, "")
}

func (c *Clerk) cancel(ctx context.Context, id string) error {
	return c.move(ctx, id, ordersv1.Status_STATUS_RECEIVED, ordersv1.Status_STATUS_CANCELLED, "")
}

// refund gives back what was paid for a cancelled order, if anything was. Payment remembers the refund also of what was not charged, so
// a charge that is still on its way fails.
func (c *Clerk) refund(ctx context.Context, id string) error {
	call, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	if _, err := c.Payments.Refund(call, &paymentv1.RefundRequest{Key: id, Reason: "the order was cancelled"}); err != nil {
		return err
	}
	return c.Orders.store.settle(ctx, id)
}

// move takes an order from one state to the next, unless another clerk did.
func (c *Clerk) move(ctx context.Context, id string, from, to ordersv1.Status, trackingID string) error {
	_, err := c.Orders.change(ctx, id, func(order *ordersv1.Order) error {
		if order.GetStatus() != from {
			return errUnchanged
		}
		if trackingID != "" {
			order.TrackingId = trackingID
		}
		enter(order, to)
		return nil
	})
	return err
}
