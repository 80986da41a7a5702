// Package shipping is the service that knows where parcels can go and what that costs.
package shipping

import (
	"context"
	"fmt"

	"github.com/hanse-go/hanse"
	"github.com/hanse-go/hanse/examples/shop/problem"
	moneyv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/money/v1"
	shippingv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/shipping/v1"
)

// maxWeight is what one quote may weigh, in grams: more goes by appointment.
const maxWeight = 500_000

// Service returns the shipping service.
func Service() *hanse.Service {
	return &hanse.Service{Name: "shipping", Setup: func(_ context.Context, s *hanse.Service) error {
		shippingv1.RegisterShippingServer(s, New())
		return nil
	}}
}

// New returns the implementation.
func New() shippingv1.ShippingServer { return server{} }

type server struct {
	shippingv1.UnimplementedShippingServer
}

func (server) ListDestinations(context.Context, *shippingv1.ListDestinationsRequest) (*shippingv1.ListDestinationsResponse, error) {
	reply := &shippingv1.ListDestinationsResponse{}
	for _, d := range destinations {
		reply.Destinations = append(reply.Destinations, d.proto())
	}
	return reply, nil
}

func (server) Quote(_ context.Context, req *shippingv1.QuoteRequest) (*shippingv1.QuoteResponse, error) {
	d, err := find(req.GetCountry())
	if err != nil {
		return nil, err
	}
	if w := req.GetWeightGrams(); w <= 0 || w > maxWeight {
		return nil, problem.Invalid(problem.Field{Name: "weight_grams", Problem: fmt.Sprintf("is %d, must be from 1 to %d", w, maxWeight)})
	}
	standard, express, parcels := cost(req.GetWeightGrams(), d.zone)
	offer := func(speed shippingv1.Speed, cents int64, days [2]int32) *shippingv1.Offer {
		return &shippingv1.Offer{Speed: speed, Price: &moneyv1.Money{Currency: "EUR", Minor: cents}, DaysMin: days[0], DaysMax: days[1]}
	}
	return &shippingv1.QuoteResponse{Destination: d.proto(), Parcels: parcels, Offers: []*shippingv1.Offer{
		offer(shippingv1.Speed_SPEED_STANDARD, standard, standardDays[d.zone-1]),
		offer(shippingv1.Speed_SPEED_EXPRESS, express, expressDays[d.zone-1]),
	}}, nil
}

func (server) CreateShipment(_ context.Context, req *shippingv1.CreateShipmentRequest) (*shippingv1.CreateShipmentResponse, error) {
	if req.GetOrderId() == "" {
		return nil, problem.Invalid(problem.Field{Name: "order_id", Problem: "is missing"})
	}
	if _, err := find(req.GetCountry()); err != nil {
		return nil, err
	}
	return &shippingv1.CreateShipmentResponse{TrackingId: trackingID(req.GetOrderId())}, nil
}

func (d destination) proto() *shippingv1.Destination {
	return &shippingv1.Destination{Country: d.country, Name: d.name, Zone: d.zone}
}

func find(country string) (destination, error) {
	for _, d := range destinations {
		if d.country == country {
			return d, nil
		}
	}
	return destination{}, problem.Invalid(problem.Field{Name: "country", Problem: fmt.Sprintf("%q is not one that we deliver to", country)})
}
