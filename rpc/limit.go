package rpc

import "github.com/hanse-go/hanse/rpc/internal/wire"

const (
	defaultMaxRecvMsgSize = 4 << 20
	noLimit               = wire.NoLimit
)

// limitOr resolves a limit of which 0 is the default and -1 is none.
func limitOr(limit, def int) int {
	switch {
	case limit == 0:
		return def
	case limit < 0:
		return noLimit
	}
	return limit
}
