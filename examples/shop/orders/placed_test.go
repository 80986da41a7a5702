package orders_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/hanse-go/hanse"
	"github.com/hanse-go/hanse/events"
	"github.com/hanse-go/hanse/examples/shop/orders"
	ordersv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/orders/v1"
	"google.golang.org/protobuf/proto"
)

// TestPlaced has an event for each order that is paid, however often that is said, in the order in which they were, and for no other.
func TestPlaced(t *testing.T) {
	s := run(t, "1h")
	placed := make(chan *events.Event[*ordersv1.Placed], 100)
	s.Start(&hanse.Service{Name: "book", Setup: func(_ context.Context, svc *hanse.Service) error {
		orders.Placed.Subscribe(svc, "book", func(_ context.Context, e *events.Event[*ordersv1.Placed]) error {
			placed <- e
			return nil
		}, events.Start{All: true})
		return nil
	}})
	s.create(t, "cancelled")
	if _, err := s.client.CancelOrder(t.Context(), &ordersv1.CancelOrderRequest{Id: "cancelled"}); err != nil {
		t.Fatal(err)
	}
	s.create(t, "received")
	for i := range 10 {
		id := fmt.Sprint("paid-", i)
		s.create(t, id)
		for range 3 {
			s.pay(t, id)
		}
	}
	if _, err := s.client.ConfirmPayment(t.Context(), &ordersv1.ConfirmPaymentRequest{Id: "cancelled", PaymentId: "pay_1"}); err == nil {
		t.Error("a cancelled order was paid")
	}
	s.create(t, "last")
	s.pay(t, "last")
	for i := range 11 {
		var e *events.Event[*ordersv1.Placed]
		select {
		case e = <-placed:
		case <-time.After(20 * time.Second):
			t.Fatalf("there are %d events, want 11", i)
		}
		want := fmt.Sprint("paid-", i)
		if i == 10 {
			want = "last"
		}
		order := e.Data.GetOrder()
		if order.GetId() != want || e.Key != "jb" || e.Source != "hanse:///orders" || order.GetStatus() != ordersv1.Status_STATUS_PAID || order.GetPaidWith() == "" {
			t.Fatalf("event %d: %v, want order %s", i, e, want)
		}
		reply, err := s.client.GetOrder(t.Context(), &ordersv1.GetOrderRequest{Id: want})
		if err != nil {
			t.Fatal(err)
		}
		if !proto.Equal(order.GetTotal(), reply.GetOrder().GetTotal()) {
			t.Errorf("the event has %v, the order %v", order, reply.GetOrder())
		}
	}
	select {
	case e := <-placed:
		t.Errorf("one event more: %v", e)
	default:
	}
}
