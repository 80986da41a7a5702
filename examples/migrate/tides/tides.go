// Package tides is the code of the tides service. It is the same before and after the move.
package tides

import (
	"context"
	"math"
	"time"

	harbourv1 "github.com/hanse-go/hanse/examples/migrate/proto/harbour/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// Server computes the tide.
type Server struct {
	harbourv1.UnimplementedTidesServer
}

// Level returns the water's height over chart datum.
func (Server) Level(_ context.Context, req *harbourv1.LevelRequest) (*harbourv1.LevelResponse, error) {
	if err := req.GetTime().CheckValid(); err != nil {
		return nil, status.Errorf(codes.InvalidArgument, "time: %v", err)
	}
	return level(req.GetTime().AsTime()), nil
}

// Forecast sends the level at equal steps of time.
func (Server) Forecast(req *harbourv1.ForecastRequest, stream grpc.ServerStreamingServer[harbourv1.LevelResponse]) error {
	if err := req.GetFrom().CheckValid(); err != nil {
		return status.Errorf(codes.InvalidArgument, "from: %v", err)
	}
	if n, step := req.GetSteps(), req.GetStepMinutes(); n < 1 || n > 1000 || step < 1 {
		return status.Errorf(codes.InvalidArgument, "steps: %d of %d minutes, want 1 to 1000 of at least one", n, step)
	}
	at := req.GetFrom().AsTime()
	for range req.GetSteps() {
		if err := stream.Send(level(at)); err != nil {
			return err
		}
		at = at.Add(time.Duration(req.GetStepMinutes()) * time.Minute)
	}
	return nil
}

// level adds up the tides of the moon and of the sun, as their mean periods have it.
func level(t time.Time) *harbourv1.LevelResponse {
	const moon, sun = 44714.164, 43200.0 // seconds
	s := float64(t.Unix())
	cm := 215 + 155*math.Cos(2*math.Pi*s/moon) + 38*math.Cos(2*math.Pi*s/sun+1.1)
	return &harbourv1.LevelResponse{Time: timestamppb.New(t), Centimetres: int32(math.Round(cm))}
}
