package orders_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hanse-go/hanse"
	"github.com/hanse-go/hanse/examples/shop/orders"
	"github.com/hanse-go/hanse/examples/shop/payment"
	"github.com/hanse-go/hanse/examples/shop/problem"
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
	"google.golang.org/protobuf/proto"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t *testing.T, dir string) *orders.Orders {
	t.Helper()
	o, err := orders.New(context.Background(), dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := o.Close(); err != nil {
			t.Error(err)
		}
	})
	return o
}

func newOrder(id string) *ordersv1.Order {
	euros := func(cents int64) *moneyv1.Money { return &moneyv1.Money{Currency: "EUR", Minor: cents} }
	return &ordersv1.Order{
		Id: id, Customer: "jb",
		Address:  &ordersv1.Address{Name: "J. Buddenbrook", Country: "DE"},
		Lines:    []*ordersv1.Line{{ProductId: "tea", Name: "Tea", Quantity: 2, Price: euros(1290)}},
		Shipping: euros(490), Total: euros(3070),
	}
}

func create(t *testing.T, o ordersv1.OrdersServer, id string) *ordersv1.Order {
	t.Helper()
	reply, err := o.CreateOrder(context.Background(), &ordersv1.CreateOrderRequest{Order: newOrder(id)})
	if err != nil {
		t.Fatal(err)
	}
	return reply.GetOrder()
}

func confirm(o ordersv1.OrdersServer, id string) (*ordersv1.Order, error) {
	reply, err := o.ConfirmPayment(context.Background(), &ordersv1.ConfirmPaymentRequest{Id: id, PaymentId: "pay_1", PaidWith: "Visa ending in 4242"})
	return reply.GetOrder(), err
}

func cancel(o ordersv1.OrdersServer, id string) (*ordersv1.Order, error) {
	reply, err := o.CancelOrder(context.Background(), &ordersv1.CancelOrderRequest{Id: id})
	return reply.GetOrder(), err
}

func get(t *testing.T, o ordersv1.OrdersServer, id string) *ordersv1.Order {
	t.Helper()
	reply, err := o.GetOrder(context.Background(), &ordersv1.GetOrderRequest{Id: id})
	if err != nil {
		t.Fatal(err)
	}
	return reply.GetOrder()
}

func TestCreateIsIdempotent(t *testing.T) {
	dir := t.TempDir()
	o := open(t, dir)
	first := create(t, o, "1")
	if first.GetStatus() != ordersv1.Status_STATUS_RECEIVED || len(first.GetHistory()) != 1 {
		t.Errorf("a new order is %v", first)
	}
	replica := open(t, dir)
	changed := newOrder("1")
	changed.Total.Minor = 1
	again, err := replica.CreateOrder(context.Background(), &ordersv1.CreateOrderRequest{Order: changed})
	if err != nil || !proto.Equal(again.GetOrder(), first) {
		t.Errorf("again: %v, %v, want %v", again, err, first)
	}
	changed.Customer = "someone else"
	if _, err := replica.CreateOrder(context.Background(), &ordersv1.CreateOrderRequest{Order: changed}); problem.Reason(err) != "OTHER_CUSTOMER" {
		t.Errorf("of someone else: %v", err)
	}
}

func TestStates(t *testing.T) {
	o := open(t, t.TempDir())
	create(t, o, "1")
	for range 2 {
		paid, err := confirm(o, "1")
		if err != nil || paid.GetStatus() != ordersv1.Status_STATUS_PAID || paid.GetPaidWith() != "Visa ending in 4242" || len(paid.GetHistory()) != 2 {
			t.Fatalf("confirmed: %v, %v", paid, err)
		}
	}
	if _, err := cancel(o, "1"); problem.Reason(err) != "PAID" {
		t.Errorf("a paid order was cancelled: %v", err)
	}
	create(t, o, "2")
	for range 2 {
		gone, err := cancel(o, "2")
		if err != nil || gone.GetStatus() != ordersv1.Status_STATUS_CANCELLED || len(gone.GetHistory()) != 2 {
			t.Fatalf("cancelled: %v, %v", gone, err)
		}
	}
	if _, err := confirm(o, "2"); problem.Reason(err) != "CANCELLED" {
		t.Errorf("a cancelled order was paid: %v", err)
	}
	for name, call := range map[string]func(ordersv1.OrdersServer, string) (*ordersv1.Order, error){"confirm": confirm, "cancel": cancel} {
		if _, err := call(o, "none"); status.Code(err) != codes.NotFound {
			t.Errorf("%s what is not there: %v, want NotFound", name, err)
		}
	}
}

// TestOnePaysOrCancels lets many pay and cancel one order at once: either all who pay succeed or all who cancel.
func TestOnePaysOrCancels(t *testing.T) {
	dir := t.TempDir()
	a, b := open(t, dir), open(t, dir)
	for i := range 10 {
		id := fmt.Sprint(i)
		create(t, a, id)
		var mu sync.Mutex
		var paid, cancelled int
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				if _, err := confirm(a, id); err == nil {
					mu.Lock()
					paid++
					mu.Unlock()
				}
			})
			wg.Go(func() {
				if _, err := cancel(b, id); err == nil {
					mu.Lock()
					cancelled++
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		if (paid != 4 || cancelled != 0) && (paid != 0 || cancelled != 4) {
			t.Errorf("%d paid and %d cancelled", paid, cancelled)
		}
	}
}

func TestList(t *testing.T) {
	o := open(t, t.TempDir())
	for i := range 5 {
		create(t, o, fmt.Sprint(i))
	}
	reply, err := o.ListOrders(context.Background(), &ordersv1.ListOrdersRequest{Customer: "jb", Limit: 3})
	if err != nil || len(reply.GetOrders()) != 3 {
		t.Fatalf("got %v, %v", reply, err)
	}
	other, err := o.ListOrders(context.Background(), &ordersv1.ListOrdersRequest{Customer: "someone else"})
	if err != nil || len(other.GetOrders()) != 0 {
		t.Errorf("someone else's: %v, %v", other, err)
	}
	for _, req := range []*ordersv1.ListOrdersRequest{{}, {Customer: "jb", Limit: -1}, {Customer: "jb", Limit: 101}} {
		if _, err := o.ListOrders(context.Background(), req); status.Code(err) != codes.InvalidArgument {
			t.Errorf("%v: %v, want InvalidArgument", req, err)
		}
	}
	bad := newOrder("")
	bad.Lines, bad.Total = nil, nil
	if _, err := o.CreateOrder(context.Background(), &ordersv1.CreateOrderRequest{Order: bad}); len(problem.Fields(err)) != 3 {
		t.Errorf("a bad order: %v", problem.Fields(err))
	}
}

// system runs orders with a payment service and a carrier that can be away.
type system struct {
	*hansetest.System
	dir     string
	carrier *carrier
	client  ordersv1.OrdersClient
}

type carrier struct {
	shippingv1.ShippingServer
	mu   sync.Mutex
	away bool
	asks int
}

func (c *carrier) set(away bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.away = away
}

func (c *carrier) CreateShipment(ctx context.Context, req *shippingv1.CreateShipmentRequest) (*shippingv1.CreateShipmentResponse, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asks++
	if c.away {
		return nil, status.Error(codes.Unavailable, "the carrier is on strike")
	}
	return c.ShippingServer.CreateShipment(ctx, req)
}

func run(t *testing.T, unpaid string) *system { return runAs(t, unpaid, nil) }

// runAs is run with apps that are changed before they run.
func runAs(t *testing.T, unpaid string, change func(*hanse.App)) *system {
	t.Helper()
	s := &system{dir: t.TempDir(), carrier: &carrier{ShippingServer: shipping.New()}}
	s.System = hansetest.Options{App: change, Config: fmt.Sprintf("orders: {data: %q, step: 80ms, unpaid: %s}\npayment: {data: %q}\n", s.dir, unpaid, s.dir)}.Run(t,
		orders.Service(), payment.Service(),
		hansetest.Fake("shipping", func(r grpc.ServiceRegistrar) { shippingv1.RegisterShippingServer(r, s.carrier) }))
	s.client = ordersv1.NewOrdersClient(s.Conn("orders"))
	return s
}

func (s *system) create(t *testing.T, id string) {
	t.Helper()
	if _, err := s.client.CreateOrder(t.Context(), &ordersv1.CreateOrderRequest{Order: newOrder(id)}); err != nil {
		t.Fatal(err)
	}
}

func (s *system) pay(t *testing.T, id string) {
	t.Helper()
	if _, err := s.client.ConfirmPayment(t.Context(), &ordersv1.ConfirmPaymentRequest{Id: id, PaymentId: "pay_1", PaidWith: "Visa"}); err != nil {
		t.Fatal(err)
	}
}

// watch follows an order until it has a status, and returns those that it had. A watch may end early; then it begins again.
func (s *system) watch(t *testing.T, id string, until ordersv1.Status) []string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var seen []string
	for {
		stream, err := s.client.WatchOrder(ctx, &ordersv1.WatchOrderRequest{Id: id})
		if err != nil {
			t.Fatal(err)
		}
		for {
			reply, err := stream.Recv()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("after %v: %v", seen, err)
			}
			name := strings.TrimPrefix(reply.GetOrder().GetStatus().String(), "STATUS_")
			if len(seen) == 0 || seen[len(seen)-1] != name {
				seen = append(seen, name)
			}
			if reply.GetOrder().GetStatus() == until {
				return seen
			}
		}
	}
}

func TestOnItsWay(t *testing.T) {
	s := run(t, "1h")
	s.create(t, "1")
	done := make(chan []string)
	go func() { done <- s.watch(t, "1", ordersv1.Status_STATUS_DELIVERED) }()
	s.pay(t, "1")
	got := strings.Join(<-done, " ")
	if !strings.HasSuffix(got, "PAID PACKED SHIPPED DELIVERED") {
		t.Errorf("seen: %s", got)
	}
	reply, err := s.client.GetOrder(t.Context(), &ordersv1.GetOrderRequest{Id: "1"})
	if err != nil || len(reply.GetOrder().GetHistory()) != 5 || !strings.HasPrefix(reply.GetOrder().GetTrackingId(), "KT") {
		t.Errorf("at the end: %v, %v", reply, err)
	}
}

func TestStrike(t *testing.T) {
	s := run(t, "1h")
	s.carrier.set(true)
	s.create(t, "1")
	s.pay(t, "1")
	s.watch(t, "1", ordersv1.Status_STATUS_PACKED)
	poll(t, func() bool { s.carrier.mu.Lock(); defer s.carrier.mu.Unlock(); return s.carrier.asks >= 3 })
	reply, err := s.client.GetOrder(t.Context(), &ordersv1.GetOrderRequest{Id: "1"})
	if err != nil || reply.GetOrder().GetStatus() != ordersv1.Status_STATUS_PACKED {
		t.Errorf("during the strike: %v, %v", reply, err)
	}
	s.carrier.set(false)
	s.watch(t, "1", ordersv1.Status_STATUS_DELIVERED)
}

// TestUnpaid cancels what nobody paid, and gives back what was charged all the same.
func TestUnpaid(t *testing.T) {
	s := run(t, "50ms")
	payments := paymentv1.NewPaymentsClient(s.Conn("payment"))
	_, err := payments.Charge(t.Context(), &paymentv1.ChargeRequest{
		Key: "1", Amount: &moneyv1.Money{Currency: "EUR", Minor: 3070},
		Card: &paymentv1.Card{Number: "4242424242424242", ExpiryMonth: 12, ExpiryYear: 2099, Code: "123", Holder: "J. B."},
	})
	if err != nil {
		t.Fatal(err)
	}
	s.create(t, "1")
	s.watch(t, "1", ordersv1.Status_STATUS_CANCELLED)
	poll(t, func() bool {
		found, err := payments.GetPayment(t.Context(), &paymentv1.GetPaymentRequest{Key: "1"})
		return err == nil && found.GetPayment().GetState() == paymentv1.State_STATE_REFUNDED
	})
}

// TestReplicas moves an order at one replica while it is watched at another, and then with the first one gone.
func TestReplicas(t *testing.T) {
	dir := t.TempDir()
	a, b := open(t, dir), open(t, dir)
	create(t, a, "1")
	sys := hansetest.Run(t, hansetest.Fake("orders", func(r grpc.ServiceRegistrar) { ordersv1.RegisterOrdersServer(r, b) }))
	s := &system{client: ordersv1.NewOrdersClient(sys.Conn("orders"))}
	stream, err := s.client.WatchOrder(t.Context(), &ordersv1.WatchOrderRequest{Id: "1"})
	if err != nil {
		t.Fatal(err)
	}
	if reply, err := stream.Recv(); err != nil || reply.GetOrder().GetStatus() != ordersv1.Status_STATUS_RECEIVED {
		t.Fatalf("first: %v, %v", reply, err)
	}
	if _, err := confirm(a, "1"); err != nil {
		t.Fatal(err)
	}
	if reply, err := stream.Recv(); err != nil || reply.GetOrder().GetStatus() != ordersv1.Status_STATUS_PAID {
		t.Fatalf("after the other replica's change: %v, %v", reply, err)
	}
	if _, err := s.client.WatchOrder(t.Context(), &ordersv1.WatchOrderRequest{Id: "none"}); err != nil {
		t.Fatal(err)
	}
	none, err := s.client.WatchOrder(t.Context(), &ordersv1.WatchOrderRequest{Id: "none"})
	if err == nil {
		_, err = none.Recv()
	}
	if status.Code(err) != codes.NotFound {
		t.Errorf("watching what is not there: %v, want NotFound", err)
	}
}

// TestManyClerks lets three clerks of one file work: every order goes its way once.
func TestManyClerks(t *testing.T) {
	dir := t.TempDir()
	o := open(t, dir)
	for i := range 20 {
		create(t, o, fmt.Sprint(i))
		if _, err := confirm(o, fmt.Sprint(i)); err != nil {
			t.Fatal(err)
		}
	}
	ctx, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	for range 3 {
		clerk := &orders.Clerk{
			Orders: open(t, dir), Shipping: carrierClient{}, Step: 40 * time.Millisecond, Unpaid: time.Hour, Logger: slog.New(slog.DiscardHandler),
		}
		wg.Go(func() {
			if err := clerk.Run(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	for i := range 20 {
		poll(t, func() bool { return get(t, o, fmt.Sprint(i)).GetStatus() == ordersv1.Status_STATUS_DELIVERED })
		if n := len(get(t, o, fmt.Sprint(i)).GetHistory()); n != 5 {
			t.Errorf("order %d has %d states, want 5", i, n)
		}
	}
	stop()
	wg.Wait()
}

// TestRefundedOnce lets a clerk settle a cancelled order, and then work on for some rounds.
func TestRefundedOnce(t *testing.T) {
	o := open(t, t.TempDir())
	create(t, o, "cancelled")
	if _, err := cancel(o, "cancelled"); err != nil {
		t.Fatal(err)
	}
	create(t, o, "paid")
	if _, err := confirm(o, "paid"); err != nil {
		t.Fatal(err)
	}
	bank := &bank{away: 2}
	clerk := &orders.Clerk{
		Orders: o, Payments: bank, Shipping: carrierClient{}, Step: 200 * time.Millisecond, Unpaid: time.Hour, Logger: slog.New(slog.DiscardHandler),
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- clerk.Run(ctx) }()
	poll(t, func() bool { return get(t, o, "paid").GetStatus() == ordersv1.Status_STATUS_DELIVERED }) // two dozen rounds
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if bank.asked != 3 {
		t.Errorf("asked %d times for a refund, want twice in vain and once more", bank.asked)
	}
}

// bank is away for some calls.
type bank struct {
	paymentv1.PaymentsClient
	away, asked int
}

func (b *bank) Refund(_ context.Context, req *paymentv1.RefundRequest, _ ...grpc.CallOption) (*paymentv1.RefundResponse, error) {
	b.asked++
	if b.asked <= b.away || req.GetKey() != "cancelled" {
		return nil, status.Error(codes.Unavailable, "away")
	}
	return &paymentv1.RefundResponse{}, nil
}

type carrierClient struct{ shippingv1.ShippingClient }

func (carrierClient) CreateShipment(ctx context.Context, req *shippingv1.CreateShipmentRequest, _ ...grpc.CallOption) (*shippingv1.CreateShipmentResponse, error) {
	return shipping.New().CreateShipment(ctx, req)
}

func TestSettings(t *testing.T) {
	for _, s := range []orders.Settings{{Step: 0, Unpaid: time.Hour}, {Step: time.Second, Unpaid: -1}} {
		if err := s.Validate(); err == nil {
			t.Errorf("%+v is valid", s)
		}
	}
}

// poll waits for a condition.
func poll(t *testing.T, ok func() bool) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline:
			t.Fatal("it does not come to pass")
		case <-tick.C:
		}
	}
}
