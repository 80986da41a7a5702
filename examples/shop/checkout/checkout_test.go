package checkout_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/hanse-go/hanse/examples/shop/cart"
	"github.com/hanse-go/hanse/examples/shop/catalog"
	"github.com/hanse-go/hanse/examples/shop/checkout"
	"github.com/hanse-go/hanse/examples/shop/currency"
	"github.com/hanse-go/hanse/examples/shop/orders"
	"github.com/hanse-go/hanse/examples/shop/payment"
	"github.com/hanse-go/hanse/examples/shop/problem"
	cartv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/cart/v1"
	checkoutv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/checkout/v1"
	moneyv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/money/v1"
	ordersv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/orders/v1"
	paymentv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/payment/v1"
	shippingv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/shipping/v1"
	"github.com/hanse-go/hanse/examples/shop/shipping"
	"github.com/hanse-go/hanse/hansetest"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// trouble makes calls of a service fail, before or after they took effect.
type trouble struct {
	mu     sync.Mutex
	before map[string]error // method → what it fails with, and does nothing
	after  map[string]error // method → what it fails with, having done its work: the answer is lost
	calls  map[string]int
	during func(method string) // called while the method works
}

func newTrouble() *trouble {
	return &trouble{before: make(map[string]error), after: make(map[string]error), calls: make(map[string]int)}
}

var lost = status.Error(codes.Unavailable, "connection lost")

func (tr *trouble) fail(when map[string]error, method string, err error) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	when[method] = err
}

func (tr *trouble) clear() {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	clear(tr.before)
	clear(tr.after)
}

func (tr *trouble) count(method string) int {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return tr.calls[method]
}

// intercept is a grpc.UnaryServerInterceptor.
func (tr *trouble) intercept(ctx context.Context, req any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
	method := info.FullMethod[1+len("shop."):]
	tr.mu.Lock()
	tr.calls[method]++
	before, after, during := tr.before[method], tr.after[method], tr.during
	tr.mu.Unlock()
	if before != nil {
		return nil, before
	}
	reply, err := handle(ctx, req)
	if during != nil {
		during(method)
	}
	if err == nil && after != nil {
		return nil, after
	}
	return reply, err
}

// shop is all that checkout needs, with a cart that is filled.
type shop struct {
	*hansetest.System
	*trouble
	checkout checkoutv1.CheckoutClient
	carts    cartv1.CartsClient
	orders   ordersv1.OrdersClient
	payments paymentv1.PaymentsClient
}

func open(t *testing.T) *shop {
	t.Helper()
	dir := t.TempDir()
	s := &shop{trouble: newTrouble()}
	ordersService, paymentService := orders.Service(), payment.Service()
	ordersService.UnaryInterceptors = append(ordersService.UnaryInterceptors, s.intercept)
	paymentService.UnaryInterceptors = append(paymentService.UnaryInterceptors, s.intercept)
	s.System = hansetest.Options{Config: fmt.Sprintf("cart: {data: %q}\npayment: {data: %q}\norders: {data: %q, step: 1h, unpaid: 1h}\n", dir, dir, dir)}.Run(t,
		catalog.Service(), cart.Service(), currency.Service(), shipping.Service(), checkout.Service(), ordersService, paymentService)
	s.checkout = checkoutv1.NewCheckoutClient(s.Conn("checkout"))
	s.carts = cartv1.NewCartsClient(s.Conn("cart"))
	s.orders = ordersv1.NewOrdersClient(s.Conn("orders"))
	s.payments = paymentv1.NewPaymentsClient(s.Conn("payment"))
	s.fill(t, "kontor-mug", 2)
	return s
}

func (s *shop) fill(t *testing.T, product string, n int32) {
	t.Helper()
	if _, err := s.carts.SetItem(t.Context(), &cartv1.SetItemRequest{Session: "jb", Item: &cartv1.Item{ProductId: product, Quantity: n}}); err != nil {
		t.Fatal(err)
	}
}

func (s *shop) inCart(t *testing.T) int {
	t.Helper()
	reply, err := s.carts.GetCart(t.Context(), &cartv1.GetCartRequest{Session: "jb"})
	if err != nil {
		t.Fatal(err)
	}
	return len(reply.GetCart().GetItems())
}

func request(key string) *checkoutv1.PlaceOrderRequest {
	return &checkoutv1.PlaceOrderRequest{
		Key: key, Session: "jb", Currency: "EUR",
		Address: &ordersv1.Address{Name: "J. B.", Email: "jb@example.com", Street: "Mengstraße 4", Postcode: "23552", City: "Lübeck", Country: "DE"},
		Card:    &paymentv1.Card{Number: "4242424242424242", ExpiryMonth: 12, ExpiryYear: 2099, Code: "123", Holder: "J. B."},
	}
}

func (s *shop) place(t *testing.T, req *checkoutv1.PlaceOrderRequest) (*ordersv1.Order, error) {
	t.Helper()
	reply, err := s.checkout.PlaceOrder(t.Context(), req)
	return reply.GetOrder(), err
}

// only returns the customer's only order.
func (s *shop) only(t *testing.T) *ordersv1.Order {
	t.Helper()
	reply, err := s.orders.ListOrders(t.Context(), &ordersv1.ListOrdersRequest{Customer: "jb"})
	if err != nil || len(reply.GetOrders()) != 1 {
		t.Fatalf("orders: %v, %v, want one", reply, err)
	}
	return reply.GetOrders()[0]
}

// paid returns the state of what was paid for an order.
func (s *shop) paid(t *testing.T, order *ordersv1.Order) paymentv1.State {
	t.Helper()
	reply, err := s.payments.GetPayment(t.Context(), &paymentv1.GetPaymentRequest{Key: order.GetId()})
	if status.Code(err) == codes.NotFound {
		return paymentv1.State_STATE_UNSPECIFIED
	}
	if err != nil {
		t.Fatal(err)
	}
	return reply.GetPayment().GetState()
}

func TestPlaceOrder(t *testing.T) {
	s := open(t)
	req := request("1")
	req.ExpectedTotal = &moneyv1.Money{Currency: "EUR", Minor: 2*2200 + 490}
	order, err := s.place(t, req)
	if err != nil {
		t.Fatal(err)
	}
	if order.GetStatus() != ordersv1.Status_STATUS_PAID || order.GetTotal().GetMinor() != 4890 || order.GetPaidWith() != "Visa ending in 4242" ||
		len(order.GetLines()) != 1 || order.GetLines()[0].GetName() != "Kontor mug" {
		t.Errorf("the order is %v", order)
	}
	if s.paid(t, order) != paymentv1.State_STATE_CHARGED || s.inCart(t) != 0 {
		t.Errorf("paid %v, %d lines in the cart", s.paid(t, order), s.inCart(t))
	}

	// The same purchase again is the same order, and what is in the cart by then is not its business.
	s.fill(t, "ships-bell", 1)
	again, err := s.place(t, req)
	if err != nil || again.GetId() != order.GetId() || s.inCart(t) != 1 {
		t.Errorf("again: %v, %v, %d lines in the cart", again, err, s.inCart(t))
	}
	if n := s.count("payment.v1.Payments/Charge"); n != 1 {
		t.Errorf("%d charges", n)
	}
	s.only(t)
	// Another key is another purchase.
	other, err := s.place(t, request("2"))
	if err != nil || other.GetId() == order.GetId() {
		t.Errorf("another purchase: %v, %v", other, err)
	}
}

func TestConcurrentPurchasesAreOne(t *testing.T) {
	s := open(t)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			// Some may find the cart emptied by the first before there is an order to be found: never more than one is charged.
			if _, err := s.checkout.PlaceOrder(t.Context(), request("1")); err != nil && problem.Reason(err) != "CART_EMPTY" {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if order := s.only(t); s.paid(t, order) != paymentv1.State_STATE_CHARGED {
		t.Errorf("paid %v", s.paid(t, order))
	}
}

func TestPreview(t *testing.T) {
	s := open(t)
	for _, test := range []struct {
		currency, country string
		speed             shippingv1.Speed
		goods, shipping   int64
	}{
		{"", "DE", 0, 4400, 490},
		{"EUR", "DE", shippingv1.Speed_SPEED_EXPRESS, 4400, 1190},
		{"EUR", "US", shippingv1.Speed_SPEED_STANDARD, 4400, 1990},
		{"USD", "DE", 0, 2 * 2355, 525}, // each price is rounded, not their sum
		{"JPY", "DE", 0, 2 * 3783, 843},
	} {
		reply, err := s.checkout.Preview(t.Context(), &checkoutv1.PreviewRequest{Session: "jb", Currency: test.currency, Country: test.country, Speed: test.speed})
		if err != nil || reply.GetGoods().GetMinor() != test.goods || reply.GetShipping().GetMinor() != test.shipping ||
			reply.GetTotal().GetMinor() != test.goods+test.shipping || len(reply.GetOffers()) != 2 || reply.GetFlatRate() {
			t.Errorf("%s to %s: %v, %v", test.currency, test.country, reply, err)
		}
	}
	for name, req := range map[string]*checkoutv1.PreviewRequest{
		"country":  {Session: "jb", Country: "XX"},
		"currency": {Session: "jb", Country: "DE", Currency: "XXX"},
		"session":  {Country: "DE"},
	} {
		if _, err := s.checkout.Preview(t.Context(), req); status.Code(err) != codes.InvalidArgument {
			t.Errorf("wrong %s: %v, want InvalidArgument", name, err)
		}
	}
}

func TestRefusals(t *testing.T) {
	s := open(t)
	for name, test := range map[string]struct {
		change func(*checkoutv1.PlaceOrderRequest)
		code   codes.Code
		reason string
	}{
		"no key":        {func(r *checkoutv1.PlaceOrderRequest) { r.Key = "" }, codes.InvalidArgument, ""},
		"no address":    {func(r *checkoutv1.PlaceOrderRequest) { r.Address = nil }, codes.InvalidArgument, ""},
		"no e-mail":     {func(r *checkoutv1.PlaceOrderRequest) { r.Address.Email = "jb" }, codes.InvalidArgument, ""},
		"total":         {func(r *checkoutv1.PlaceOrderRequest) { r.ExpectedTotal = &moneyv1.Money{Currency: "EUR", Minor: 1} }, codes.FailedPrecondition, "TOTAL_CHANGED"},
		"currency":      {func(r *checkoutv1.PlaceOrderRequest) { r.Currency = "XXX" }, codes.InvalidArgument, ""},
		"country":       {func(r *checkoutv1.PlaceOrderRequest) { r.Address.Country = "XX" }, codes.InvalidArgument, ""},
		"empty cart":    {func(r *checkoutv1.PlaceOrderRequest) { r.Session = "nobody" }, codes.FailedPrecondition, "CART_EMPTY"},
		"declined card": {func(r *checkoutv1.PlaceOrderRequest) { r.Card.Number = "4000000000000002" }, codes.FailedPrecondition, "CARD_DECLINED"},
		"bad card":      {func(r *checkoutv1.PlaceOrderRequest) { r.Card.Number = "4242424242424241" }, codes.InvalidArgument, ""},
	} {
		req := request(name)
		test.change(req)
		_, err := s.place(t, req)
		if status.Code(err) != test.code || problem.Reason(err) != test.reason || test.code == codes.InvalidArgument && name != "currency" && len(problem.Fields(err)) == 0 {
			t.Errorf("%s: %v with reason %q", name, err, problem.Reason(err))
		}
	}
	if s.inCart(t) != 1 {
		t.Error("a refused purchase emptied the cart")
	}
	list, err := s.orders.ListOrders(t.Context(), &ordersv1.ListOrdersRequest{Customer: "jb"})
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range list.GetOrders() {
		if o.GetStatus() != ordersv1.Status_STATUS_CANCELLED || s.paid(t, o) == paymentv1.State_STATE_CHARGED {
			t.Errorf("left behind: %v, paid %v", o, s.paid(t, o))
		}
	}
	s.fill(t, "no-such-thing", 1)
	if _, err := s.place(t, request("gone")); problem.Reason(err) != "NOT_SOLD" {
		t.Errorf("what is not sold: %v", err)
	}
}

// TestUndone fails each step of a purchase, before and after it took effect, and looks whether the customer is left with the goods and a
// charge or with neither.
func TestUndone(t *testing.T) {
	for _, test := range []struct {
		name  string
		fail  func(s *shop)
		wants codes.Code
		state ordersv1.Status // of the order; 0: there is none
	}{
		{"orders cannot be asked", func(s *shop) { s.fail(s.before, "orders.v1.Orders/GetOrder", lost) }, codes.Unavailable, 0},
		{"orders cannot store", func(s *shop) { s.fail(s.before, "orders.v1.Orders/CreateOrder", lost) }, codes.Unavailable, 0},
		{"payment does not answer", func(s *shop) { s.fail(s.before, "payment.v1.Payments/Charge", lost) }, codes.FailedPrecondition, ordersv1.Status_STATUS_CANCELLED},
		{"payment's answer is lost", func(s *shop) { s.fail(s.after, "payment.v1.Payments/Charge", lost) }, codes.FailedPrecondition, ordersv1.Status_STATUS_CANCELLED},
		{"orders do not take the payment", func(s *shop) { s.fail(s.before, "orders.v1.Orders/ConfirmPayment", lost) }, codes.FailedPrecondition, ordersv1.Status_STATUS_CANCELLED},
		{"the answer to the payment is lost", func(s *shop) { s.fail(s.after, "orders.v1.Orders/ConfirmPayment", lost) }, codes.OK, ordersv1.Status_STATUS_PAID},
		{"cancelling's answer is lost", func(s *shop) {
			s.fail(s.before, "orders.v1.Orders/ConfirmPayment", lost)
			s.fail(s.after, "orders.v1.Orders/CancelOrder", lost)
			// The purchase fails with Unavailable, and is sent again, for it is idempotent: then the order is found cancelled.
		}, codes.FailedPrecondition, ordersv1.Status_STATUS_CANCELLED},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := open(t)
			test.fail(s)
			_, err := s.place(t, request("1"))
			if status.Code(err) != test.wants {
				t.Fatalf("got %v, want %v", err, test.wants)
			}
			s.clear()
			if test.state == 0 {
				list, err := s.orders.ListOrders(t.Context(), &ordersv1.ListOrdersRequest{Customer: "jb"})
				if err != nil || len(list.GetOrders()) != 0 || s.count("payment.v1.Payments/Charge") != 0 {
					t.Errorf("%v, %v, and %d charges", list, err, s.count("payment.v1.Payments/Charge"))
				}
				return
			}
			order := s.only(t)
			if order.GetStatus() != test.state {
				t.Errorf("the order is %v, want %v", order.GetStatus(), test.state)
			}
			// A cancelled order's money goes back, at once or by the clerk.
			want := paymentv1.State_STATE_CHARGED
			if test.state == ordersv1.Status_STATUS_CANCELLED {
				want = paymentv1.State_STATE_REFUNDED
			}
			deadline := time.After(20 * time.Second)
			for s.paid(t, order) != want {
				select {
				case <-deadline:
					t.Fatalf("paid %v, want %v", s.paid(t, order), want)
				case <-time.After(10 * time.Millisecond):
				}
			}
		})
	}
}

// TestGoesOn fails a purchase so that nobody can know its state, and sends it again: it goes on, and charges once.
func TestGoesOn(t *testing.T) {
	s := open(t)
	s.fail(s.before, "orders.v1.Orders/ConfirmPayment", lost)
	s.fail(s.before, "orders.v1.Orders/CancelOrder", lost)
	if _, err := s.place(t, request("1")); status.Code(err) != codes.Unavailable {
		t.Fatalf("got %v, want Unavailable", err)
	}
	s.clear()
	order, err := s.place(t, request("1"))
	if err != nil || order.GetStatus() != ordersv1.Status_STATUS_PAID || order.GetId() != s.only(t).GetId() || s.paid(t, order) != paymentv1.State_STATE_CHARGED {
		t.Errorf("again: %v, %v", order, err)
	}
}

// TestCallerLeaves has the caller go away while payment works: the purchase is undone all the same.
func TestCallerLeaves(t *testing.T) {
	s := open(t)
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	s.mu.Lock()
	s.during = func(method string) {
		if method == "payment.v1.Payments/Charge" {
			leave()
		}
	}
	s.mu.Unlock()
	s.fail(s.after, "payment.v1.Payments/Charge", lost)
	if _, err := s.checkout.PlaceOrder(ctx, request("1")); status.Code(err) != codes.Canceled {
		t.Errorf("got %v, want Canceled", err)
	}
	deadline := time.After(20 * time.Second)
	for s.only(t).GetStatus() != ordersv1.Status_STATUS_CANCELLED || s.paid(t, s.only(t)) == paymentv1.State_STATE_CHARGED {
		select {
		case <-deadline:
			t.Fatalf("the order is %v, paid %v", s.only(t).GetStatus(), s.paid(t, s.only(t)))
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func TestFlatRate(t *testing.T) {
	s := open(t)
	for _, i := range s.Instances("shipping") {
		i.Stop()
	}
	reply, err := s.checkout.Preview(t.Context(), &checkoutv1.PreviewRequest{Session: "jb", Country: "DE"})
	if err != nil || !reply.GetFlatRate() || reply.GetShipping().GetMinor() != 990 || len(reply.GetOffers()) != 0 {
		t.Errorf("without shipping: %v, %v", reply, err)
	}
}
