//go:build unix

package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/hanse-go/hanse"
	"github.com/hanse-go/hanse/discovery/grpcresolver"
	moneyv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/money/v1"
	ordersv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/orders/v1"
	"google.golang.org/grpc"
)

// testDrain replaces a service while orders are watched: streams that are open on the old process go on, and come to their own end.
func testDrain(t *testing.T, s *system) {
	t.Setenv("HANSE_SYSTEM", "shop")
	t.Setenv("HANSE_LOG_LEVEL", "error")
	app, err := hanse.FromEnv()
	if err != nil {
		t.Fatal(err)
	}
	defer app.Close()
	stock, err := grpc.NewClient("hanse:///orders", grpc.WithResolvers(&grpcresolver.Builder{Registry: app.Registry}),
		asService(app, "orders"), grpc.WithNoProxy())
	if err != nil {
		t.Fatal(err)
	}
	defer stock.Close()

	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	conns := map[string]grpc.ClientConnInterface{"hanse": app.Conn("orders"), "grpc-go": stock}
	euros := &moneyv1.Money{Currency: "EUR", Minor: 100}
	order := &ordersv1.Order{ // nobody pays for it, so it stays as it is
		Id: fmt.Sprintf("drain-%d", time.Now().UnixNano()), Customer: "drain", Total: euros,
		Address: &ordersv1.Address{Name: "Erika Muster", Country: "DE"},
		Lines:   []*ordersv1.Line{{ProductId: "east-frisian-blend", Name: "East Frisian blend", Quantity: 1, Price: euros}},
	}
	if _, err := ordersv1.NewOrdersClient(conns["hanse"]).CreateOrder(ctx, &ordersv1.CreateOrderRequest{Order: order}); err != nil {
		t.Fatal(err)
	}

	var watches sync.WaitGroup
	for name, conn := range conns {
		for range 10 {
			stream, err := ordersv1.NewOrdersClient(conn).WatchOrder(ctx, &ordersv1.WatchOrderRequest{Id: order.Id})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := stream.Recv(); err != nil {
				t.Fatal(err)
			}
			watches.Go(func() {
				for { // what it is told, and its end: when the order is cancelled, or by itself after 15 s
					if _, err := stream.Recv(); errors.Is(err, io.EOF) {
						return
					} else if err != nil {
						t.Errorf("a watch by %s was cut off: %v", name, err)
						return
					}
				}
			})
		}
	}
	old := s.ps(t, "orders")[0].PID
	restarted := make(chan error, 1)
	go func() {
		_, err := command("restart", "orders")
		restarted <- err
	}()
	s.await(t, "another process has taken over", func() bool {
		return slices.ContainsFunc(s.ready(t, "orders"), func(i instance) bool { return i.PID != old }) &&
			!slices.ContainsFunc(s.ready(t, "orders"), func(i instance) bool { return i.PID == old })
	})
	if _, err := ordersv1.NewOrdersClient(stock).GetOrder(ctx, &ordersv1.GetOrderRequest{Id: order.Id}); err != nil {
		t.Error(err)
	}
	if _, err := ordersv1.NewOrdersClient(conns["hanse"]).CancelOrder(ctx, &ordersv1.CancelOrderRequest{Id: order.Id}); err != nil {
		t.Error(err)
	}
	watches.Wait()
	if err := <-restarted; err != nil {
		t.Error(err)
	}
	s.await(t, "the old process ends", func() bool { return !lives(old) })
	s.allReady(t)
}
