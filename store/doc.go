// Package store keeps state that all instances of a service share: values by key, locks, and who of them leads.
//
// A bucket is declared once, as a variable of a package, and used with a service of Hanse:
//
//	var carts = store.NewBucket[*cartv1.Cart]("carts", store.TTL(24*time.Hour))
//
//	rev, err := carts.Put(ctx, svc, "ann", cart)
//	cart, err := carts.Get(ctx, svc, "ann")
//
// Values are messages of protobuf, []byte, or what [encoding/json] takes. Each write has a [revision] of its own, by which Update and Delete
// see whether somebody else was faster; Modify does that for you. Watch gives all values and then what changes.
//
// [Lock] runs a function in one process at a time, and [Elect] in one process as long as it lives, then in another. Both give the function
// a context that ends when the lock is lost, and a token that grows from holder to holder, for resources that check it.
//
// Where the values are is up to a [Driver]: package natsstore keeps them in the backplane of the system, and [Memory] in the process,
// which is what a unit test wants:
//
//	host := &store.Client{Driver: &store.Memory{}}
//
// [revision]: https://pkg.go.dev/github.com/hanse-go/hanse/store#Entry
package store
