// Package berths is the service that knows which places a ship can lie at.
package berths

import (
	"cmp"
	"context"
	"errors"
	"io"
	"slices"

	harbourv1 "github.com/hanse-go/hanse/examples/migrate/proto/harbour/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Server implements harbour.v1.Berths.
type Server struct {
	harbourv1.UnimplementedBerthsServer
	Tides harbourv1.TidesClient
}

var places = []*harbourv1.Berth{
	{Name: "Fischerkai", LengthMetres: 18, DepthCentimetres: 180},
	{Name: "Holstenkai", LengthMetres: 60, DepthCentimetres: 420},
	{Name: "Salzspeicher", LengthMetres: 90, DepthCentimetres: 560},
	{Name: "Nordkai", LengthMetres: 180, DepthCentimetres: 950},
}

// Find returns the berths that a ship of the given size fits at low water of the next day, the smallest first.
func (s *Server) Find(ctx context.Context, req *harbourv1.FindRequest) (*harbourv1.FindResponse, error) {
	if req.GetLengthMetres() <= 0 || req.GetDraughtCentimetres() <= 0 {
		return nil, status.Error(codes.InvalidArgument, "length_metres and draught_centimetres must be positive")
	}
	low, err := s.lowWater(ctx, req)
	if err != nil {
		return nil, err
	}
	res := &harbourv1.FindResponse{}
	for _, b := range places {
		if b.GetLengthMetres() >= req.GetLengthMetres() && b.GetDepthCentimetres()+low >= req.GetDraughtCentimetres() {
			res.Berths = append(res.Berths, b)
		}
	}
	slices.SortFunc(res.Berths, func(a, b *harbourv1.Berth) int { return cmp.Compare(a.GetLengthMetres(), b.GetLengthMetres()) })
	return res, nil
}

func (s *Server) lowWater(ctx context.Context, req *harbourv1.FindRequest) (int32, error) {
	forecast, err := s.Tides.Forecast(ctx, &harbourv1.ForecastRequest{From: req.GetArrival(), StepMinutes: 30, Steps: 48})
	if err != nil {
		return 0, err
	}
	low := int32(1 << 30)
	for {
		l, err := forecast.Recv()
		if errors.Is(err, io.EOF) {
			return low, nil
		}
		if err != nil {
			return 0, err
		}
		low = min(low, l.GetCentimetres())
	}
}
