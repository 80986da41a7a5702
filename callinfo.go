package hanse

import "github.com/hanse-go/hanse/rpc"

// CallInfo is a [google.golang.org/grpc.CallOption] that tells, after the call, where it went:
//
//	var info hanse.CallInfo
//	_, err := client.Hello(ctx, req, &info)
//	log.Print(info.Service, info.Instance, info.Path)
//
// One CallInfo belongs to one call at a time.
type CallInfo = rpc.CallInfo
