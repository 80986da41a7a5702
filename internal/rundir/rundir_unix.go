//go:build unix

package rundir

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

func base() (string, error) {
	if xdg := os.Getenv("XDG_RUNTIME_DIR"); filepath.IsAbs(xdg) {
		// It often names another user's folder (after su) or none (in a container): such a one is not meant for this process.
		if info, err := os.Stat(xdg); err == nil && info.IsDir() && ownerOf(info) == os.Geteuid() {
			return filepath.Join(xdg, "hanse"), nil
		}
	}
	return filepath.Join(os.TempDir(), "hanse-"+strconv.Itoa(os.Geteuid())), nil
}

// private reports whether the folder is this user's alone.
func private(dir string, info fs.FileInfo) error {
	if owner := ownerOf(info); owner != os.Geteuid() {
		return fmt.Errorf("%s belongs to user %d, not to this one (%d): remove it or choose another place, for instance by XDG_RUNTIME_DIR", dir, owner, os.Geteuid())
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return fmt.Errorf("%s is open to other users (mode %04o): run chmod 700 %[1]s, or name a folder that is not there yet", dir, mode)
	}
	return nil
}

func ownerOf(info fs.FileInfo) int {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(st.Uid)
	}
	return -1
}

func folderID(dir string) (string, error) {
	info, err := os.Stat(dir)
	if err != nil {
		return "", err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return "", fmt.Errorf("%s: no inode", dir)
	}
	return fmt.Sprintf("%d %d", st.Dev, st.Ino), nil
}
