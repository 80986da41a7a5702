package stock_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/hanse-go/hanse/events"
	ordersv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/orders/v1"
	stockv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/stock/v1"
	"github.com/hanse-go/hanse/examples/shop/stock"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestPlaced takes goods out of the warehouse until a ship comes in.
func TestPlaced(t *testing.T) {
	s, err := stock.New(t.Context(), t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	handle := s.Placed()
	for i, tt := range []struct {
		event    string
		tea, mug int32 // ordered
		wantTea  int64
		wantMug  int64
	}{
		{"1", 0, 0, 240, 240},
		{"2", 3, 1, 237, 239},
		{"2", 3, 1, 237, 239}, // it comes again
		{"3", 99, 0, 138, 239},
		{"4", 99, 99, 39, 140},
		{"5", 39, 0, 240, 140}, // none is left, and a ship comes in
		{"6", 99, 0, 141, 140},
		{"7", 99, 0, 42, 140},
		{"8", 99, 0, 183, 140},
	} {
		order := &ordersv1.Order{Id: fmt.Sprint("order-", tt.event)}
		for product, n := range map[string]int32{"tea": tt.tea, "mug": tt.mug} {
			if n > 0 {
				order.Lines = append(order.Lines, &ordersv1.Line{ProductId: product, Quantity: n})
			}
		}
		e := &events.Event[*ordersv1.Placed]{ID: tt.event, Source: "test", Group: "stock", Data: &ordersv1.Placed{Order: order}}
		if err := handle(t.Context(), e); err != nil {
			t.Fatal(err)
		}
		reply, err := s.GetStock(t.Context(), &stockv1.GetStockRequest{ProductIds: []string{"tea", "mug"}})
		if err != nil {
			t.Fatal(err)
		}
		if tea, mug := reply.GetLevels()[0], reply.GetLevels()[1]; tea.GetPieces() != tt.wantTea || mug.GetPieces() != tt.wantMug || tea.GetProductId() != "tea" {
			t.Errorf("%d: %v, want %d and %d", i, reply, tt.wantTea, tt.wantMug)
		}
	}
	for _, ids := range [][]string{nil, make([]string, 101)} {
		if _, err := s.GetStock(context.Background(), &stockv1.GetStockRequest{ProductIds: ids}); err == nil {
			t.Errorf("%d products are fine", len(ids))
		}
	}
}
