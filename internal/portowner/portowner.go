// Package portowner tells which process listens on a TCP port.
package portowner

import (
	"fmt"
	"strings"
)

// Owner is a process that listens.
type Owner struct {
	PID     int
	Command string // its command line; empty when it cannot be read
}

func (o Owner) String() string {
	if o.Command == "" {
		return fmt.Sprintf("process %d", o.PID)
	}
	return fmt.Sprintf("process %d (%s)", o.PID, o.Command)
}

// Describe names the process that listens on the port of this machine, or says how to find it.
func Describe(port int) string {
	if o, ok := Find(port); ok {
		return o.String()
	}
	return "another process, which " + strings.ReplaceAll(howToFind, "PORT", fmt.Sprint(port)) + " shows"
}
