package hansetest_test

import (
	"context"
	"testing"

	"github.com/hanse-go/hanse"
	"github.com/hanse-go/hanse/hansetest"
	"github.com/hanse-go/hanse/store"
)

var lights = store.NewBucket[string]("lights")

// TestStore holds that the services of a system share a store, and systems do not.
func TestStore(t *testing.T) {
	for range 2 {
		there := make(chan string)
		first := &hanse.Service{Name: "first", Setup: func(ctx context.Context, s *hanse.Service) error {
			_, err := lights.Create(ctx, s, "north", "on")
			return err
		}}
		second := &hanse.Service{Name: "second", Setup: func(_ context.Context, s *hanse.Service) error {
			s.Go("watch", func(ctx context.Context) error {
				for c, err := range lights.Watch(ctx, s) {
					if err != nil {
						return err
					}
					if c.Kind == store.Put {
						there <- c.Value
					}
				}
				return nil
			})
			return nil
		}}
		hansetest.Run(t, first, second)
		if got := <-there; got != "on" {
			t.Errorf("the light is %q", got)
		}
	}
}
