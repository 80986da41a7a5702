//go:build unix && !linux && !darwin && !freebsd

package rundir

import "os"

// network does not know the file systems of this platform.
func network(string) (string, error) { return "", nil }

func bootID() (string, error) { return os.Hostname() }
