// Package natsdiscovery is a registry in NATS with JetStream, version 2.11 or later. An app with a backplane uses it by itself. Elsewhere:
//
//	nc, err := nats.Connect("nats://hub:4222", nats.MaxReconnects(-1))
//	…
//	app := &hanse.App{Registry: natsdiscovery.New(nc, natsdiscovery.Options{System: "shop"})}
//
// Each instance is a key that ends by itself after [Options.TTL]; its process puts it again before that. One that was lost, whatever the
// reason, is announced again. While NATS is away, and in the time in which instances announce themselves again after it was wiped, the last
// known instances stay.
//
// There are two key-value buckets, which are made when they are missing:
//
//	SYSTEM_instances  instances.SERVICE.ID, with the record of the instance; '.' in an ID is written as '/'
//	SYSTEM_splits     SERVICE, with its split rules
//
// In names of buckets '_' of the system is written as "__" and '.' as "_-".
package natsdiscovery
