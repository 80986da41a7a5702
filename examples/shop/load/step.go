package load

import (
	"errors"
	"fmt"
	"io"
	"time"

	cartv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/cart/v1"
	catalogv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/catalog/v1"
	checkoutv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/checkout/v1"
	currencyv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/currency/v1"
	moneyv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/money/v1"
	ordersv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/orders/v1"
	paymentv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/payment/v1"
	recommendationv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/recommendation/v1"
	shippingv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/shipping/v1"
)

// step is one request of a visit. An answer that cannot be right is an error, too.
type step struct {
	method string // as generated code names it: /shop.catalog.v1.Catalog/ListProducts
	stream bool
	do     func(*call, *visitor) error
}

var (
	listCategories = step{method: catalogv1.Catalog_ListCategories_FullMethodName, do: func(c *call, v *visitor) error {
		reply, err := v.shop.catalog.ListCategories(c.ctx, &catalogv1.ListCategoriesRequest{}, &c.info)
		return expect(err, len(reply.GetCategories()) > 0, "no categories")
	}}
	listProducts = step{method: catalogv1.Catalog_ListProducts_FullMethodName, do: func(c *call, v *visitor) error {
		category := pick(v.random, v.shop.categories).GetId()
		reply, err := v.shop.catalog.ListProducts(c.ctx, &catalogv1.ListProductsRequest{Category: category}, &c.info)
		return expect(err, len(reply.GetProducts()) > 0, "no products of category "+category)
	}}
	searchProducts = step{method: catalogv1.Catalog_SearchProducts_FullMethodName, do: func(c *call, v *visitor) error {
		_, err := v.shop.catalog.SearchProducts(c.ctx, &catalogv1.SearchProductsRequest{Query: v.word()}, &c.info)
		return err
	}}
	getProduct = step{method: catalogv1.Catalog_GetProduct_FullMethodName, do: func(c *call, v *visitor) error {
		v.product = v.some()
		reply, err := v.shop.catalog.GetProduct(c.ctx, &catalogv1.GetProductRequest{Id: v.product.GetId()}, &c.info)
		return expect(err, reply.GetProduct().GetId() == v.product.GetId(), "another product than "+v.product.GetId())
	}}
	getPicture = step{method: catalogv1.Catalog_GetPicture_FullMethodName, do: func(c *call, v *visitor) error {
		reply, err := v.shop.catalog.GetPicture(c.ctx, &catalogv1.GetPictureRequest{ProductId: v.product.GetId()}, &c.info)
		return expect(err, len(reply.GetSvg()) > 0, "an empty picture")
	}}
	batchGetProducts = step{method: catalogv1.Catalog_BatchGetProducts_FullMethodName, do: func(c *call, v *visitor) error {
		req := &catalogv1.BatchGetProductsRequest{}
		for _, p := range v.chosen {
			req.Ids = append(req.Ids, p.GetId())
		}
		reply, err := v.shop.catalog.BatchGetProducts(c.ctx, req, &c.info)
		return expect(err, len(reply.GetProducts()) == len(req.GetIds()), "products are missing")
	}}
	listRecommendations = step{method: recommendationv1.Recommendations_ListRecommendations_FullMethodName, do: func(c *call, v *visitor) error {
		req := &recommendationv1.ListRecommendationsRequest{}
		if v.product != nil {
			req.ProductIds = []string{v.product.GetId()}
		}
		reply, err := v.shop.recommendations.ListRecommendations(c.ctx, req, &c.info)
		return expect(err, len(reply.GetProducts()) > 0, "nothing is recommended")
	}}
	listCurrencies = step{method: currencyv1.Currencies_ListCurrencies_FullMethodName, do: func(c *call, v *visitor) error {
		reply, err := v.shop.currencies.ListCurrencies(c.ctx, &currencyv1.ListCurrenciesRequest{}, &c.info)
		return expect(err, len(reply.GetCurrencies()) > 0, "no currencies")
	}}
	convert = step{method: currencyv1.Currencies_Convert_FullMethodName, do: func(c *call, v *visitor) error {
		req := &currencyv1.ConvertRequest{To: v.currency}
		for _, p := range v.chosen {
			req.Amounts = append(req.Amounts, p.GetPrice())
		}
		reply, err := v.shop.currencies.Convert(c.ctx, req, &c.info)
		return expect(err, len(reply.GetAmounts()) == len(req.GetAmounts()), "amounts are missing")
	}}
	addItem = step{method: cartv1.Carts_AddItem_FullMethodName, do: func(c *call, v *visitor) error {
		v.choose()
		_, err := v.shop.carts.AddItem(c.ctx, &cartv1.AddItemRequest{
			Session: v.session, RequestId: fmt.Sprint(len(v.plan)), Item: &cartv1.Item{ProductId: v.product.GetId(), Quantity: 1},
		}, &c.info)
		return err
	}}
	setItem = step{method: cartv1.Carts_SetItem_FullMethodName, do: func(c *call, v *visitor) error {
		_, err := v.shop.carts.SetItem(c.ctx, &cartv1.SetItemRequest{
			Session: v.session, Item: &cartv1.Item{ProductId: v.product.GetId(), Quantity: 2},
		}, &c.info)
		return err
	}}
	getCart = step{method: cartv1.Carts_GetCart_FullMethodName, do: func(c *call, v *visitor) error {
		reply, err := v.shop.carts.GetCart(c.ctx, &cartv1.GetCartRequest{Session: v.session}, &c.info)
		got := len(reply.GetCart().GetItems())
		return expect(err, got == len(v.chosen), fmt.Sprintf("%d products in the cart, not %d", got, len(v.chosen)))
	}}
	listDestinations = step{method: shippingv1.Shipping_ListDestinations_FullMethodName, do: func(c *call, v *visitor) error {
		reply, err := v.shop.shipping.ListDestinations(c.ctx, &shippingv1.ListDestinationsRequest{}, &c.info)
		return expect(err, len(reply.GetDestinations()) > 0, "no destinations")
	}}
	quote = step{method: shippingv1.Shipping_Quote_FullMethodName, do: func(c *call, v *visitor) error {
		req := &shippingv1.QuoteRequest{Country: v.country}
		for _, p := range v.chosen {
			req.WeightGrams += p.GetWeightGrams()
		}
		reply, err := v.shop.shipping.Quote(c.ctx, req, &c.info)
		return expect(err, len(reply.GetOffers()) > 0, "no offers")
	}}
	preview = step{method: checkoutv1.Checkout_Preview_FullMethodName, do: func(c *call, v *visitor) error {
		reply, err := v.shop.checkout.Preview(c.ctx, &checkoutv1.PreviewRequest{Session: v.session, Currency: v.currency, Country: v.country}, &c.info)
		v.total = reply.GetTotal()
		return expect(err, len(reply.GetLines()) == len(v.chosen) && v.total.GetMinor() > 0, "a bill of something else")
	}}
	placeOrder = step{method: checkoutv1.Checkout_PlaceOrder_FullMethodName, do: func(c *call, v *visitor) error {
		reply, err := v.shop.checkout.PlaceOrder(c.ctx, &checkoutv1.PlaceOrderRequest{
			Key: v.session, Session: v.session, Currency: v.currency, Card: testCard(),
			Address: &ordersv1.Address{
				Name: "Erika Muster", Email: "erika@example.com", Street: "Mengstraße 4", Postcode: "23552", City: "Lübeck", Country: v.country,
			},
		}, &c.info)
		v.order = reply.GetOrder().GetId()
		return expect(err, v.order != "" && reply.GetOrder().GetPaidWith() != "", "an order that is not paid")
	}}
	watchOrder = step{method: ordersv1.Orders_WatchOrder_FullMethodName, stream: true, do: func(c *call, v *visitor) error {
		stream, err := v.shop.orders.WatchOrder(c.ctx, &ordersv1.WatchOrderRequest{Id: v.order}, &c.info)
		if err != nil {
			return err
		}
		for seen := false; ; seen = true {
			switch _, err := stream.Recv(); {
			case errors.Is(err, io.EOF):
				return expect(nil, seen, "no order")
			case err != nil:
				return err
			}
			c.answered()
		}
	}}
	getOrder = step{method: ordersv1.Orders_GetOrder_FullMethodName, do: func(c *call, v *visitor) error {
		reply, err := v.shop.orders.GetOrder(c.ctx, &ordersv1.GetOrderRequest{Id: v.order}, &c.info)
		return expect(err, sameMoney(v, reply.GetOrder()), "an order of something else")
	}}
	listOrders = step{method: ordersv1.Orders_ListOrders_FullMethodName, do: func(c *call, v *visitor) error {
		reply, err := v.shop.orders.ListOrders(c.ctx, &ordersv1.ListOrdersRequest{Customer: v.session}, &c.info)
		return expect(err, len(reply.GetOrders()) == 1, fmt.Sprintf("%d orders, not 1", len(reply.GetOrders())))
	}}
)

// expect returns err, or what is wrong with an answer.
func expect(err error, right bool, wrong string) error {
	if err == nil && !right {
		return fmt.Errorf("wrong answer: %s", wrong)
	}
	return err
}

// choose puts the product that was looked at among the chosen ones.
func (v *visitor) choose() {
	for _, p := range v.chosen {
		if p.GetId() == v.product.GetId() {
			return
		}
	}
	v.chosen = append(v.chosen, v.product)
}

// testCard is a number that processors give out for tests.
func testCard() *paymentv1.Card {
	return &paymentv1.Card{Number: "4242 4242 4242 4242", ExpiryMonth: 12, ExpiryYear: int32(time.Now().Year() + 3), Code: "123", Holder: "Erika Muster"}
}

// sameMoney reports whether an order costs what was shown, or what shipping's flat rate makes of it when shipping was away: the shop may
// not charge another currency.
func sameMoney(v *visitor, order *ordersv1.Order) bool {
	var want, got *moneyv1.Money = v.total, order.GetTotal()
	return order.GetId() == v.order && got.GetCurrency() == want.GetCurrency() && got.GetMinor() > 0
}
