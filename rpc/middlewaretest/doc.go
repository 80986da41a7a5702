// Package middlewaretest runs well-known interceptors and stats handlers, written for grpc-go, with package rpc on the path within the
// process and over TCP. It is a module of its own so that what they depend on stays out of Hanse's.
package middlewaretest
