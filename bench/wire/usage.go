package wire

import (
	"runtime"
	"time"
)

// usage is what this process has used.
type usage struct {
	CPU     time.Duration `json:"cpu"`
	Mallocs uint64        `json:"mallocs"`
}

func used() usage {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return usage{CPU: cpuTime(), Mallocs: m.Mallocs}
}

func (u usage) sub(before usage) usage {
	return usage{u.CPU - before.CPU, u.Mallocs - before.Mallocs}
}
