// Package rpc carries gRPC calls between services: in process, over a unix socket or over TCP, with one meaning on every path.
//
// A [Server] takes the registrations of protoc-gen-go-grpc, a [Port] serves several servers and plain HTTP on one listener, and a [Conn]
// is what generated clients call through:
//
//	srv := &rpc.Server{Name: "greeter"}
//	greeterv1.RegisterGreeterServer(srv, greeter{})
//	srv.Start()
//	port := &rpc.Port{Servers: []*rpc.Server{srv}}
//	go port.Serve(lis)
//
//	conn, err := rpc.Dial("greeter.example.org:8443", rpc.WithTLS(&tls.Config{}))
//	defer conn.Close()
//	reply, err := greeterv1.NewGreeterClient(conn).SayHello(ctx, req)
//
// Dial knows its server by address. To find a service by name, bind a Conn to a [Client] that has a registry; package hanse does so for
// the services of an app.
//
// Errors are gRPC statuses; metadata, peer, codecs, compressors, interceptors and stats handlers are those of grpc's packages. Either end
// may be any other gRPC program.
//
// # Within the process
//
// A call to a [Server] in the Local of its [Client] crosses no socket and is not encoded, and yet means what it would mean over TCP.
// The handler runs on a goroutine of its own with a context that has nothing of the caller's but the metadata, the deadline and the
// cancellation. Messages are copied, and refused when a wire would refuse them. The caller returns at its deadline even when the
// handler does not. [google.golang.org/grpc/peer.FromContext] tells a network named "inprocess" and, as the address, the service's name.
//
// What is different, for want of a wire: compressors are checked but nothing is compressed; stats handlers hear of no connection; and
// credentials that demand transport security are satisfied, for nothing leaves the process.
//
// On every path but grpcwire's, three functions of package grpc that take its own transport for granted return errors: instead of
// grpc.SetSendCompressor and grpc.ClientSupportedCompressors call [SetSendCompressor] and [ClientSupportedCompressors];
// grpc.PreparedMsg's Encode has no counterpart.
package rpc
