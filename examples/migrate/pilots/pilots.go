// Package pilots is the service that plans a ship's arrival.
package pilots

import (
	"context"
	"time"

	harbourv1 "github.com/hanse-go/hanse/examples/migrate/proto/harbour/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// Server implements harbour.v1.Pilots.
type Server struct {
	harbourv1.UnimplementedPilotsServer
	Berths harbourv1.BerthsClient
	Tides  harbourv1.TidesClient
}

const (
	barDepth  = 600 // centimetres at chart datum
	underKeel = 50
	step      = 15 * time.Minute
)

// Plan names the smallest berth that the ship fits, and the first time at which it can pass the bar.
func (s *Server) Plan(ctx context.Context, req *harbourv1.PlanRequest) (*harbourv1.PlanResponse, error) {
	found, err := s.Berths.Find(ctx, &harbourv1.FindRequest{
		LengthMetres: req.GetLengthMetres(), DraughtCentimetres: req.GetDraughtCentimetres(), Arrival: req.GetArrival(),
	})
	if err != nil {
		return nil, err
	}
	if len(found.GetBerths()) == 0 {
		return nil, status.Errorf(codes.FailedPrecondition, "%s finds no berth here", req.GetShip())
	}
	for t := req.GetArrival().AsTime(); t.Before(req.GetArrival().AsTime().Add(24 * time.Hour)); t = t.Add(step) {
		level, err := s.Tides.Level(ctx, &harbourv1.LevelRequest{Time: timestamppb.New(t)})
		if err != nil {
			return nil, err
		}
		if barDepth+level.GetCentimetres() >= req.GetDraughtCentimetres()+underKeel {
			return &harbourv1.PlanResponse{Berth: found.GetBerths()[0], Passage: timestamppb.New(t)}, nil
		}
	}
	return nil, status.Errorf(codes.FailedPrecondition, "the bar is too shallow for %s all day", req.GetShip())
}
