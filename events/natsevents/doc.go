// Package natsevents keeps events on NATS JetStream: in the server that a program embeds (package embednats), in `hanse hub`, or in a
// cluster. An App with a backplane uses it by itself; a program without one makes it over a connection of its own:
//
//	conn, err := nats.Connect(url, nats.MaxReconnects(-1), nats.ReconnectBufSize(-1))
//	...
//	broker := natsevents.New(conn, natsevents.Options{System: "shop"})
//	defer broker.Close()
//
// The connection should come back by itself for ever, and should not keep what is sent while it is away: the broker sends again
// what was not acknowledged, in its order.
//
// # On the server
//
// The topic orders.placed of the system shop is the stream shop_orders_placed. Its subjects are shop.events.orders.placed, and
// shop.events.orders.placed._.0 to ._.15 for events with a key: FNV-1a (32 bits) of the key, modulo 16. Events are messages in the binary mode
// of CloudEvents: attributes in headers that begin with ce-, percent-encoded, datacontenttype in content-type, the data as the payload,
// and other headers, such as traceparent, as they are. Nats-Msg-Id is what [events.Message.Identity] returns, and tells a second event of the same source and ID from the first. So
// whatever speaks NATS can publish and consume.
//
// A group is a durable consumer of its name. A group that keeps the order of keys has a consumer for each partition, and each belongs to
// one member at a time, which a key-value bucket records (SYSTEM__events). A subscription without a group has a consumer that vanishes
// with it.
//
// Events that are due later wait as message schedules in the stream SYSTEM__later, and get from there to their topic.
package natsevents
