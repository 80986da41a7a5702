// Package hanse runs gRPC services as one process or as many, without changing a line of theirs.
//
// A [Service] is a named unit with contracts, registered with plain protoc-gen-go-grpc code; an [App] is a process that runs some
// of them. [Main] is all that most programs need:
//
//	func main() { hanse.Main(catalog.Service(), cart.Service()) }
package hanse
