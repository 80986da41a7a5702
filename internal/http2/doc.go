// Package http2 is an HTTP/2 engine (RFC 9113) for both roles of a connection, made for many small calls at once. It knows frames,
// streams, flow control and limits; what the streams mean, gRPC or plain HTTP, is its users' affair.
//
// Three ideas carry its speed. What goroutines send is appended to one buffer, under one lock, and a flusher writes all of it with one
// system call. What one read brings is handled by the connection's reader without a goroutine per stream, and the work it brought is
// handed to [Workers] as one batch. And a stream is embedded in its user's object of a call, so that a call is one allocation.
//
// A server gives each accepted connection to [NewServerConn], with a [Handler] that makes the objects of its calls:
//
//	conn := http2.NewServerConn(nc, &http2.Config{}, handler)
//	err := conn.Serve() // returns when the connection has ended
//
// A client opens streams:
//
//	conn := http2.NewClientConn(nc, &http2.Config{}, http2.ClientEvents{})
//	err := conn.Open(ctx.Done(), &call.Stream, call, &http2.Frames{Head: head, Data: request, End: true})
//
// Both get what the peer sends through a [Receiver].
package http2
