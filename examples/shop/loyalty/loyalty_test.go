package loyalty_test

import (
	"testing"

	"github.com/hanse-go/hanse/events"
	"github.com/hanse-go/hanse/examples/shop/loyalty"
	loyaltyv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/loyalty/v1"
	ordersv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/orders/v1"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestPlaced gives points for orders, once each.
func TestPlaced(t *testing.T) {
	l, err := loyalty.New(t.Context(), t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}()
	handle := l.Placed()
	for _, order := range []struct {
		id, customer string
		pieces       int32
	}{{"A", "jb", 2}, {"B", "jb", 3}, {"A", "jb", 2}, {"C", "em", 1}} {
		e := &events.Event[*ordersv1.Placed]{ID: order.id, Source: "test", Group: "loyalty", Data: &ordersv1.Placed{Order: &ordersv1.Order{
			Id: order.id, Customer: order.customer, Lines: []*ordersv1.Line{{Quantity: order.pieces - 1}, {Quantity: 1}},
		}}}
		if err := handle(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	account := func(req *loyaltyv1.GetAccountRequest) *loyaltyv1.GetAccountResponse {
		t.Helper()
		reply, err := l.GetAccount(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		return reply
	}
	jb := account(&loyaltyv1.GetAccountRequest{Customer: "jb"})
	if e := jb.GetEntries(); jb.GetPoints() != 50 || len(e) != 2 || e[0].GetOrderId() != "B" || e[0].GetPoints() != 30 || e[1].GetPoints() != 20 {
		t.Errorf("%v", jb)
	}
	if one := account(&loyaltyv1.GetAccountRequest{Customer: "jb", Limit: 1}); one.GetPoints() != 50 || len(one.GetEntries()) != 1 {
		t.Errorf("%v", one)
	}
	if none := account(&loyaltyv1.GetAccountRequest{Customer: "xy"}); none.GetPoints() != 0 || len(none.GetEntries()) != 0 {
		t.Errorf("%v", none)
	}
	for _, req := range []*loyaltyv1.GetAccountRequest{{}, {Customer: "jb", Limit: -1}, {Customer: "jb", Limit: 101}} {
		if _, err := l.GetAccount(t.Context(), req); err == nil {
			t.Errorf("%v is fine", req)
		}
	}
}
