package checkout

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/hanse-go/hanse/examples/shop/money"
	"github.com/hanse-go/hanse/examples/shop/problem"
	cartv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/cart/v1"
	catalogv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/catalog/v1"
	checkoutv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/checkout/v1"
	currencyv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/currency/v1"
	moneyv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/money/v1"
	ordersv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/orders/v1"
	shippingv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/shipping/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const (
	// home is the currency of the catalog's prices and of the carrier's.
	home = "EUR"

	// flatRate is what shipping costs, in cents, when the service does not answer: a purchase does not fail for that.
	flatRate        = 990
	shippingTimeout = time.Second
)

// bill works out what the session's cart costs, in a currency, sent to a country.
func (c *Checkout) bill(ctx context.Context, session, currency, country string, s shippingv1.Speed) (*checkoutv1.PreviewResponse, error) {
	if currency == "" {
		currency = home
	}
	cart, err := c.Carts.GetCart(ctx, &cartv1.GetCartRequest{Session: session})
	if err != nil {
		return nil, err
	}
	items := cart.GetCart().GetItems()
	if len(items) == 0 {
		return nil, problem.Precondition("CART_EMPTY", "the cart is empty")
	}
	ids := make([]string, len(items))
	for i, item := range items {
		ids[i] = item.GetProductId()
	}
	products, err := c.Catalog.BatchGetProducts(ctx, &catalogv1.BatchGetProductsRequest{Ids: ids})
	if err != nil {
		return nil, err
	}
	if missing := products.GetMissing(); len(missing) > 0 {
		return nil, problem.Precondition("NOT_SOLD", fmt.Sprintf("no longer sold: %s; please remove it from the cart", strings.Join(missing, ", ")))
	}

	reply := &checkoutv1.PreviewResponse{}
	prices := make([]*moneyv1.Money, len(items))
	for i, p := range products.GetProducts() {
		prices[i] = p.GetPrice()
		reply.WeightGrams += p.GetWeightGrams() * items[i].GetQuantity()
		reply.Lines = append(reply.Lines, &ordersv1.Line{ProductId: p.GetId(), Name: p.GetName(), Quantity: items[i].GetQuantity()})
	}
	offers, err := c.quote(ctx, country, reply.GetWeightGrams())
	if err != nil {
		return nil, err
	}
	if offers == nil {
		reply.FlatRate = true
		prices = append(prices, &moneyv1.Money{Currency: home, Minor: flatRate})
	}
	for _, o := range offers {
		prices = append(prices, o.GetPrice())
	}
	if prices, err = c.convert(ctx, prices, currency); err != nil {
		return nil, err
	}
	for i, line := range reply.GetLines() {
		line.Price = prices[i]
	}
	shipping := prices[len(items):]
	reply.Shipping = shipping[0]
	for i, o := range offers {
		o.Price = shipping[i]
		if o.GetSpeed() == speed(s) {
			reply.Shipping = o.GetPrice()
		}
	}
	reply.Offers = offers
	return reply, total(reply)
}

// total adds up the lines and shipping. Each line's price was rounded for one piece, so the sum is what a customer gets by adding up.
func total(bill *checkoutv1.PreviewResponse) error {
	var goods money.Amount
	for _, line := range bill.GetLines() {
		sum, err := money.Of(line.GetPrice()).Times(int64(line.GetQuantity()))
		if err == nil {
			goods, err = goods.Add(sum)
		}
		if err != nil {
			return status.Errorf(codes.OutOfRange, "the total: %v", err)
		}
	}
	all, err := goods.Add(money.Of(bill.GetShipping()))
	if err != nil {
		return status.Errorf(codes.OutOfRange, "the total: %v", err)
	}
	bill.Goods, bill.Total = goods.Proto(), all.Proto()
	return nil
}

// quote asks for the carrier's offers. It returns none when shipping does not answer in time.
func (c *Checkout) quote(ctx context.Context, country string, grams int32) ([]*shippingv1.Offer, error) {
	call, cancel := context.WithTimeout(ctx, shippingTimeout)
	defer cancel()
	reply, err := c.Shipping.Quote(call, &shippingv1.QuoteRequest{Country: country, WeightGrams: grams})
	switch {
	case err == nil:
		return reply.GetOffers(), nil
	case ctx.Err() != nil || !problem.Uncertain(err):
		return nil, err
	}
	c.Logger.Warn("shipping does not answer; the flat rate stands in", "error", err)
	return nil, nil
}

func (c *Checkout) convert(ctx context.Context, amounts []*moneyv1.Money, currency string) ([]*moneyv1.Money, error) {
	if currency == home {
		return amounts, nil
	}
	reply, err := c.Currencies.Convert(ctx, &currencyv1.ConvertRequest{Amounts: amounts, To: currency})
	if err != nil {
		return nil, err
	}
	if len(reply.GetAmounts()) != len(amounts) {
		return nil, status.Errorf(codes.Internal, "currency converted %d of %d amounts", len(reply.GetAmounts()), len(amounts))
	}
	return reply.GetAmounts(), nil
}

func speed(s shippingv1.Speed) shippingv1.Speed {
	if s == shippingv1.Speed_SPEED_UNSPECIFIED {
		return shippingv1.Speed_SPEED_STANDARD
	}
	return s
}
