//go:build unix

package e2e_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hanse-go/hanse"
	"github.com/hanse-go/hanse/discovery/grpcresolver"
	cartv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/cart/v1"
	catalogv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/catalog/v1"
	checkoutv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/checkout/v1"
	currencyv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/currency/v1"
	emailv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/email/v1"
	loyaltyv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/loyalty/v1"
	ordersv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/orders/v1"
	paymentv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/payment/v1"
	recommendationv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/recommendation/v1"
	shippingv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/shipping/v1"
	stockv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/stock/v1"
	"github.com/hanse-go/hanse/identity"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"
)

// stock is a steady stream of calls by grpc-go's own client, which knows nothing of methods that may be sent again: what it does not
// lose, no instance that left has dropped.
type stock struct {
	t      *testing.T
	stop   context.CancelFunc
	all    sync.WaitGroup
	sent   atomic.Int64
	failed output
}

// asService returns how grpc-go's own client shows a certificate of the shop's to a service, and demands that of the service.
func asService(app *hanse.App, service string) grpc.DialOption {
	return grpc.WithTransportCredentials(credentials.NewTLS(identity.ClientConfig(app.Identity, "stock", service)))
}

// callStock sends calls to every service that has a contract, until end.
func callStock(t *testing.T, perSecond int) *stock {
	t.Helper()
	t.Setenv("HANSE_SYSTEM", "shop")
	t.Setenv("HANSE_LOG_LEVEL", "error")
	app, err := hanse.FromEnv() // for the registry
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { app.Close() })
	conn := func(name string) *grpc.ClientConn {
		cc, err := grpc.NewClient("hanse:///"+name, grpc.WithResolvers(&grpcresolver.Builder{Registry: app.Registry}),
			asService(app, name), grpc.WithNoProxy(), grpc.WithDisableRetry())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { cc.Close() })
		return cc
	}
	catalog, carts, checkout := catalogv1.NewCatalogClient(conn("catalog")), cartv1.NewCartsClient(conn("cart")), checkoutv1.NewCheckoutClient(conn("checkout"))
	currencies, orders, payments := currencyv1.NewCurrenciesClient(conn("currency")), ordersv1.NewOrdersClient(conn("orders")), paymentv1.NewPaymentsClient(conn("payment"))
	recommendations, shipping := recommendationv1.NewRecommendationsClient(conn("recommendation")), shippingv1.NewShippingClient(conn("shipping"))
	emails, points, goods := emailv1.NewEmailsClient(conn("email")), loyaltyv1.NewLoyaltyClient(conn("loyalty")), stockv1.NewStockClient(conn("stock"))
	calls := []func(ctx context.Context) error{
		func(ctx context.Context) error {
			_, err := catalog.ListProducts(ctx, &catalogv1.ListProductsRequest{})
			return err
		},
		func(ctx context.Context) error {
			_, err := carts.GetCart(ctx, &cartv1.GetCartRequest{Session: "stock"})
			return err
		},
		func(ctx context.Context) error {
			_, err := checkout.Preview(ctx, &checkoutv1.PreviewRequest{Session: "stock"})
			return answered(err, codes.FailedPrecondition) // the cart is empty
		},
		func(ctx context.Context) error {
			_, err := currencies.ListCurrencies(ctx, &currencyv1.ListCurrenciesRequest{})
			return err
		},
		func(ctx context.Context) error {
			_, err := orders.ListOrders(ctx, &ordersv1.ListOrdersRequest{Customer: "stock"})
			return err
		},
		func(ctx context.Context) error {
			_, err := payments.GetPayment(ctx, &paymentv1.GetPaymentRequest{Key: "stock"})
			return answered(err, codes.NotFound)
		},
		func(ctx context.Context) error {
			_, err := recommendations.ListRecommendations(ctx, &recommendationv1.ListRecommendationsRequest{})
			return err
		},
		func(ctx context.Context) error {
			_, err := shipping.ListDestinations(ctx, &shippingv1.ListDestinationsRequest{})
			return err
		},
		func(ctx context.Context) error {
			_, err := emails.ListMails(ctx, &emailv1.ListMailsRequest{Customer: "stock"})
			return err
		},
		func(ctx context.Context) error {
			_, err := points.GetAccount(ctx, &loyaltyv1.GetAccountRequest{Customer: "stock"})
			return err
		},
		func(ctx context.Context) error {
			_, err := goods.GetStock(ctx, &stockv1.GetStockRequest{ProductIds: []string{"kontor-mug"}})
			return err
		},
	}

	ctx, stop := context.WithCancel(context.Background())
	st := &stock{t: t, stop: stop}
	st.all.Go(func() {
		every := time.NewTicker(time.Second / time.Duration(perSecond))
		defer every.Stop()
		for n := 0; ; n++ {
			select {
			case <-ctx.Done():
				return
			case <-every.C:
			}
			st.all.Go(func() {
				ctx, cancel := context.WithTimeout(context.Background(), timeout())
				defer cancel()
				st.sent.Add(1)
				if err := calls[n%len(calls)](ctx); err != nil {
					fmt.Fprintln(&st.failed, err)
				}
			})
		}
	})
	t.Cleanup(func() {
		stop()
		st.all.Wait()
	})
	return st
}

// answered takes a code for a good answer.
func answered(err error, code codes.Code) error {
	if status.Code(err) == code {
		return nil
	}
	if err == nil {
		return fmt.Errorf("no error, want %v", code)
	}
	return err
}

// end ends the calls, none of which may have failed.
func (st *stock) end() {
	st.t.Helper()
	st.stop()
	st.all.Wait()
	failed := st.failed.String()
	st.t.Logf("grpc-go's client: sent %d, failed %d", st.sent.Load(), strings.Count(failed, "\n"))
	if failed != "" {
		st.t.Errorf("calls of grpc-go's client that failed:\n%s", failed)
	}
}
