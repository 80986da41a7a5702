//go:build linux || darwin

package embednats

import (
	"os"

	"golang.org/x/sys/unix"
)

// room returns how many more bytes the disk takes that dir is on, and how many it has in all.
func room(dir string) (free, total int64, err error) {
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return 0, 0, &os.PathError{Op: "statfs", Path: dir, Err: err}
	}
	return int64(fs.Bavail) * int64(fs.Bsize), int64(fs.Blocks) * int64(fs.Bsize), nil
}
