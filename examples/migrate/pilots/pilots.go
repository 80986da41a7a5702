// Package pilots is the code of the pilots service. It is the same before and after the move.
package pilots

import (
	"context"
	"time"

	harbourv1 "github.com/hanse-go/hanse/examples/migrate/proto/harbour/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// barDepth is the depth of the bar before the harbour at chart datum, in centimetres, and underKeel what a pilot wants to spare.
const (
	barDepth  = 520
	underKeel = 60
)

// Server plans arrivals.
type Server struct {
	harbourv1.UnimplementedPilotsServer
	Tides  harbourv1.TidesClient
	Berths harbourv1.BerthsClient
}

// Plan names the smallest berth that fits and the first quarter of an hour at which the ship can pass the bar.
func (s *Server) Plan(ctx context.Context, req *harbourv1.PlanRequest) (*harbourv1.PlanResponse, error) {
	found, err := s.Berths.Find(ctx, &harbourv1.FindRequest{
		LengthMetres: req.GetLengthMetres(), DraughtCentimetres: req.GetDraughtCentimetres(), Arrival: req.GetArrival(),
	}, grpc.WaitForReady(true))
	if err != nil {
		return nil, err
	}
	if len(found.GetBerths()) == 0 {
		return nil, status.Errorf(codes.FailedPrecondition, "no berth fits %s", req.GetShip())
	}
	at := req.GetArrival().AsTime()
	for range 4 * 13 { // one tide
		level, err := s.Tides.Level(ctx, &harbourv1.LevelRequest{Time: timestamppb.New(at)}, grpc.WaitForReady(true))
		if err != nil {
			return nil, err
		}
		if barDepth+level.GetCentimetres() >= req.GetDraughtCentimetres()+underKeel {
			return &harbourv1.PlanResponse{Berth: found.GetBerths()[0], Passage: timestamppb.New(at)}, nil
		}
		at = at.Add(15 * time.Minute)
	}
	return nil, status.Errorf(codes.FailedPrecondition, "%s cannot pass the bar with this tide", req.GetShip())
}
