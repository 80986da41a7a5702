// Package hansetest runs a whole system of services inside one test.
//
//	func TestCheckout(t *testing.T) {
//		sys := hansetest.Run(t, catalog.Service(), cart.Service(),
//			hansetest.Fake("payment", func(r grpc.ServiceRegistrar) { paymentv1.RegisterPaymentServer(r, fakePayment{}) }))
//		client := cartv1.NewCartClient(sys.Conn("cart"))
//		…
//	}
//
// Each service runs as an app of its own, on a host of its own, in a network in memory: no port, no file, nothing that another test
// could meet. When the test ends, all are stopped in order; an error, or a goroutine that stays behind, fails the test. What the services
// log goes to the test's log.
//
// The system works inside a testing/synctest bubble. There, time passes when all wait: a test of a ten-second timeout takes no time.
//
// Faults are real to the services: [Instance.Kill] ends one as a crash does, [Instance.Isolate], [System.Partition] and
// [System.SetLatency] change the network. They need that network, the path [Memory]; on the others they fail the test.
//
// [EachPath] runs the same test body in process, over unix sockets, over TCP and in memory.
package hansetest
