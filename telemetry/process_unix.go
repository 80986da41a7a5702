//go:build unix

package telemetry

import (
	"syscall"
	"time"
)

const (
	filesMetric      = "process.unix.file_descriptor.count"
	filesDescription = "Number of unix file descriptors in use by the process."
	filesUnit        = "{file_descriptor}"
)

// rusage asks for the time on processors.
func rusage() usage {
	var r syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &r) != nil {
		return usage{user: -1, system: -1}
	}
	return usage{user: time.Duration(r.Utime.Nano()), system: time.Duration(r.Stime.Nano())}
}
