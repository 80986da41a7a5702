package load

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/hanse-go/hanse"
	cartv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/cart/v1"
	catalogv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/catalog/v1"
	checkoutv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/checkout/v1"
	currencyv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/currency/v1"
	ordersv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/orders/v1"
	recommendationv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/recommendation/v1"
	shippingv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/shipping/v1"
	"google.golang.org/grpc"
)

// opening is how long the catalog may take to answer at the start.
const opening = 10 * time.Second

// shop is the connections of one run, and what there is to buy.
type shop struct {
	catalog         catalogv1.CatalogClient
	carts           cartv1.CartsClient
	currencies      currencyv1.CurrenciesClient
	shipping        shippingv1.ShippingClient
	checkout        checkoutv1.CheckoutClient
	orders          ordersv1.OrdersClient
	recommendations recommendationv1.RecommendationsClient

	retried func() uint64 // attempts beyond the first, of all connections
	close   func()

	products   []*catalogv1.Product
	categories []*catalogv1.Category
}

func open(app *hanse.App) *shop {
	var retried []func() uint64
	var closers []func() error
	conn := func(name string) grpc.ClientConnInterface {
		c := app.Conn(name)
		retried = append(retried, func() uint64 { return c.Stats().Retried })
		closers = append(closers, c.Close)
		return c
	}
	s := &shop{
		catalog:         catalogv1.NewCatalogClient(conn("catalog")),
		carts:           cartv1.NewCartsClient(conn("cart")),
		currencies:      currencyv1.NewCurrenciesClient(conn("currency")),
		shipping:        shippingv1.NewShippingClient(conn("shipping")),
		checkout:        checkoutv1.NewCheckoutClient(conn("checkout")),
		orders:          ordersv1.NewOrdersClient(conn("orders")),
		recommendations: recommendationv1.NewRecommendationsClient(conn("recommendation")),
	}
	s.retried = func() (n uint64) {
		for _, f := range retried {
			n += f()
		}
		return n
	}
	s.close = sync.OnceFunc(func() {
		for _, f := range closers {
			_ = f() // never fails
		}
	})
	return s
}

// look learns what there is to buy. It waits for the catalog to be there.
func (s *shop) look(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, opening)
	defer cancel()
	categories, err := s.catalog.ListCategories(ctx, &catalogv1.ListCategoriesRequest{})
	if err != nil {
		return fmt.Errorf("the shop is not open: %w", err)
	}
	s.categories = categories.GetCategories()
	for req := (&catalogv1.ListProductsRequest{PageSize: 100}); ; {
		reply, err := s.catalog.ListProducts(ctx, req)
		if err != nil {
			return fmt.Errorf("the shop is not open: %w", err)
		}
		s.products = append(s.products, reply.GetProducts()...)
		if req.PageToken = reply.GetNextPageToken(); req.PageToken == "" {
			break
		}
	}
	if len(s.categories) == 0 || len(s.products) == 0 {
		return fmt.Errorf("the shop sells nothing: %d products in %d categories", len(s.products), len(s.categories))
	}
	return nil
}
