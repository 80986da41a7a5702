// Package rundir is the user's own folder for what lives only as long as processes do: lease files, sockets, records of running
// systems. It is $XDG_RUNTIME_DIR/hanse where that variable names a folder of this user, else hanse-UID in the folder for temporary
// files, and %LocalAppData%\hanse\run on Windows.
package rundir

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Path returns the folder of that name inside the user's run-time folder and makes it, for this user alone, if it is not there. It
// fails if another user owns the run-time folder or may write to it, and if it is on a network file system, where locks do not tell
// whether a process lives.
func Path(elem ...string) (string, error) {
	base, err := base()
	if err != nil {
		return "", err
	}
	if err := Make(base); err != nil {
		return "", err
	}
	dir := filepath.Join(append([]string{base}, elem...)...)
	if dir == base {
		return dir, nil
	}
	return dir, Make(dir)
}

// Make makes the folder for this user alone, with those above it, unless it is there. It fails if what is there belongs to another
// user, is open to other users, or is on a network file system.
func Make(dir string) error {
	info, err := os.Lstat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
		info, err = os.Lstat(dir)
	}
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return fmt.Errorf("%s is not a folder (%s): remove it or choose another place", dir, info.Mode().Type())
	}
	if err := private(dir, info); err != nil {
		return err
	}
	if kind, err := network(dir); err != nil {
		return fmt.Errorf("%s: what file system is it on: %w", dir, err)
	} else if kind != "" {
		return fmt.Errorf("%s is on a network file system (%s), where locks do not tell whether a process lives: choose a folder on a local disk, for instance by XDG_RUNTIME_DIR", dir, kind)
	}
	return nil
}

// maxSocketPath is the length in bytes up to which every platform takes the path of a socket (the least is 104 with its final zero).
const maxSocketPath = 100

// ErrLongPath is returned by [Socket] where the path of a socket would be longer than platforms take.
var ErrLongPath = errors.New("path is too long for a unix socket")

// Socket returns the path of the unix socket of the instance with that ID, in the user's folder of sockets. It returns [ErrLongPath]
// where that path is over 100 bytes: then the instance has no unix endpoint.
func Socket(instance string) (string, error) {
	dir, err := sockets()
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256([]byte(instance))
	path := filepath.Join(dir, hex.EncodeToString(sum[:8]))
	if len(path) > maxSocketPath {
		return "", fmt.Errorf("%w: %s has %d bytes, at most %d are allowed; a shorter XDG_RUNTIME_DIR or TMPDIR helps", ErrLongPath, path, len(path), maxSocketPath)
	}
	return path, nil
}

// HostID identifies this machine, since it was started, together with the user's folder of sockets: two processes with the same
// host ID reach each other's sockets. Two containers of one machine have different ones unless they share that folder.
func HostID() (string, error) {
	dir, err := sockets()
	if err != nil {
		return "", err
	}
	boot, err := bootID()
	if err != nil {
		return "", fmt.Errorf("which boot of which machine this is: %w", err)
	}
	folder, err := folderID(dir)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256([]byte(boot + "\n" + folder))
	return hex.EncodeToString(sum[:8]), nil
}

// sockets is the folder of sockets. Its name is short, for paths of sockets must be.
func sockets() (string, error) { return Path("s") }
