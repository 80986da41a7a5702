package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"path"
	"strings"

	"github.com/hanse-go/hanse"
	cartv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/cart/v1"
	catalogv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/catalog/v1"
	checkoutv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/checkout/v1"
	currencyv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/currency/v1"
	moneyv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/money/v1"
	ordersv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/orders/v1"
	paymentv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/payment/v1"
	recommendationv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/recommendation/v1"
	shippingv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/shipping/v1"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
)

// services are the clients of the shop's services.
type services struct {
	catalog         catalogv1.CatalogClient
	carts           cartv1.CartsClient
	checkout        checkoutv1.CheckoutClient
	currencies      currencyv1.CurrenciesClient
	orders          ordersv1.OrdersClient
	recommendations recommendationv1.RecommendationsClient
	shipping        shippingv1.ShippingClient
}

func connect(app *hanse.App) *services {
	return &services{
		catalog:         catalogv1.NewCatalogClient(app.Conn("catalog")),
		carts:           cartv1.NewCartsClient(app.Conn("cart")),
		checkout:        checkoutv1.NewCheckoutClient(app.Conn("checkout")),
		currencies:      currencyv1.NewCurrenciesClient(app.Conn("currency")),
		orders:          ordersv1.NewOrdersClient(app.Conn("orders")),
		recommendations: recommendationv1.NewRecommendationsClient(app.Conn("recommendation")),
		shipping:        shippingv1.NewShippingClient(app.Conn("shipping")),
	}
}

// caller is a customer who calls the services as the storefront would on their behalf.
type caller struct {
	*services
	choices
	session  string
	currency string
	country  string
	plan     []*step

	categories []*catalogv1.Category
	products   []*catalogv1.Product
	chosen     *catalogv1.Product
	total      *moneyv1.Money
	order      string
}

func (s *services) customer(c choices) customer {
	v := &caller{
		services: s, choices: c, session: rand.Text(),
		currency: pick(c, []string{"EUR", "EUR", "EUR", "USD", "GBP", "SEK", "JPY"}),
		country:  pick(c, []string{"DE", "DE", "DE", "NL", "DK", "SE", "GB", "US"}),
	}
	v.look()
	for range c.between(1, 3) {
		v.consider()
	}
	if c.maybe(60) {
		v.fill()
		if c.maybe(60) {
			v.buy()
		}
	}
	return v
}

func (v *caller) next() *step {
	if len(v.plan) == 0 {
		return nil
	}
	s := v.plan[0]
	v.plan = v.plan[1:]
	return s
}

// will plans a call. The request is made when its turn comes, from what was answered before.
func will[Req, Reply any](v *caller, method string, call func(context.Context, *Req, ...grpc.CallOption) (*Reply, error), request func() *Req, then func(*Reply)) {
	name, safe := describe(method)
	v.plan = append(v.plan, &step{method: name, safe: safe, do: func(ctx context.Context) (int, error) {
		var info hanse.CallInfo
		reply, err := call(ctx, request(), &info)
		if err == nil && then != nil {
			then(reply)
		}
		return info.Attempts, err
	}})
}

// look is to see what there is.
func (v *caller) look() {
	will(v, catalogv1.Catalog_ListCategories_FullMethodName, v.catalog.ListCategories,
		func() *catalogv1.ListCategoriesRequest { return &catalogv1.ListCategoriesRequest{} },
		func(r *catalogv1.ListCategoriesResponse) { v.categories = r.GetCategories() })
	will(v, recommendationv1.Recommendations_ListRecommendations_FullMethodName, v.recommendations.ListRecommendations,
		func() *recommendationv1.ListRecommendationsRequest {
			return &recommendationv1.ListRecommendationsRequest{Limit: 8}
		}, nil)
	if v.maybe(30) {
		will(v, catalogv1.Catalog_SearchProducts_FullMethodName, v.catalog.SearchProducts,
			func() *catalogv1.SearchProductsRequest {
				return &catalogv1.SearchProductsRequest{Query: pick(v.choices, []string{"tea", "amber", "lübeck", "wool gift", "ship", "nothing like this"})}
			}, nil)
	}
	will(v, catalogv1.Catalog_ListProducts_FullMethodName, v.catalog.ListProducts,
		func() *catalogv1.ListProductsRequest {
			return &catalogv1.ListProductsRequest{Category: pick(v.choices, v.categories).GetId()}
		},
		func(r *catalogv1.ListProductsResponse) { v.products = r.GetProducts() })
	v.convert()
}

// consider is to look at one product.
func (v *caller) consider() {
	will(v, catalogv1.Catalog_GetProduct_FullMethodName, v.catalog.GetProduct,
		func() *catalogv1.GetProductRequest {
			return &catalogv1.GetProductRequest{Id: pick(v.choices, v.products).GetId()}
		},
		func(r *catalogv1.GetProductResponse) { v.chosen = r.GetProduct() })
	if v.maybe(30) {
		will(v, catalogv1.Catalog_GetPicture_FullMethodName, v.catalog.GetPicture,
			func() *catalogv1.GetPictureRequest { return &catalogv1.GetPictureRequest{ProductId: v.chosen.GetId()} }, nil)
	}
	will(v, recommendationv1.Recommendations_ListRecommendations_FullMethodName, v.recommendations.ListRecommendations,
		func() *recommendationv1.ListRecommendationsRequest {
			return &recommendationv1.ListRecommendationsRequest{ProductIds: []string{v.chosen.GetId()}}
		}, nil)
	will(v, shippingv1.Shipping_Quote_FullMethodName, v.shipping.Quote,
		func() *shippingv1.QuoteRequest {
			return &shippingv1.QuoteRequest{Country: v.country, WeightGrams: v.chosen.GetWeightGrams()}
		}, nil)
	v.convert()
}

// convert is what a page with prices in another currency costs.
func (v *caller) convert() {
	if v.currency == "EUR" {
		return
	}
	will(v, currencyv1.Currencies_Convert_FullMethodName, v.currencies.Convert,
		func() *currencyv1.ConvertRequest {
			req := &currencyv1.ConvertRequest{To: v.currency}
			for _, p := range v.products {
				req.Amounts = append(req.Amounts, p.GetPrice())
			}
			return req
		}, nil)
}

// fill is to put things into the cart, and to think again of some.
func (v *caller) fill() {
	for range v.between(1, 3) {
		item := &cartv1.Item{Quantity: int32(v.between(1, 3))}
		request := rand.Text()
		will(v, cartv1.Carts_AddItem_FullMethodName, v.carts.AddItem,
			func() *cartv1.AddItemRequest {
				item.ProductId = pick(v.choices, v.products).GetId()
				return &cartv1.AddItemRequest{Session: v.session, Item: item, RequestId: request}
			}, nil)
		if v.maybe(20) {
			will(v, cartv1.Carts_SetItem_FullMethodName, v.carts.SetItem,
				func() *cartv1.SetItemRequest {
					return &cartv1.SetItemRequest{Session: v.session, Item: &cartv1.Item{ProductId: item.GetProductId(), Quantity: 1}}
				}, nil)
		}
	}
	will(v, cartv1.Carts_GetCart_FullMethodName, v.carts.GetCart,
		func() *cartv1.GetCartRequest { return &cartv1.GetCartRequest{Session: v.session} }, nil)
}

// buy is to check out and to look at the order.
func (v *caller) buy() {
	will(v, checkoutv1.Checkout_Preview_FullMethodName, v.checkout.Preview,
		func() *checkoutv1.PreviewRequest {
			return &checkoutv1.PreviewRequest{Session: v.session, Currency: v.currency, Country: v.country}
		},
		func(r *checkoutv1.PreviewResponse) { v.total = r.GetTotal() })
	key := rand.Text()
	will(v, checkoutv1.Checkout_PlaceOrder_FullMethodName, v.checkout.PlaceOrder,
		func() *checkoutv1.PlaceOrderRequest {
			return &checkoutv1.PlaceOrderRequest{
				Key: key, Session: v.session, Currency: v.currency, ExpectedTotal: v.total,
				Address: &ordersv1.Address{
					Name: "Load Generator", Email: "load@example.com", Street: "Kai 1", Postcode: "20457", City: "Hamburg", Country: v.country,
				},
				Card: &paymentv1.Card{Number: "4242424242424242", ExpiryMonth: 12, ExpiryYear: 2099, Code: "123", Holder: "Load Generator"},
			}
		},
		func(r *checkoutv1.PlaceOrderResponse) { v.order = r.GetOrder().GetId() })
	will(v, ordersv1.Orders_GetOrder_FullMethodName, v.orders.GetOrder,
		func() *ordersv1.GetOrderRequest { return &ordersv1.GetOrderRequest{Id: v.order} }, nil)
	will(v, ordersv1.Orders_ListOrders_FullMethodName, v.orders.ListOrders,
		func() *ordersv1.ListOrdersRequest { return &ordersv1.ListOrdersRequest{Customer: v.session} }, nil)
}

// describe returns a method's short name and whether its contract says that it may be sent twice.
func describe(fullMethod string) (name string, safe bool) {
	contract, method := path.Split(strings.TrimPrefix(fullMethod, "/"))
	contract = strings.TrimSuffix(contract, "/")
	d, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(contract))
	if err != nil {
		panic(fmt.Sprintf("method %s has no contract: %v", fullMethod, err)) // the stubs are part of the program
	}
	m := d.(protoreflect.ServiceDescriptor).Methods().ByName(protoreflect.Name(method))
	level := m.Options().(*descriptorpb.MethodOptions).GetIdempotencyLevel()
	return string(d.Name()) + "/" + method, level != descriptorpb.MethodOptions_IDEMPOTENCY_UNKNOWN
}
