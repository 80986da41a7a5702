package wire

import (
	"math"
	"time"
)

// Unlimited stands for a number that has no limit.
const Unlimited = math.MaxInt

// Limits are the limits of a port, which rpc.Limits describes, resolved: no number is 0 or negative, and one that is switched off is
// [Unlimited]; a duration of 0 is switched off. MaxRecvMsgSize is that of the server that allows the most, and not above [NoLimit].
type Limits struct {
	MaxConnections   int
	HandshakeTimeout time.Duration
	HeaderTimeout    time.Duration
	IdleTimeout      time.Duration

	MaxConnectionAge      time.Duration
	MaxConnectionAgeGrace time.Duration

	KeepaliveTime    time.Duration
	KeepaliveTimeout time.Duration
	MinPingInterval  time.Duration

	MaxStreams        int
	MaxHeaderListSize int
	MaxRecvMsgSize    int

	ResetBudget   int
	ControlBudget int

	MaxQueuedBytes      int
	MaxQueuedBytesTotal int
	StallTimeout        time.Duration
}
