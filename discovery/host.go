package discovery

import "github.com/hanse-go/hanse/internal/rundir"

// HostID identifies this machine, since it was started, together with the user's folder of sockets. It is what an [Instance] with a
// unix endpoint announces as Host: callers whose HostID is equal reach that endpoint. Two containers of one machine have different
// ones unless they share that folder. It fails where the folder cannot be made or is not safe to use.
func HostID() (string, error) { return rundir.HostID() }
