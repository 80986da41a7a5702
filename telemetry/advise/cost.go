package advise

import (
	"time"

	"github.com/hanse-go/hanse/telemetry/collector"
)

// Path is how a call travels.
type Path string

const (
	InProcess Path = "inprocess"
	Unix      Path = "unix"
	TCP       Path = "tcp"
)

// CPU is processor time of both sides, between what calls cost when many are made at once, so that they share writes and wake-ups (Busy),
// and when each comes alone (Idle).
type CPU struct {
	Busy time.Duration `json:"busy"` // in nanoseconds
	Idle time.Duration `json:"idle"`
}

// CPUSource says where the figures of [CallCPU] come from.
const CPUSource = "docs/benchmarks.md of Hanse: unary calls of 1 KiB, client and server, with 64 callers (busy) and with one (idle)"

// callCPU is what one unary call costs.
var callCPU = map[Path]CPU{
	InProcess: {7400 * time.Nanosecond, 5300 * time.Nanosecond},
	Unix:      {17000 * time.Nanosecond, 147800 * time.Nanosecond},
	TCP:       {16300 * time.Nanosecond, 155500 * time.Nanosecond},
}

// inProcessTime is how long a call in one process takes beyond the handler, by the same table.
const inProcessTime = 4 * time.Microsecond

// CallCPU returns what a call costs on a path by the benchmarks of Hanse ([CPUSource]); zero for a path that there is not.
func CallCPU(p Path) CPU { return callCPU[p] }

// pathOf tells how a call travelled. Who says nothing is taken to have used TCP.
func pathOf(client, server collector.Span) Path {
	for _, s := range []collector.Span{client, server} {
		switch p := Path(text(s, "hanse.path")); p {
		case InProcess, Unix, TCP:
			return p
		}
		if text(s, "network.transport") == "unix" {
			return Unix
		}
	}
	return TCP
}
