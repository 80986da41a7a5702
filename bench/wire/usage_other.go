//go:build !unix

package wire

import "time"

// cpuTime is not known here: figures of CPU time are 0.
func cpuTime() time.Duration { return 0 }
