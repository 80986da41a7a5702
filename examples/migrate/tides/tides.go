// Package tides is the service that knows how deep the water is.
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

// Server implements harbour.v1.Tides with the tide of the moon alone.
type Server struct {
	harbourv1.UnimplementedTidesServer
}

const (
	meanLevel = 210 // centimetres over chart datum
	amplitude = 165
	period    = 12*time.Hour + 25*time.Minute
	mostSteps = 1000
)

func level(t time.Time) int32 {
	phase := float64(t.Unix()%int64(period/time.Second)) / period.Seconds()
	return int32(math.Round(meanLevel + amplitude*math.Cos(2*math.Pi*phase)))
}

// Level returns the water's height over chart datum.
func (Server) Level(_ context.Context, req *harbourv1.LevelRequest) (*harbourv1.LevelResponse, error) {
	if err := req.GetTime().CheckValid(); err != nil {
		return nil, status.Errorf(codes.InvalidArgument, "time: %v", err)
	}
	return &harbourv1.LevelResponse{Time: req.GetTime(), Centimetres: level(req.GetTime().AsTime())}, nil
}

// Forecast sends the level at equal steps of time.
func (Server) Forecast(req *harbourv1.ForecastRequest, stream grpc.ServerStreamingServer[harbourv1.LevelResponse]) error {
	if err := req.GetFrom().CheckValid(); err != nil {
		return status.Errorf(codes.InvalidArgument, "from: %v", err)
	}
	if req.GetStepMinutes() <= 0 || req.GetSteps() <= 0 || req.GetSteps() > mostSteps {
		return status.Errorf(codes.InvalidArgument, "step_minutes must be positive, and steps between 1 and %d", mostSteps)
	}
	for i := range req.GetSteps() {
		t := req.GetFrom().AsTime().Add(time.Duration(i) * time.Duration(req.GetStepMinutes()) * time.Minute)
		if err := stream.Send(&harbourv1.LevelResponse{Time: timestamppb.New(t), Centimetres: level(t)}); err != nil {
			return err
		}
	}
	return nil
}
