package portowner

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

const howToFind = "`sudo ss -ltnp sport = :PORT`"

// Find returns the process that listens on the TCP port. It finds only processes that the caller may look into: its own user's, or
// all for root.
func Find(port int) (Owner, bool) {
	inodes := make(map[string]bool)
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		f, err := os.Open(table)
		if err != nil {
			continue
		}
		for lines := bufio.NewScanner(f); lines.Scan(); {
			if inode, ok := listening(lines.Text(), port); ok {
				inodes["socket:["+inode+"]"] = true
			}
		}
		f.Close()
	}
	if len(inodes) == 0 {
		return Owner{}, false
	}
	fds, _ := filepath.Glob("/proc/[0-9]*/fd/*")
	for _, fd := range fds {
		if link, err := os.Readlink(fd); err != nil || !inodes[link] {
			continue
		}
		pid, _ := strconv.Atoi(strings.Split(fd, "/")[2])
		args, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		command := strings.TrimSpace(strings.ReplaceAll(string(args), "\x00", " "))
		if r := []rune(command); len(r) > 80 {
			command = string(r[:80]) + "…"
		}
		return Owner{PID: pid, Command: command}, true
	}
	return Owner{}, false
}

// listening returns the inode of the socket that a line of /proc/net/tcp describes, if it listens on the port.
func listening(line string, port int) (inode string, ok bool) {
	const listen = "0A"
	f := strings.Fields(line) // number, local address, remote address, state, …, inode at 9
	if len(f) < 10 || f[3] != listen {
		return "", false
	}
	_, hex, _ := strings.Cut(f[1], ":")
	n, err := strconv.ParseUint(hex, 16, 16)
	return f[9], err == nil && int(n) == port
}
