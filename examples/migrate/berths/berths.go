// Package berths is the code of the berths service. It is the same before and after the move.
package berths

import (
	"context"
	"errors"
	"io"

	harbourv1 "github.com/hanse-go/hanse/examples/migrate/proto/harbour/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// underKeel is the water that a ship needs below it, in centimetres.
const underKeel = 50

var quay = []*harbourv1.Berth{
	{Name: "Sandtorkai 1", LengthMetres: 60, DepthCentimetres: 250},
	{Name: "Sandtorkai 2", LengthMetres: 90, DepthCentimetres: 400},
	{Name: "Kaiserkai 1", LengthMetres: 140, DepthCentimetres: 650},
	{Name: "Kaiserkai 2", LengthMetres: 210, DepthCentimetres: 900},
	{Name: "Strandkai", LengthMetres: 340, DepthCentimetres: 1150},
}

// Server knows the berths and asks for the tide.
type Server struct {
	harbourv1.UnimplementedBerthsServer
	Tides harbourv1.TidesClient
}

// Find returns the berths at which a ship of the given size does not fall dry.
func (s *Server) Find(ctx context.Context, req *harbourv1.FindRequest) (*harbourv1.FindResponse, error) {
	if req.GetLengthMetres() <= 0 || req.GetDraughtCentimetres() <= 0 {
		return nil, status.Error(codes.InvalidArgument, "a ship has a length and a draught")
	}
	low, err := s.lowWater(ctx, req)
	if err != nil {
		return nil, err
	}
	reply := &harbourv1.FindResponse{}
	for _, b := range quay {
		if b.GetLengthMetres() >= req.GetLengthMetres() && b.GetDepthCentimetres()+low >= req.GetDraughtCentimetres()+underKeel {
			reply.Berths = append(reply.Berths, proto.CloneOf(b))
		}
	}
	return reply, nil
}

// lowWater returns the lowest level of the day after the ship's arrival.
func (s *Server) lowWater(ctx context.Context, req *harbourv1.FindRequest) (int32, error) {
	forecast, err := s.Tides.Forecast(ctx, &harbourv1.ForecastRequest{From: req.GetArrival(), StepMinutes: 30, Steps: 48}, grpc.WaitForReady(true))
	if err != nil {
		return 0, err
	}
	low := int32(1 << 30)
	for {
		level, err := forecast.Recv()
		if errors.Is(err, io.EOF) {
			return low, nil
		}
		if err != nil {
			return 0, err
		}
		low = min(low, level.GetCentimetres())
	}
}
