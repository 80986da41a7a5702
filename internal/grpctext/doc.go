// Package grpctext is how gRPC writes things into header fields: time, messages of errors, and bytes (its PROTOCOL-HTTP2 document).
package grpctext
