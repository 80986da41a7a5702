package hanse

import (
	"errors"
	"syscall"
)

// isWindowsAddrInUse knows Winsock's own number for an address in use.
func isWindowsAddrInUse(err error) bool {
	const wsaeaddrinuse = syscall.Errno(10048)
	return errors.Is(err, wsaeaddrinuse)
}
