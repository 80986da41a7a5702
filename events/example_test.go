package events_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hanse-go/hanse/events"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// A topic is a package variable. Real ones carry messages of their own, such as *ordersv1.Placed.
var orderPlaced = events.NewTopic[*wrapperspb.StringValue]("shop.placed", events.Key((*wrapperspb.StringValue).GetValue))

// A test of what publishes and subscribes needs no service: a Bus is a host, and Memory a broker.
func Example() {
	bus := &events.Bus{Broker: new(events.Memory)}
	mailed := make(chan string)
	orderPlaced.Subscribe(bus, "mailer", func(ctx context.Context, e *events.Event[*wrapperspb.StringValue]) error {
		mailed <- fmt.Sprintf("%s of %s, attempt %d", e.Data.GetValue(), e.Topic, e.Attempt)
		return nil
	})
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	done := make(chan error)
	if err := bus.Declare(ctx); err != nil { // groups begin with what is published from now on
		fmt.Println(err)
		return
	}
	go func() { done <- bus.Run(ctx) }()

	if err := orderPlaced.Publish(ctx, bus, wrapperspb.String("order 4711")); err != nil {
		fmt.Println(err)
	}
	fmt.Println(<-mailed)
	stop()
	fmt.Println(<-done)
	// Output:
	// order 4711 of shop.placed, attempt 1
	// <nil>
}

// What fails is handled again, later and later; what cannot succeed is not.
func ExamplePermanent() {
	handle := func(ctx context.Context, e *events.Event[*wrapperspb.StringValue]) error {
		if e.Data.GetValue() == "" {
			return events.Permanent(errors.New("an order without a number"))
		}
		return ship(ctx, e.Data.GetValue())
	}
	bus := &events.Bus{Broker: new(events.Memory)}
	orderPlaced.Subscribe(bus, "shipping", handle, events.Retry{Attempts: 5, Max: time.Minute}, events.Timeout(10*time.Second))
}

func ship(context.Context, string) error { return nil }
