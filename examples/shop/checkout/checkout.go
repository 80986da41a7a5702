// Package checkout is the service that turns a cart into a paid order.
//
// A purchase has a key. The order's ID and the payment's key follow from it, and every step can be repeated, so a purchase that was cut
// off at any point is completed by sending it again, and is never charged twice. What cannot be completed is undone: the order is
// cancelled and the payment refunded, by checkout at once or, when checkout dies, by the clerk of orders.
package checkout

import (
	"context"
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"log/slog"
	"net/mail"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/hanse-go/hanse"
	"github.com/hanse-go/hanse/examples/shop/money"
	"github.com/hanse-go/hanse/examples/shop/problem"
	cartv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/cart/v1"
	catalogv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/catalog/v1"
	checkoutv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/checkout/v1"
	currencyv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/currency/v1"
	ordersv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/orders/v1"
	paymentv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/payment/v1"
	shippingv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/shipping/v1"
	"github.com/hanse-go/hanse/examples/shop/served"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// undoTimeout is how long a purchase that failed may take to be undone, whether or not the caller still waits.
const undoTimeout = 5 * time.Second

// Service returns the checkout service.
func Service() *hanse.Service {
	return &hanse.Service{
		Name:                    "checkout",
		UnaryInterceptors:       []grpc.UnaryServerInterceptor{served.Server},
		ClientUnaryInterceptors: []grpc.UnaryClientInterceptor{served.Client},
		Setup: func(_ context.Context, s *hanse.Service) error {
			checkoutv1.RegisterCheckoutServer(s, &Checkout{
				Carts:      cartv1.NewCartsClient(s.Conn("cart")),
				Catalog:    catalogv1.NewCatalogClient(s.Conn("catalog")),
				Currencies: currencyv1.NewCurrenciesClient(s.Conn("currency")),
				Shipping:   shippingv1.NewShippingClient(s.Conn("shipping")),
				Payments:   paymentv1.NewPaymentsClient(s.Conn("payment")),
				Orders:     ordersv1.NewOrdersClient(s.Conn("orders")),
				Logger:     s.Logger(),
			})
			return nil
		},
	}
}

// Checkout is the implementation. All fields must be set.
type Checkout struct {
	checkoutv1.UnimplementedCheckoutServer

	Carts      cartv1.CartsClient
	Catalog    catalogv1.CatalogClient
	Currencies currencyv1.CurrenciesClient
	Shipping   shippingv1.ShippingClient
	Payments   paymentv1.PaymentsClient
	Orders     ordersv1.OrdersClient
	Logger     *slog.Logger
}

// Preview works out what an order of the session's cart would cost.
func (c *Checkout) Preview(ctx context.Context, req *checkoutv1.PreviewRequest) (*checkoutv1.PreviewResponse, error) {
	if req.GetSession() == "" {
		return nil, problem.Invalid(problem.Field{Name: "session", Problem: "is missing"})
	}
	bill, err := c.bill(ctx, req.GetSession(), req.GetCurrency(), req.GetCountry(), req.GetSpeed())
	if err != nil {
		return nil, err
	}
	return bill, nil
}

// PlaceOrder buys the session's cart, once for each key.
func (c *Checkout) PlaceOrder(ctx context.Context, req *checkoutv1.PlaceOrderRequest) (*checkoutv1.PlaceOrderResponse, error) {
	if err := checkRequest(req); err != nil {
		return nil, err
	}
	id := orderID(req.GetSession(), req.GetKey())
	order, err := c.order(ctx, id, req)
	if err != nil {
		return nil, err
	}
	switch order.GetStatus() {
	case ordersv1.Status_STATUS_RECEIVED:
		if order, err = c.pay(ctx, order, req.GetCard()); err != nil {
			return nil, err
		}
	case ordersv1.Status_STATUS_CANCELLED:
		return nil, problem.Precondition("CANCELLED", "this order was cancelled; please check out again")
	}
	c.empty(ctx, req.GetSession(), order)
	return &checkoutv1.PlaceOrderResponse{Order: order}, nil
}

// order returns the stored order of a purchase, which it makes from the cart the first time.
func (c *Checkout) order(ctx context.Context, id string, req *checkoutv1.PlaceOrderRequest) (*ordersv1.Order, error) {
	found, err := c.Orders.GetOrder(ctx, &ordersv1.GetOrderRequest{Id: id})
	if err == nil {
		return found.GetOrder(), nil
	}
	if status.Code(err) != codes.NotFound {
		return nil, err
	}
	bill, err := c.bill(ctx, req.GetSession(), req.GetCurrency(), req.GetAddress().GetCountry(), req.GetSpeed())
	if err != nil {
		return nil, err
	}
	if want, total := money.Of(req.GetExpectedTotal()), money.Of(bill.GetTotal()); want != (money.Amount{}) && want != total {
		return nil, problem.Precondition("TOTAL_CHANGED", fmt.Sprintf("the total is %s now, not %s", total, want))
	}
	stored, err := c.Orders.CreateOrder(ctx, &ordersv1.CreateOrderRequest{Order: &ordersv1.Order{
		Id: id, Customer: req.GetSession(), Address: req.GetAddress(),
		Lines: bill.GetLines(), Shipping: bill.GetShipping(), Speed: speed(req.GetSpeed()), Total: bill.GetTotal(),
	}})
	if err != nil {
		return nil, err // nothing is charged
	}
	return stored.GetOrder(), nil
}

// pay charges a received order and confirms it. When that fails it makes sure that nothing stays charged.
func (c *Checkout) pay(ctx context.Context, order *ordersv1.Order, card *paymentv1.Card) (*ordersv1.Order, error) {
	charged, err := c.Payments.Charge(ctx, &paymentv1.ChargeRequest{Key: order.GetId(), Amount: order.GetTotal(), Card: card})
	if err != nil {
		return c.undo(ctx, order, err)
	}
	payment := charged.GetPayment()
	confirmed, err := c.Orders.ConfirmPayment(ctx, &ordersv1.ConfirmPaymentRequest{
		Id: order.GetId(), PaymentId: payment.GetId(), PaidWith: payment.GetNetwork() + " ending in " + payment.GetLastFour(),
	})
	if err != nil {
		return c.undo(ctx, order, err)
	}
	return confirmed.GetOrder(), nil
}

// undo cancels an order that failed to be paid and gives back what may have been charged. The answer to the step that failed may only
// have been lost: an order that turns out to be paid is no failure.
func (c *Checkout) undo(ctx context.Context, order *ordersv1.Order, cause error) (*ordersv1.Order, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTimeout)
	defer cancel()
	log := c.Logger.With("order", order.GetId(), "cause", cause)

	_, err := c.Orders.CancelOrder(ctx, &ordersv1.CancelOrderRequest{Id: order.GetId()})
	switch {
	case problem.Reason(err) == "PAID":
		found, err := c.Orders.GetOrder(ctx, &ordersv1.GetOrderRequest{Id: order.GetId()})
		return found.GetOrder(), err
	case err != nil:
		// The order is received or paid, and nobody knows which. Sending the purchase again goes on from there; if nobody does, the clerk
		// of orders cancels and refunds what is not paid.
		log.ErrorContext(ctx, "failed purchase could not be cancelled", "error", err)
		return nil, status.Errorf(codes.Unavailable, "the order could not be completed at the moment; trying again does not charge twice (%v)", status.Convert(cause).Message())
	}
	// The clerk refunds cancelled orders, too; this is only sooner.
	if _, err := c.Payments.Refund(ctx, &paymentv1.RefundRequest{Key: order.GetId(), Reason: "the order was not completed"}); err != nil {
		log.WarnContext(ctx, "refund is left to the clerk", "error", err)
	}
	if problem.Uncertain(cause) {
		return nil, problem.Precondition("CANCELLED", "the order could not be completed and was cancelled; nothing was charged")
	}
	return nil, cause
}

// empty empties the cart after a purchase, if it still holds what was bought: on a repeated request it may hold the next purchase.
func (c *Checkout) empty(ctx context.Context, session string, order *ordersv1.Order) {
	got, err := c.Carts.GetCart(ctx, &cartv1.GetCartRequest{Session: session})
	if err == nil && holds(got.GetCart(), order) {
		_, err = c.Carts.ClearCart(ctx, &cartv1.ClearCartRequest{Session: session})
	}
	if err != nil {
		c.Logger.Warn("cart keeps what was bought", "order", order.GetId(), "error", err)
	}
}

func holds(cart *cartv1.Cart, order *ordersv1.Order) bool {
	if len(cart.GetItems()) != len(order.GetLines()) {
		return false
	}
	for i, item := range cart.GetItems() {
		if line := order.GetLines()[i]; item.GetProductId() != line.GetProductId() || item.GetQuantity() != line.GetQuantity() {
			return false
		}
	}
	return true
}

// orderID returns the ID that a purchase always gets: twelve letters and digits that read well on the telephone.
func orderID(session, key string) string {
	sum := sha256.Sum256([]byte(session + "\x00" + key))
	id := readable.EncodeToString(sum[:])[:12]
	return id[:4] + "-" + id[4:8] + "-" + id[8:]
}

// readable has no 0 and no I, L and O.
var readable = base32.NewEncoding("123456789ABCDEFGHJKMNPQRSTUVWXYZ").WithPadding(base32.NoPadding)

func checkRequest(req *checkoutv1.PlaceOrderRequest) error {
	var wrong []problem.Field
	need := func(name, value string, most int) {
		switch value = strings.TrimSpace(value); {
		case value == "":
			wrong = append(wrong, problem.Field{Name: name, Problem: "is missing"})
		case utf8.RuneCountInString(value) > most:
			wrong = append(wrong, problem.Field{Name: name, Problem: fmt.Sprintf("is longer than %d letters", most)})
		}
	}
	need("key", req.GetKey(), 128)
	need("session", req.GetSession(), 128)
	a := req.GetAddress()
	need("address.name", a.GetName(), 100)
	need("address.street", a.GetStreet(), 200)
	need("address.postcode", a.GetPostcode(), 20)
	need("address.city", a.GetCity(), 100)
	need("address.country", a.GetCountry(), 2)
	if _, err := mail.ParseAddress(a.GetEmail()); err != nil || len(a.GetEmail()) > 254 {
		wrong = append(wrong, problem.Field{Name: "address.email", Problem: "is not an e-mail address"})
	}
	if len(wrong) > 0 {
		return problem.Invalid(wrong...)
	}
	return nil
}
