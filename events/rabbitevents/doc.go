// Package rabbitevents keeps events on RabbitMQ 3.10 or later. An app uses it by name:
//
//	broker := rabbitevents.New("amqps://shop:secret@rabbit-1,rabbit-2/shop", rabbitevents.Options{System: "shop"})
//	defer broker.Close()
//	app := &hanse.App{Broker: broker}
//
// It makes its connections itself and makes them again for ever: one that publishes and one that takes deliveries, because RabbitMQ stops
// reading from those that publish when its memory or disk runs low.
//
// # On the server
//
// The topic orders.placed of the system shop is the fanout exchange shop.orders.placed; a group is a durable quorum queue that is bound to
// it, shop.orders.placed:mailer. What has a limit has it in each queue: how old an event gets, and how many events or bytes wait. A full queue
// refuses, and the publisher gets [events.ErrFull]; other groups may have the event then.
//
// A group that keeps the order of keys has a quorum queue for each partition, shop.orders.placed:mailer:0 and so on, and RabbitMQ lets one consumer
// at a time have a queue (x-single-active-consumer). Events go to FNV-1a (32 bits) of the key, or of the ID where there is no key,
// modulo the number of partitions: the routing key is p and that number. One with another routing key goes to partition 0. Which member asks for
// which queue the members work out from who is there, which they tell each other over an exchange. RabbitMQ gives a queue to the next member when the
// connection is gone of the one that had it, or was silent for about 10 s. A process that was frozen or cut off for longer may begin a handler with
// what it had received, although others have it, until it sees that the connection is gone: a few seconds at most.
//
// A quorum queue shop.orders.placed:info keeps one message, which says how the topic was declared, its groups, and the schema of its events.
//
// # What RabbitMQ does not do
//
// Queues forget what was handled, and know nothing of what came before them. So a group begins with what is published after it was made, and any
// other [events.Start] of a new group is refused with [events.ErrUnsupported]; an event that is published to a topic without groups is
// nobody's, which is logged once. RabbitMQ's streams could be read again, but have no refusal of what is too much, and no
// groups whose members share the work and give back single events. Dead letters are no exception in what they are but in how they are kept: a topic
// whose name ends in .dead has a queue of its own name from the start, shop.orders.placed.dead, where they wait to be looked at.
//
// No event is delivered at a time: [events.Delayed] is an error of the declaration. RabbitMQ has chains of queues whose messages expire for that, in
// which a full queue of one group holds up the events of all topics. An event that failed stays with its member until it is given back, so
// waits of [events.Retry] beyond a quarter of an hour are cut; RabbitMQ ends a channel on which an event is unsettled for half an
// hour (consumer_timeout), which handlers that take longer need to be raised.
//
// Nothing is told from its repetition: an event that was sent again because its confirmation got lost is there twice. Handlers bear that, see package
// events/outbox for a way.
//
// # Others
//
// Events are messages in the binary mode of CloudEvents' binding to AMQP: attributes in headers that begin with cloudEvents:, the content
// type in the property of that name, the data as the body, and other headers, such as traceparent, as they are. The properties message-id, type
// and timestamp say the same again for those who look there. So whatever speaks AMQP 0-9-1, or AMQP 1.0 through RabbitMQ's plugin, can publish to the
// exchange, and bind queues of its own to it. A message that is no CloudEvent is taken, too: it should have a message-id, by which it is known when it
// is delivered again.
package rabbitevents
