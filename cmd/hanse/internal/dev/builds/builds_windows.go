package builds

import (
	"os/exec"
	"syscall"

	"golang.org/x/sys/windows"
)

const exe = ".exe"

// detach makes Ctrl-C in the terminal the business of hanse dev alone.
func detach(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{CreationFlags: windows.CREATE_NEW_PROCESS_GROUP}
}
