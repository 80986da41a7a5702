package rpc

import "math"

const (
	defaultMaxRecvMsgSize = 4 << 20
	noLimit               = math.MaxInt32 // what a message's length prefix can say, and no less than any platform's int
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
