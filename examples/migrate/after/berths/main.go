// Command berths runs the berths service on Hanse.
package main

import (
	"context"

	"github.com/hanse-go/hanse"
	"github.com/hanse-go/hanse/examples/migrate/berths"
	harbourv1 "github.com/hanse-go/hanse/examples/migrate/proto/harbour/v1"
)

func main() {
	app := &hanse.App{Addr: "127.0.0.1:7402"}
	app.Main(&hanse.Service{Name: "berths", Setup: setup})
}

func setup(_ context.Context, s *hanse.Service) error {
	harbourv1.RegisterBerthsServer(s, &berths.Server{Tides: harbourv1.NewTidesClient(s.Conn("tides"))})
	return nil
}
