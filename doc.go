// Package hanse runs gRPC services as one process or as many, without changing a line of theirs.
//
// A [Service] is a named unit with contracts, registered with plain protoc-gen-go-grpc code. The smallest one:
//
//	func main() {
//		svc := &hanse.Service{Name: "greeter"}
//		greeterv1.RegisterGreeterServer(svc, greeter{})
//		svc.Main()
//	}
//
// An [App] is a process that runs some services. [Main] is all that most programs need:
//
//	func main() { hanse.Main(catalog.Service(), cart.Service(), checkout.Service()) }
//
// Started without flags, such a program runs all of its services in one process; with --services=cart,checkout it runs two, and finds
// the others over the network. What a service needs, it gets ready in its Setup, which runs only where the service runs:
//
//	package cart
//
//	func Service() *hanse.Service { return &hanse.Service{Name: "cart", Setup: setup} }
//
//	func setup(ctx context.Context, s *hanse.Service) error {
//		catalog := catalogv1.NewCatalogClient(s.Conn("catalog"))
//		cartv1.RegisterCartServer(s, &server{catalog: catalog})
//		return nil
//	}
//
// A program that only calls takes an App from [FromEnv] and connections from [App.Conn].
//
// Listeners, registries and policies belong to the process: they are fields of App. Its zero value works, and [App.Run] reads no flags and no
// environment. Numbers and durations are their default at 0 and off at -1.
package hanse
