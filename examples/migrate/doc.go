// Package migrate is a harbour: three services on stock grpc-go in before, and the same three moved over in after.
//
// The services themselves, in tides, berths and pilots, are the same code for both: plain generated stubs. What changes is how a program
// starts them and where a client's connection comes from:
//
//	before                                               after
//	-----------------------------------------------      -----------------------------------------------
//	lis, err := net.Listen("tcp", *listen)               hanse.Main(...) listens, serves, announces,
//	srv := grpc.NewServer()                              drains on SIGTERM, serves health and reflection
//	cc, err := grpc.NewClient(*tides, insecure…)         s.Conn("tides")
//	harbourv1.RegisterBerthsServer(srv, impl)            harbourv1.RegisterBerthsServer(s, impl)
//	signal.Notify(…); srv.GracefulStop()                 nothing
//
// A service moves alone, in any order. One that is moved is reached by callers that are not at the address of --addr, and reaches
// services that are not moved by --target:
//
//	go run ./migrate/before -service tides  -listen 127.0.0.1:7001
//	go run ./migrate/after  --services=berths --addr 127.0.0.1:7002 --target tides=127.0.0.1:7001
//	go run ./migrate/before -service pilots -listen 127.0.0.1:7003 -berths 127.0.0.1:7002 -tides 127.0.0.1:7001
//
// When all have moved, the addresses and targets go: the services find each other. The way back is the same way. The test of this
// package goes both ways under load, servers first and clients first, and counts failed calls: none.
package migrate
