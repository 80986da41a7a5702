//go:build unix

package process

import (
	"io"
	"os"
	"os/exec"
	"syscall"
)

// needsGuard: nothing but another process can end a group of processes when this one is killed.
const needsGuard = true

type platform struct{}

func pipe() (ours io.Closer, theirs *os.File, err error) {
	r, w, err := os.Pipe()
	return w, r, err
}

func attach(cmd *exec.Cmd, theirs *os.File) string {
	cmd.ExtraFiles = []*os.File{theirs}
	return "3"
}

func keepFromChildren(fd uintptr) { syscall.CloseOnExec(int(fd)) }

func (*platform) prepare(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

func (*platform) started(*exec.Cmd, bool) error { return nil }

// ended ends what a foreign command left behind.
func (p *platform) ended(cmd *exec.Cmd, foreign bool) {
	if foreign {
		syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	}
}

func (*platform) drain(cmd *exec.Cmd, foreign bool, _ io.Closer) { send(cmd, foreign, syscall.SIGTERM) }

func (*platform) kill(cmd *exec.Cmd, foreign bool) { send(cmd, foreign, syscall.SIGKILL) }

// send does nothing when the process has ended: there is nobody to tell.
func send(cmd *exec.Cmd, group bool, sig syscall.Signal) {
	if group {
		syscall.Kill(-cmd.Process.Pid, sig)
		return
	}
	cmd.Process.Signal(sig)
}
