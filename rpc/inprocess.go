package rpc

import (
	"sync/atomic"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/stats"
)

// inProcessOptions say who calls through an in-process link, and how.
type inProcessOptions struct {
	service  string               // the calling service, "" for a program that only calls
	authInfo credentials.AuthInfo // its identity; nil without
	stats    []stats.Handler      // of the client
	maxRecv  int                  // bytes of a reply; 0 is 4 MiB, -1 is no limit
	maxSend  int                  // bytes of a request; 0 and -1 are no limit
	waiting  *atomic.Int64        // counts calls while they wait for the server to start; may be nil
	closed   <-chan struct{}      // when it is closed, the calls that run end with Canceled; may be nil
}

// newInProcess returns the link to a server of this process.
func newInProcess(o inProcessOptions, srv *Server) link { panic("skeleton") }
