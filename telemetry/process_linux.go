package telemetry

import (
	"bytes"
	"os"
	"strconv"
)

// readUsage reads /proc, as far as it may.
func readUsage() usage {
	u := rusage()
	u.memory, u.virtual, u.threads, u.files = -1, -1, -1, -1
	if text, err := os.ReadFile("/proc/self/statm"); err == nil {
		if f := bytes.Fields(text); len(f) > 1 {
			page := int64(os.Getpagesize())
			u.virtual, u.memory = pages(f[0], page), pages(f[1], page)
		}
	}
	if text, err := os.ReadFile("/proc/self/stat"); err == nil {
		// The name of the program, in parentheses, may hold anything.
		if f := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:]); len(f) > 17 {
			u.threads = pages(f[17], 1)
		}
	}
	if dir, err := os.Open("/proc/self/fd"); err == nil {
		names, err := dir.Readdirnames(-1)
		dir.Close()
		if err == nil {
			u.files = int64(len(names)) - 1 // without that of the folder
		}
	}
	return u
}

func pages(text []byte, size int64) int64 {
	n, err := strconv.ParseInt(string(text), 10, 64)
	if err != nil {
		return -1
	}
	return n * size
}
