package rpc

import "google.golang.org/grpc"

// CallInfo is a [grpc.CallOption] that tells, after the call, where it went:
//
//	var info rpc.CallInfo
//	_, err := client.SayHello(ctx, req, &info)
//	log.Print(info.Service, info.Path, info.Attempts)
//
// It is filled when the call has ended, also when it failed; of a stream, when the stream was made. One CallInfo belongs to one call at
// a time. Other implementations of grpc.ClientConnInterface ignore it.
type CallInfo struct {
	grpc.EmptyCallOption

	Service  string // name of the called service
	Instance string // ID; empty when the endpoint was not announced by Hanse
	Endpoint string // URL; empty in process
	Path     Path   // "" when no instance was reached
	Attempts int    // 1 without retries
}
