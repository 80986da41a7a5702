package orders_test

import (
	"context"
	"database/sql"
	"log/slog"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hanse-go/hanse"
	"github.com/hanse-go/hanse/events"
	"github.com/hanse-go/hanse/events/outbox/inbox"
	"github.com/hanse-go/hanse/examples/shop/database"
	"github.com/hanse-go/hanse/examples/shop/orders"
	ordersv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/orders/v1"
	"github.com/hanse-go/hanse/telemetry"
	"github.com/hanse-go/hanse/telemetry/collector"
	"google.golang.org/grpc/metadata"
)

// The trace that an order is paid in, and the span of who asks for that.
const (
	paying    = "0af7651916cd43dd8448eb211c80319c"
	payingFor = "b7ad6b7169203331"
)

// paid is that trace: what is done in the transaction, what was left in the outbox by it, and what became of that when nobody waited any more.
const paid = `
caller client shop.orders.v1.Orders/ConfirmPayment
	orders server shop.orders.v1.Orders/ConfirmPayment
		orders client BEGIN
		orders client COMMIT
		orders client INSERT hanse_outbox
		orders client SELECT orders
		orders client UPDATE orders SELECT orders
		orders producer create orders.placed
			book consumer process orders.placed (linked to: create orders.placed)
				book client BEGIN
				book client COMMIT
				book client INSERT hanse_inbox
				book client INSERT sales
				book client shop.orders.v1.Orders/GetOrder
					orders server shop.orders.v1.Orders/GetOrder
						orders client SELECT orders
			orders client send orders.placed (linked to: create orders.placed)
`

// TestTraceThroughOutbox holds that one trace goes from a call through its transaction, the outbox, the relay and the broker to a handler with an inbox, and on to what that
// calls.
func TestTraceThroughOutbox(t *testing.T) {
	kept, to := collect(t)
	s := runAs(t, "1h", func(a *hanse.App) {
		a.Telemetry = telemetry.Config{Traces: to, Sampler: telemetry.ParentBasedOff, NoKeep: true, Batch: telemetry.Batch{Delay: time.Millisecond}}
	})
	s.Start(&hanse.Service{Name: "book", Setup: func(ctx context.Context, svc *hanse.Service) error {
		db, err := database.Open(ctx, t.TempDir(), "book", `CREATE TABLE IF NOT EXISTS sales (order_id TEXT PRIMARY KEY, status TEXT)`, svc.Telemetry())
		if err != nil {
			return err
		}
		svc.OnStop(func(context.Context) error { return db.Close() })
		if err := inbox.Migrate(ctx, db); err != nil {
			return err
		}
		client := ordersv1.NewOrdersClient(svc.Conn("orders"))
		orders.Placed.Subscribe(svc, "book", inbox.Handler(db, func(ctx context.Context, tx *sql.Tx, e *events.Event[*ordersv1.Placed]) error {
			reply, err := client.GetOrder(ctx, &ordersv1.GetOrderRequest{Id: e.Data.GetOrder().GetId()})
			if err != nil {
				return err
			}
			_, err = tx.ExecContext(ctx, `INSERT INTO sales VALUES (?, ?)`, reply.GetOrder().GetId(), reply.GetOrder().GetStatus().String())
			return err
		}), events.Start{All: true})
		return nil
	}})
	s.create(t, "1") // in a trace of which nothing is kept
	ctx := metadata.AppendToOutgoingContext(t.Context(), "traceparent", "00-"+paying+"-"+payingFor+"-01")
	if _, err := s.client.ConfirmPayment(ctx, &ordersv1.ConfirmPaymentRequest{Id: "1", PaymentId: "pay_1"}); err != nil {
		t.Fatal(err)
	}
	var got string
	for end := time.Now().Add(20 * time.Second); got != paid; time.Sleep(5 * time.Millisecond) {
		trace, err := kept.Trace(t.Context(), paying)
		if err == nil {
			got = waterfall(trace.Spans)
		}
		if time.Now().After(end) {
			t.Fatalf("the trace is%s\nand not%s\n%v", got, paid, err)
		}
	}
}

// collect runs a collector until the test ends, and returns it and where to send spans.
func collect(t *testing.T) (*collector.Collector, telemetry.Export) {
	t.Helper()
	c := &collector.Collector{Dir: t.TempDir(), Logger: slog.New(slog.DiscardHandler)}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	if err := c.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	in := httptest.NewServer(c.Handler())
	t.Cleanup(in.Close)
	return c, telemetry.Export{URL: in.URL + "/v1/traces"}
}

// waterfall is the spans below each other, those of the same parent by name.
func waterfall(spans []collector.Span) string {
	var below func(parent, indent string) []string
	below = func(parent, indent string) (trees []string) {
		for _, s := range spans {
			if s.ParentID != parent || s.Gap {
				continue
			}
			who := s.Service
			if s.Instance == "" {
				who = "caller"
			}
			text := indent + who + " " + s.Kind + " " + s.Name
			for _, l := range s.Links {
				if i := slices.IndexFunc(spans, func(s collector.Span) bool { return s.SpanID == l.SpanID }); i >= 0 && l.TraceID == paying {
					text += " (linked to: " + spans[i].Name + ")"
				} else {
					text += " (linked to another trace)"
				}
			}
			trees = append(trees, text+"\n"+strings.Join(below(s.SpanID, indent+"\t"), ""))
		}
		slices.Sort(trees)
		return trees
	}
	return "\n" + strings.Join(below(payingFor, ""), "")
}
