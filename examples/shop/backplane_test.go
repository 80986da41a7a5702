package main

import (
	"context"
	"log/slog"
	"testing"

	"github.com/hanse-go/hanse"
	"github.com/hanse-go/hanse/dashboard"
	"github.com/hanse-go/hanse/embednats"
	"github.com/hanse-go/hanse/events/natsevents"
	"github.com/hanse-go/hanse/store"
	"github.com/hanse-go/hanse/store/natsstore"
	"github.com/nats-io/nats.go"
)

// developed is the shop as its developer sees it, who may change what it stores.
type developed struct{ seen }

func (d developed) State(ctx context.Context) (*dashboard.State, error) {
	st, err := d.seen.State(ctx)
	if err == nil {
		st.Kind = dashboard.KindDev
	}
	return st, err
}

// onBackplane has the shop keep its events on a real backplane, and the dashboard show that.
func onBackplane(t *testing.T) (change func(*observed), broker *natsevents.Broker, kept *store.Client) {
	t.Helper()
	quiet := slog.New(slog.DiscardHandler)
	backplane := &embednats.Server{Dir: t.TempDir(), Addr: "127.0.0.1:0", NoSync: true, Logger: quiet}
	running, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- backplane.Run(running) }()
	url, err := backplane.URL(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	nc, err := backplane.Connect(t.Context(), nats.Name("dashboard"))
	if err != nil {
		t.Fatal(err)
	}
	broker = natsevents.New(nc, natsevents.Options{Logger: quiet})
	driver := &natsstore.Store{Conn: nc, Logger: quiet}
	t.Cleanup(func() {
		broker.Close()
		nc.Close()
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return func(o *observed) {
		o.app.Backplane, o.app.Broker = hanse.NATS(url), nil
		o.page.Events, o.page.Store, o.page.System = broker, driver, developed{seen{o.registry}}
	}, broker, &store.Client{Driver: driver}
}
