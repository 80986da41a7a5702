//go:build darwin || freebsd

package rundir

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// network returns the name of the network file system that the folder is on, or "".
func network(dir string) (string, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return "", err
	}
	if uint64(st.Flags)&unix.MNT_LOCAL != 0 {
		return "", nil
	}
	return unix.ByteSliceToString(st.Fstypename[:]), nil
}

func bootID() (string, error) {
	if runtime.GOOS == "darwin" {
		return unix.Sysctl("kern.bootsessionuuid")
	}
	return unix.Sysctl("kern.hostuuid")
}
