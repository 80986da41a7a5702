// Command after runs the same services with Hanse: all of them, or those that --services names.
package main

import (
	"context"

	"github.com/hanse-go/hanse"
	"github.com/hanse-go/hanse/examples/migrate/berths"
	"github.com/hanse-go/hanse/examples/migrate/pilots"
	harbourv1 "github.com/hanse-go/hanse/examples/migrate/proto/harbour/v1"
	"github.com/hanse-go/hanse/examples/migrate/tides"
)

func main() {
	hanse.Main(
		&hanse.Service{Name: "tides", Setup: func(_ context.Context, s *hanse.Service) error {
			harbourv1.RegisterTidesServer(s, tides.Server{})
			return nil
		}},
		&hanse.Service{Name: "berths", Setup: func(_ context.Context, s *hanse.Service) error {
			harbourv1.RegisterBerthsServer(s, &berths.Server{Tides: harbourv1.NewTidesClient(s.Conn("tides"))})
			return nil
		}},
		&hanse.Service{Name: "pilots", Setup: func(_ context.Context, s *hanse.Service) error {
			harbourv1.RegisterPilotsServer(s, &pilots.Server{
				Berths: harbourv1.NewBerthsClient(s.Conn("berths")),
				Tides:  harbourv1.NewTidesClient(s.Conn("tides")),
			})
			return nil
		}},
	)
}
