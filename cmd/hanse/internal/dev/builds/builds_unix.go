//go:build unix

package builds

import (
	"os/exec"
	"syscall"
)

const exe = ""

// detach makes Ctrl-C in the terminal the business of hanse dev alone, and a cancelled build end with its compilers.
func detach(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
}
