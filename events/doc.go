// Package events carries typed events between services: durable, shared by groups, at least once.
//
// A topic is a package variable, in the package of who publishes it:
//
//	var Placed = events.NewTopic[*ordersv1.Placed]("orders.placed", events.Key((*ordersv1.Placed).GetOrderId))
//
// It is published, and subscribed by anyone, with a [Host]: the service that does it.
//
//	err := orders.Placed.Publish(ctx, svc, &ordersv1.Placed{OrderId: "4711"})
//
//	orders.Placed.Subscribe(svc, "mailer", func(ctx context.Context, e *events.Event[*ordersv1.Placed]) error {
//		return mail(ctx, e.Data)
//	})
//
// Publish returns when the broker has stored the event. Each group of subscribers gets each event, and one member of the group handles it; a
// handler that fails is called again, later and later, and at last the event becomes a dead letter: it goes to the topic "orders.placed.dead".
// An event may be handled more than once, after a crash or when an answer got lost, so what handlers do should bear repetition.
//
// Events with the same key (see [Key]) are handled one at a time and in the order in which they were stored, those of different keys in
// parallel.
//
// A test needs no service: a [Bus] with a [Memory] is a host, too.
package events
