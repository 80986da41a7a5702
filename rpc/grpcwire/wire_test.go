package grpcwire_test

import (
	"github.com/hanse-go/hanse/rpc"
	"github.com/hanse-go/hanse/rpc/grpcwire"
)

var _ rpc.Wire = grpcwire.Wire{}
