package storefront

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/hanse-go/hanse/examples/shop/problem"
	loyaltyv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/loyalty/v1"
	ordersv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/orders/v1"
)

// maxEvents is how long the storefront stays with one visitor's live status; the browser then asks again.
const maxEvents = 5 * time.Minute

// orders shows what the visitor has ordered.
func (s *Shop) orders(w http.ResponseWriter, r *http.Request) {
	s.show(w, r, "orders", func(ctx context.Context, p *page) error {
		var list []*ordersv1.Order
		p.Title = "Orders"
		if p.session != "" {
			reply, err := s.Orders.ListOrders(ctx, &ordersv1.ListOrdersRequest{Customer: p.session, Limit: 50})
			if err != nil {
				return &away{"The order book", err}
			}
			for _, o := range reply.GetOrders() {
				if o.GetPaymentId() != "" { // the others are purchases that failed
					list = append(list, o)
				}
			}
		}
		p.Data = list
		return nil
	})
}

// order shows one order.
func (s *Shop) order(w http.ResponseWriter, r *http.Request) {
	s.show(w, r, "order", func(ctx context.Context, p *page) error {
		order, err := s.ownOrder(ctx, r)
		if err != nil {
			return err
		}
		data := &orderData{Order: order}
		p.Title, p.Data = "Order "+order.GetId(), data
		if order.GetPaymentId() != "" {
			data.Points = s.points(ctx, order)
		}
		return nil
	})
}

type orderData struct {
	Order  *ordersv1.Order
	Points *points // nil: it is not paid
}

// points is what an order brought. It follows from an event, so it may be a moment behind.
type points struct {
	Away  bool // nobody knows
	Order int64
	All   int64
}

// points asks what an order brought.
func (s *Shop) points(ctx context.Context, order *ordersv1.Order) *points {
	ctx, cancel := context.WithTimeout(ctx, softTimeout)
	defer cancel()
	reply, err := s.Loyalty.GetAccount(ctx, &loyaltyv1.GetAccountRequest{Customer: order.GetCustomer(), Limit: 100})
	if err != nil {
		return &points{Away: true}
	}
	got := &points{All: reply.GetPoints()}
	for _, e := range reply.GetEntries() {
		if e.GetOrderId() == order.GetId() {
			got.Order = e.GetPoints()
		}
	}
	return got
}

// ownOrder returns the order that a request names, if it is the visitor's. Those of others do not exist.
func (s *Shop) ownOrder(ctx context.Context, r *http.Request) (*ordersv1.Order, error) {
	id := r.PathValue("id")
	mine := session(r)
	if mine == "" {
		return nil, problem.NotFound("order", id)
	}
	reply, err := s.Orders.GetOrder(ctx, &ordersv1.GetOrderRequest{Id: id})
	if err != nil {
		return nil, &away{"The order book", err}
	}
	if reply.GetOrder().GetCustomer() != mine {
		return nil, problem.NotFound("order", id)
	}
	return reply.GetOrder(), nil
}

// orderEvents sends the status of an order as server-sent events, each the HTML of the status, until the order has arrived, and with each the
// HTML of the points, until there are some.
func (s *Shop) orderEvents(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), maxEvents)
	defer cancel()
	if _, err := s.ownOrder(ctx, r); err != nil {
		http.Error(w, "no such order", http.StatusNotFound)
		return
	}
	stream, err := s.Orders.WatchOrder(ctx, &ordersv1.WatchOrderRequest{Id: r.PathValue("id")})
	if err != nil {
		http.Error(w, "the order book does not answer", http.StatusServiceUnavailable)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // proxies are to pass events on at once
	out := http.NewResponseController(w)
	if _, err := io.WriteString(w, "retry: 1000\n\n"); err != nil {
		return
	}
	for credited := false; ; {
		reply, err := stream.Recv()
		if err != nil {
			// The stream ends also when its replica does. The browser comes back by itself and finds another one.
			if !errors.Is(err, io.EOF) && ctx.Err() == nil {
				s.Logger.Debug("live status ended", "order", r.PathValue("id"), "error", err)
			}
			return
		}
		event, order := "status", reply.GetOrder()
		if final(order) {
			event = "final" // the script stops listening
		}
		if !credited && order.GetPaymentId() != "" {
			points := s.points(ctx, order)
			credited = points.Order > 0
			if !s.sendPart(w, "points", "points", points) {
				return
			}
		}
		if !s.sendPart(w, event, "status", order) {
			return
		}
		if err := out.Flush(); err != nil {
			return
		}
		if event == "final" {
			return
		}
	}
}

// sendPart sends a part of the order's page as an event, and reports whether it could.
func (s *Shop) sendPart(w io.Writer, event, template string, data any) bool {
	var b bytes.Buffer
	if err := s.templates["order"].ExecuteTemplate(&b, template, data); err != nil {
		s.Logger.Error("template failed", "template", template, "error", err)
		return false
	}
	_, err := fmt.Fprintf(w, "event: %s\ndata: %s\n\n", event, strings.ReplaceAll(strings.TrimSpace(b.String()), "\n", "\ndata: "))
	return err == nil
}

func final(o *ordersv1.Order) bool {
	return o.GetStatus() == ordersv1.Status_STATUS_DELIVERED || o.GetStatus() == ordersv1.Status_STATUS_CANCELLED
}

// step is one state on an order's way, for the page.
type step struct {
	Name string
	Text string
	Time time.Time // zero: not there yet
	Now  bool
}

// steps returns the way of an order.
func steps(o *ordersv1.Order) []step {
	at := make(map[ordersv1.Status]time.Time)
	for _, e := range o.GetHistory() {
		at[e.GetStatus()] = e.GetTime().AsTime()
	}
	way := []struct {
		status     ordersv1.Status
		name, text string
	}{
		{ordersv1.Status_STATUS_RECEIVED, "Received", "Written into the book"},
		{ordersv1.Status_STATUS_PAID, "Paid", o.GetPaidWith()},
		{ordersv1.Status_STATUS_PACKED, "Packed", "In a crate with straw"},
		{ordersv1.Status_STATUS_SHIPPED, "Shipped", o.GetTrackingId()},
		{ordersv1.Status_STATUS_DELIVERED, "Delivered", "At your door"},
	}
	if o.GetStatus() == ordersv1.Status_STATUS_CANCELLED {
		way = append(way[:1:1], struct {
			status     ordersv1.Status
			name, text string
		}{ordersv1.Status_STATUS_CANCELLED, "Cancelled", "Nothing was charged"})
	}
	var all []step
	for _, w := range way {
		all = append(all, step{Name: w.name, Text: w.text, Time: at[w.status], Now: w.status == o.GetStatus()})
	}
	return all
}
