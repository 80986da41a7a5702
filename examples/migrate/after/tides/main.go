// Command tides runs the tides service on Hanse.
package main

import (
	"github.com/hanse-go/hanse"
	harbourv1 "github.com/hanse-go/hanse/examples/migrate/proto/harbour/v1"
	"github.com/hanse-go/hanse/examples/migrate/tides"
)

func main() {
	app := &hanse.App{Addr: "127.0.0.1:7401"}
	svc := &hanse.Service{Name: "tides"}
	harbourv1.RegisterTidesServer(svc, tides.Server{})
	app.Main(svc)
}
