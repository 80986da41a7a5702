package hanse

import (
	"os"
	"syscall"
)

func keepFromChildren(handle uintptr) {
	syscall.SetHandleInformation(syscall.Handle(handle), syscall.HANDLE_FLAG_INHERIT, 0)
}

// endProcess ends a program that only calls. Windows has no signal for it.
func endProcess() { os.Exit(exitFailure) }
