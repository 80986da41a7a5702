package wire

import (
	"runtime"
	"time"
)

// Usage is what a process has used.
type Usage struct {
	CPU     time.Duration `json:"cpu"`
	Mallocs uint64        `json:"mallocs"`
}

func used() Usage {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return Usage{CPU: cpuTime(), Mallocs: m.Mallocs}
}

func (u Usage) sub(before Usage) Usage {
	return Usage{u.CPU - before.CPU, u.Mallocs - before.Mallocs}
}
