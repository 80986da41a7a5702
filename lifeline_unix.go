//go:build unix

package hanse

import "syscall"

func keepFromChildren(fd uintptr) { syscall.CloseOnExec(int(fd)) }

// endProcess ends a program that only calls as SIGTERM would, so that it can clean up if it heeds that.
func endProcess() { syscall.Kill(syscall.Getpid(), syscall.SIGTERM) }
