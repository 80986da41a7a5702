// Package rpc carries gRPC calls between services: in process, over a unix socket or over TCP, with one meaning on every path.
//
// A [Server] takes the registrations of protoc-gen-go-grpc, a [Conn] is what its clients call through, and a [Port] serves several
// servers and plain HTTP on one listener. Errors are gRPC statuses; metadata, peer, codecs, compressors, interceptors and stats
// handlers are those of grpc's packages.
package rpc
