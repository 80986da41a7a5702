package orders

import (
	"context"
	"database/sql"

	"github.com/hanse-go/hanse/events"
	"github.com/hanse-go/hanse/events/outbox"
	ordersv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/orders/v1"
)

// Placed has an event for each order that was paid. Those of one customer are handled in their order.
var Placed = events.NewTopic[*ordersv1.Placed]("orders.placed", events.Key(customer))

func customer(p *ordersv1.Placed) string { return p.GetOrder().GetCustomer() }

// publishPlaced has the event published when the transaction is committed.
func publishPlaced(ctx context.Context, tx *sql.Tx, order *ordersv1.Order) error {
	return outbox.Publish(ctx, tx, Placed, &ordersv1.Placed{Order: order})
}
