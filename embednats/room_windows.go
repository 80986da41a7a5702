package embednats

import (
	"os"

	"golang.org/x/sys/windows"
)

// room returns how many more bytes the disk takes that dir is on, and how many it has in all.
func room(dir string) (free, total int64, err error) {
	path, err := windows.UTF16PtrFromString(dir)
	if err != nil {
		return 0, 0, err
	}
	var callers, all uint64
	if err := windows.GetDiskFreeSpaceEx(path, &callers, &all, nil); err != nil {
		return 0, 0, &os.PathError{Op: "GetDiskFreeSpaceEx", Path: dir, Err: err}
	}
	return int64(callers), int64(all), nil
}
