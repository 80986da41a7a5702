package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/hanse-go/hanse"
	"github.com/hanse-go/hanse/events"
	testpb "google.golang.org/grpc/interop/grpc_testing"
)

// evented is a program with events: the groups mailer, by key, and stock, each of which writes what it handles into a file of its name. The mailer fails for a
// negative response_size, until there is a file "mended".
func evented() {
	placed := events.NewTopic[*testpb.SimpleRequest]("orders.placed", events.Key(func(m *testpb.SimpleRequest) string { return string(m.GetPayload().GetBody()) }))
	ticked := events.NewTopic[*testpb.Payload]("prices.ticked", events.JSON(), events.Delayed())
	var services []*hanse.Service
	for _, name := range []string{"mailer", "stock"} {
		file, err := os.Create(name + ".log")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		services = append(services, &hanse.Service{Name: name, Setup: func(_ context.Context, s *hanse.Service) error {
			ticked.Declare(s)
			placed.Subscribe(s, name, func(_ context.Context, e *events.Event[*testpb.SimpleRequest]) error {
				if _, err := os.Stat("mended"); name == "mailer" && err != nil && e.Data.GetResponseSize() < 0 {
					return events.Permanent(errors.New("an order of less than nothing"))
				}
				_, err := fmt.Fprintf(file, "%s:%d\n", e.Key, e.Data.GetResponseSize())
				return err
			})
			return nil
		}})
	}
	hanse.Main(services...)
}
