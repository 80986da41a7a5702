//go:build linux && amd64

package natsevents_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// shadow has this process copy each file below a folder to another folder when it syncs it, and rename there what it renames; of files that
// were opened with O_SYNC it relies on their being renamed when they are complete. Whoever syncs goes on when the copy is there. The kernel does not do these calls before it has asked (seccomp's user notification); a goroutine of the
// same process answers, for what it does itself is not asked for.
func shadow(from, to string) error {
	if to == "" {
		return nil
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	watched := []uint32{unix.SYS_FSYNC, unix.SYS_FDATASYNC, unix.SYS_RENAME, unix.SYS_RENAMEAT, unix.SYS_RENAMEAT2}
	// Classic BPF: load the number of the call, compare it with each, and notify or allow. Of openat, notify when its flags say that
	// writes are synced.
	filter := []unix.SockFilter{{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS}}
	for i, number := range watched {
		filter = append(filter, unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jt: uint8(len(watched) - i + 3), K: number})
	}
	filter = append(filter,
		unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jf: 2, K: unix.SYS_OPENAT},
		unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 16 + 8*2}, // the third argument
		unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K, Jt: 1, K: unix.O_DSYNC},
		unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
		unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_USER_NOTIF})
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	flags := uintptr(unix.SECCOMP_FILTER_FLAG_NEW_LISTENER | unix.SECCOMP_FILTER_FLAG_TSYNC | unix.SECCOMP_FILTER_FLAG_TSYNC_ESRCH)
	fd, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags, uintptr(unsafe.Pointer(&program)))
	runtime.KeepAlive(filter)
	if errno != 0 {
		return fmt.Errorf("seccomp: %w", errno)
	}
	go answer(int(fd), from, to)
	return nil
}

// notification and response are the kernel's struct seccomp_notif and seccomp_notif_resp.
type notification struct {
	id     uint64
	pid    uint32
	flags  uint32
	number int32
	arch   uint32
	ip     uint64
	args   [6]uint64
}

type response struct {
	id    uint64
	value int64
	errno int32
	flags uint32
}

const (
	ioctlReceive   = 0xc0502100 // SECCOMP_IOCTL_NOTIF_RECV
	ioctlSend      = 0xc0182101 // SECCOMP_IOCTL_NOTIF_SEND
	flagContinue   = 1          // SECCOMP_USER_NOTIF_FLAG_CONTINUE
	shadowTestFail = 4          // the exit status when the copy cannot be made
)

// answer answers what the kernel asks, one after the other.
func answer(fd int, from, to string) {
	synced := make(map[string]bool) // files that were opened so that each write is
	for {
		var n notification
		if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), ioctlReceive, uintptr(unsafe.Pointer(&n))); errno != 0 {
			if errno == unix.EINTR || errno == unix.ENOENT {
				continue
			}
			fail(errno)
		}
		var err error
		switch n.number {
		case unix.SYS_FSYNC, unix.SYS_FDATASYNC:
			var path string
			if path, err = os.Readlink(fmt.Sprintf("/proc/self/fd/%d", n.args[0])); err == nil {
				err = keep(path, path, from, to)
			}
		case unix.SYS_OPENAT:
			synced[text(n.args[1])] = true
		default:
			first, second := n.args[0], n.args[1]
			if n.number != unix.SYS_RENAME { // a folder goes before each
				first, second = n.args[1], n.args[3]
			}
			old, new := text(first), text(second)
			if synced[old] {
				err = keep(old, new, from, to)
			} else {
				err = move(old, new, from, to)
			}
		}
		if err != nil {
			fail(err)
		}
		r := response{id: n.id, flags: flagContinue}
		if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), ioctlSend, uintptr(unsafe.Pointer(&r))); errno != 0 && errno != unix.ENOENT {
			fail(errno)
		}
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "shadow:", err)
	os.Exit(shadowTestFail)
}

// text reads a path of this process.
func text(at uint64) string {
	p := *(*unsafe.Pointer)(unsafe.Pointer(&at))
	return unix.BytePtrToString((*byte)(p))
}

// below returns where a path is in the shadow, and whether it is of the folder at all.
func below(path, from, to string) (string, bool) {
	rest, ok := strings.CutPrefix(path, from+string(filepath.Separator))
	return filepath.Join(to, rest), ok
}

// keep copies a file, under the name that it has or is about to get.
func keep(path, name, from, to string) error {
	target, ok := below(name, from, to)
	info, err := os.Stat(path)
	if !ok || errors.Is(err, os.ErrNotExist) || err == nil && info.IsDir() { // not ours, or removed already
		return nil
	}
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
		return err
	}
	in, err := os.Open(path)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(target)
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, in); err != nil {
		return errors.Join(err, out.Close())
	}
	return out.Close()
}

// move renames in the shadow what is there.
func move(old, new, from, to string) error {
	source, ok := below(old, from, to)
	target, ok2 := below(new, from, to)
	if !ok || !ok2 {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
		return err
	}
	// Go's own Rename would make the call that is asked for, and nobody would answer.
	err := unix.Link(source, target)
	if errors.Is(err, unix.EEXIST) {
		if err = unix.Unlink(target); err == nil {
			err = unix.Link(source, target)
		}
	}
	if errors.Is(err, unix.ENOENT) {
		// What was not synced has no content on the disk; its new name may have replaced what was there.
		if err = unix.Unlink(target); errors.Is(err, unix.ENOENT) {
			return nil
		}
		return err
	}
	if err != nil {
		return err
	}
	return unix.Unlink(source)
}
