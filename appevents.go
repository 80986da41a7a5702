package hanse

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hanse-go/hanse/events"
	"github.com/hanse-go/hanse/events/natsevents"
)

// Events returns what a program that is no service, or a part of one, publishes events through. It makes an App an [events.Host]:
//
//	app, err := hanse.FromEnv()
//	...
//	defer app.Close()
//	err = orders.Placed.Publish(ctx, app, msg)
//
// Close, and Run when it returns, wait for a moment until what was published is stored. Of an App that was not made by [FromEnv], publishing waits until
// it runs. The app does not call the handlers of its own subscriptions: a program that has some lets app.Events().Run(ctx) do that.
func (a *App) Events() *events.Bus {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.publishes {
		a.publishes = true
		a.bus.Source, a.bus.DrainTimeout, a.bus.Logger = "hanse:///"+programName(), a.DrainTimeout, a.logger()
		if t, err := a.telemetry(); err == nil { // else Run says so
			a.bus.Telemetry = t.Service("", buildVersion(), "")
		}
	}
	a.bindBus()
	return &a.bus
}

// appBroker is the broker that an app's own events have on its backplane.
type appBroker struct {
	cancel context.CancelFunc
	done   chan struct{} // closed when broker is set, or will not be
	broker *natsevents.Broker
}

// bindBus gives the app's own events their broker, once it is known which that is. The caller holds a.mu.
func (a *App) bindBus() {
	switch {
	case !a.publishes || a.bound:
		return
	case a.closed:
		a.bus.Refuse(errAppClosed)
	case a.Broker == nil && a.Backplane == nil && !a.ran && a.given == nil:
		return // Main may find one
	case a.Broker != nil:
		a.bus.Bind(a.Broker)
	case a.Backplane == nil:
		a.bus.Refuse(errors.New(noBroker))
	default:
		ctx, cancel := context.WithCancel(context.Background())
		a.broker = &appBroker{cancel: cancel, done: make(chan struct{})}
		go a.connectBus(ctx, a.broker)
	}
	a.bound = true
}

func (a *App) connectBus(ctx context.Context, b *appBroker) {
	defer close(b.done)
	conn, err := a.backplane().conn(ctx)
	if err != nil {
		a.bus.Refuse(err)
		return
	}
	b.broker = natsevents.New(conn, natsevents.Options{System: a.System, Logger: a.logger()})
	a.bus.Bind(b.broker)
}

// lastEvents is how long the end of an app waits until what it published itself is stored.
const lastEvents = 5 * time.Second

// closeBus ends the app's own events. Nobody publishes any more.
func (a *App) closeBus() error {
	a.mu.Lock()
	publishes, b := a.publishes, a.broker
	a.broker = nil
	a.mu.Unlock()
	if !publishes {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), lastEvents)
	defer cancel()
	err := a.bus.Close(ctx)
	if b != nil {
		b.cancel()
		<-b.done
		if b.broker != nil {
			b.broker.Close()
		}
	}
	if err != nil {
		return fmt.Errorf("the app's own events: %w", err)
	}
	return nil
}
