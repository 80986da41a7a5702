// Package storefront is the service that people see: the shop's pages, rendered on the server.
//
// Every page works without scripts; a few lines of JavaScript add live order status, keep the count of the cart right in all pages by a
// call of contract Visits, and spare some clicks. A page asks the other
// services in parallel. What it cannot do without fails it, with a page that says what is away; what it can do without
// (recommendations, reviews, currencies, shipping quotes, stock, points) gets half a second and is then left out, and the page says so.
package storefront

import (
	"context"
	"log/slog"
	"net/http"

	"github.com/hanse-go/hanse"
	cartv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/cart/v1"
	catalogv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/catalog/v1"
	checkoutv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/checkout/v1"
	currencyv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/currency/v1"
	emailv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/email/v1"
	loyaltyv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/loyalty/v1"
	ordersv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/orders/v1"
	recommendationv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/recommendation/v1"
	reviewsv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/reviews/v1"
	shippingv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/shipping/v1"
	stockv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/stock/v1"
	storefrontv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/storefront/v1"
	"github.com/hanse-go/hanse/examples/shop/served"
	"google.golang.org/grpc"
	"google.golang.org/grpc/connectivity"
)

// Service returns the storefront service.
func Service() *hanse.Service {
	return &hanse.Service{
		Name:                    "storefront",
		ClientUnaryInterceptors: []grpc.UnaryClientInterceptor{served.Client},
		Setup: func(_ context.Context, s *hanse.Service) error {
			reviews := s.Conn("reviews")
			shop := &Shop{
				Catalog:         catalogv1.NewCatalogClient(s.Conn("catalog")),
				Carts:           cartv1.NewCartsClient(s.Conn("cart")),
				Currencies:      currencyv1.NewCurrenciesClient(s.Conn("currency")),
				Shipping:        shippingv1.NewShippingClient(s.Conn("shipping")),
				Checkout:        checkoutv1.NewCheckoutClient(s.Conn("checkout")),
				Orders:          ordersv1.NewOrdersClient(s.Conn("orders")),
				Recommendations: recommendationv1.NewRecommendationsClient(s.Conn("recommendation")),
				Reviews:         reviewsv1.NewReviewsClient(reviews),
				Stock:           stockv1.NewStockClient(s.Conn("stock")),
				Loyalty:         loyaltyv1.NewLoyaltyClient(s.Conn("loyalty")),
				Emails:          emailv1.NewEmailsClient(s.Conn("email")),
				HasReviews:      func() bool { return reviews.GetState() == connectivity.Ready },
				Logger:          s.Logger(),
			}
			handler, err := shop.Handler()
			if err != nil {
				return err
			}
			s.Handle("/", handler)
			storefrontv1.RegisterVisitsServer(s, &visits{carts: shop.Carts})
			return nil
		},
	}
}

// Shop is what the pages need. All fields must be set.
type Shop struct {
	Catalog         catalogv1.CatalogClient
	Carts           cartv1.CartsClient
	Currencies      currencyv1.CurrenciesClient
	Shipping        shippingv1.ShippingClient
	Checkout        checkoutv1.CheckoutClient
	Orders          ordersv1.OrdersClient
	Recommendations recommendationv1.RecommendationsClient
	Reviews         reviewsv1.ReviewsClient
	Stock           stockv1.StockClient
	Loyalty         loyaltyv1.LoyaltyClient
	Emails          emailv1.EmailsClient
	HasReviews      func() bool // whether there is a service of reviews at all: a shop may run without
	Logger          *slog.Logger

	templates templates
}

// Handler returns the handler of all pages. It fails when a template does not parse.
func (s *Shop) Handler() (http.Handler, error) {
	var err error
	if s.templates, err = parseTemplates(); err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.home)
	mux.HandleFunc("GET /goods/{category}", s.category)
	mux.HandleFunc("GET /search", s.search)
	mux.HandleFunc("GET /products/{id}", s.product)
	mux.HandleFunc("GET /pictures/{version}/{file}", s.picture)
	mux.HandleFunc("GET /cart", s.cart)
	mux.HandleFunc("POST /cart/items", s.addToCart)
	mux.HandleFunc("POST /cart/lines", s.changeLine)
	mux.HandleFunc("GET /checkout", s.checkout)
	mux.HandleFunc("POST /checkout", s.placeOrder)
	mux.HandleFunc("GET /orders", s.orders)
	mux.HandleFunc("GET /orders/{id}", s.order)
	mux.HandleFunc("GET /orders/{id}/events", s.orderEvents)
	mux.HandleFunc("GET /mailbox", s.mailbox)
	mux.HandleFunc("POST /settings", s.settings)
	mux.Handle("GET /assets/{version}/{file}", assets)
	mux.HandleFunc("GET /favicon.ico", favicon)
	mux.HandleFunc("/", s.notFound)
	return secure(mux), nil
}
