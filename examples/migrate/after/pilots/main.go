// Command pilots runs the pilots service on Hanse.
package main

import (
	"context"

	"github.com/hanse-go/hanse"
	"github.com/hanse-go/hanse/examples/migrate/pilots"
	harbourv1 "github.com/hanse-go/hanse/examples/migrate/proto/harbour/v1"
)

func main() {
	app := &hanse.App{Addr: "127.0.0.1:7403"}
	app.Main(&hanse.Service{Name: "pilots", Setup: setup})
}

func setup(_ context.Context, s *hanse.Service) error {
	harbourv1.RegisterPilotsServer(s, &pilots.Server{
		Tides:  harbourv1.NewTidesClient(s.Conn("tides")),
		Berths: harbourv1.NewBerthsClient(s.Conn("berths")),
	})
	return nil
}
