// Package wire measures remote calls against other ways to make them: client and server in processes of their own, each pinned to a
// core where the system allows it, one connection between them, every call under its own [context.WithTimeout].
//
//	func main() {
//		if wire.Work() { // this process is a client or a server that a Bench has started
//			return
//		}
//		report, err := (&wire.Bench{Out: os.Stdout}).Run(ctx)
//
// A cell is one kind of load, and contenders take turns at it in short rounds, in another order each time. What is compared are ratios of
// the same round. grpc-go takes part twice: where it differs from itself by more than [sample.Tolerance], the cell is void.
package wire
