// Package framed is the least that a remote call can be while many share one connection: a length, a number, the message. There are no
// methods, no metadata, no deadlines on the wire, no flow control and no limits. The wire benchmark uses it as the floor below which no
// protocol over one connection can get, so what surrounds the framing is as good as we know how to make it: one goroutine writes all
// that has gathered, requests of one read are handed to pooled goroutines under one lock, and replies are decoded by the reader.
//
//	go framed.Serve(conn, func(in []byte, reply func(framed.Message)) error { … })
//	client := framed.NewClient(conn, framed.Proto{})
//	err := client.Call(ctx, request, reply)
package framed
