//go:build unix

package process

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"
)

// guardGrace is how long a foreign command may take to end after its parent died.
const guardGrace = 10 * time.Second

// Guard runs command until it ends and returns its exit status. When the lifeline of this process ends first, because its parent
// was killed, Guard ends the command and all others of its process group, itself included.
//
// A guard leads the process group that it runs its command in; signals to the group are for the command, so it survives them.
func Guard(command []string) (int, error) {
	life, err := TakeLifeline()
	if err != nil {
		return 0, err
	}
	if life == nil {
		return 0, errors.New("the guard has no lifeline (HANSE_LIFELINE): it is started by hanse dev and hanse run only")
	}
	if syscall.Getpgrp() != os.Getpid() {
		return 0, errors.New("the guard must lead a process group: it is started by hanse dev only")
	}
	ignored := make(chan os.Signal, 1)
	signal.Notify(ignored, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP) // not Ignore, which the command would inherit
	defer signal.Stop(ignored)

	cmd := exec.Command(command[0], command[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	if err := cmd.Start(); err != nil {
		return 0, fmt.Errorf("starting %s: %w", command[0], err)
	}
	go func() {
		io.Copy(io.Discard, life) // until the parent's end is closed
		syscall.Kill(0, syscall.SIGTERM)
		time.Sleep(guardGrace)
		syscall.Kill(0, syscall.SIGKILL)
	}()
	cmd.Wait() // its error is in the ProcessState
	if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal()), nil
	}
	return cmd.ProcessState.ExitCode(), nil
}
