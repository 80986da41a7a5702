//go:build !windows

package hanse

func isWindowsAddrInUse(error) bool { return false }
