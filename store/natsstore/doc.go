// Package natsstore keeps the buckets of package store in NATS JetStream.
//
// An app has it by default over its backplane. A program without an app makes one:
//
//	host := &store.Client{Driver: &natsstore.Store{Conn: conn, System: "shop"}}
//
// A bucket B of a system S is the key-value bucket S_store_B of JetStream, with '_' for each '.' in B, so that the nats command shows it. In
// its keys each byte that NATS does not take is '=' and two hexadecimal digits.
//
// Values have a TTL of their own each (Nats-TTL), in whole seconds, and a deletion stays visible for an hour. Revisions are sequences of the
// stream, whose first one is the time when the bucket was made, in milliseconds: so they grow also when all was lost and is made anew.
package natsstore
