package hansetest_test

import (
	"context"
	"testing"

	"github.com/hanse-go/hanse"
	"github.com/hanse-go/hanse/events"
	"github.com/hanse-go/hanse/hansetest"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

var sighted = events.NewTopic[*wrapperspb.StringValue]("ships.sighted")

// TestEvents holds that the services of a system share a broker, and systems do not.
func TestEvents(t *testing.T) {
	for _, ship := range []string{"Adler", "Bunte Kuh"} {
		there := make(chan string)
		watch := &hanse.Service{Name: "watch", Setup: func(_ context.Context, s *hanse.Service) error {
			sighted.Subscribe(s, "watch", func(_ context.Context, e *events.Event[*wrapperspb.StringValue]) error {
				there <- e.Data.GetValue()
				return nil
			}, events.Start{All: true})
			return nil
		}}
		tower := &hanse.Service{Name: "tower", Setup: func(_ context.Context, s *hanse.Service) error {
			sighted.Declare(s)
			s.Go("look", func(ctx context.Context) error { return sighted.Publish(ctx, s, wrapperspb.String(ship)) })
			return nil
		}}
		hansetest.Run(t, watch, tower)
		if got := <-there; got != ship {
			t.Errorf("the watch was told of %q, want %q", got, ship)
		}
	}
}
