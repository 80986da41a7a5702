// Package process runs the programs of a system as child processes that cannot outlive their parent: programs built with Hanse end
// by a lifeline, a pipe whose end they inherit, and foreign commands are ended, with all that they started, by a guard.
package process

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"time"
)

// Spec says what to run.
type Spec struct {
	Command []string // program and arguments
	Dir     string
	Env     []string // the whole environment
	// Foreign is a command that knows nothing of Hanse. It gets no lifeline but a guard, and is signalled as a group.
	Foreign bool
	// Guard is the command that runs [Guard] with a foreign command as its arguments. Windows needs none.
	Guard []string
	// Output gets each line of standard output and standard error, without its end. It is called by one goroutine at a time.
	Output func(line string)
	// Stdout and Stderr, when one of them is set, get the output as it is, instead of Output. Files are handed to the child.
	Stdout, Stderr io.Writer
}

// Process is a running child.
type Process struct {
	cmd      *exec.Cmd
	foreign  bool
	lifeline io.Closer // our end; closing it makes the child drain
	platform platform
	done     chan struct{}
	exit     Exit
	once     sync.Once
}

// Exit tells how a process ended.
type Exit struct {
	Code int    // exit status; -1 when a signal ended it
	Text string // "exit status 1", "signal: killed"
}

// Start starts a child in a process group of its own, so that Ctrl-C in the terminal does not reach it.
func Start(s Spec) (*Process, error) {
	command := s.Command
	if s.Foreign && needsGuard {
		command = append(append([]string{}, s.Guard...), command...)
	}
	ours, theirs, err := pipe()
	if err != nil {
		return nil, fmt.Errorf("making the lifeline: %w", err)
	}
	defer theirs.Close()
	out := &lines{emit: s.Output}
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Dir = s.Dir
	cmd.Env = s.Env
	cmd.Stdout, cmd.Stderr = out, out
	if s.Stdout != nil || s.Stderr != nil {
		cmd.Stdout, cmd.Stderr = s.Stdout, s.Stderr
	}
	// A grandchild may keep the output open; the child's end is what counts.
	cmd.WaitDelay = time.Second
	p := &Process{cmd: cmd, foreign: s.Foreign, lifeline: ours, done: make(chan struct{})}
	if !s.Foreign || needsGuard {
		cmd.Env = append(cmd.Env[:len(cmd.Env):len(cmd.Env)], "HANSE_LIFELINE="+attach(cmd, theirs))
	}
	p.platform.prepare(cmd)
	if err := cmd.Start(); err != nil {
		ours.Close()
		return nil, err
	}
	if err := p.platform.started(cmd, s.Foreign); err != nil {
		cmd.Process.Kill()
		cmd.Wait()
		ours.Close()
		return nil, err
	}
	go p.wait(out)
	return p, nil
}

func (p *Process) wait(out *lines) {
	err := p.cmd.Wait()
	p.platform.ended(p.cmd, p.foreign)
	out.flush()
	p.lifeline.Close()
	p.exit.Code = p.cmd.ProcessState.ExitCode()
	p.exit.Text = p.cmd.ProcessState.String()
	if err != nil && !errors.Is(err, exec.ErrWaitDelay) {
		if _, ok := errors.AsType[*exec.ExitError](err); !ok {
			p.exit.Text += " (" + err.Error() + ")"
		}
	}
	close(p.done)
}

// PID of the child; of a foreign command, the leader of its group.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Done is closed when the process has ended and its output is read.
func (p *Process) Done() <-chan struct{} { return p.done }

// Exit tells how the process ended. Only after [Process.Done].
func (p *Process) Exit() Exit {
	<-p.done
	return p.exit
}

// Drain asks the process to finish what it does and to end. Only the first call counts: a second signal would mean "at once".
func (p *Process) Drain() {
	p.once.Do(func() { p.platform.drain(p.cmd, p.foreign, p.lifeline) })
}

// Kill ends the process at once, a foreign command with all that it started.
func (p *Process) Kill() {
	select {
	case <-p.done: // the number may be another's by now
	default:
		p.platform.kill(p.cmd, p.foreign)
	}
}

// maxLine is how many bytes of a line are kept together.
const maxLine = 64 << 10

// lines cuts what is written to it into lines. exec.Cmd calls Write from one goroutine at a time when both outputs are the same.
type lines struct {
	emit func(string)
	rest []byte
}

func (l *lines) Write(b []byte) (int, error) {
	n := len(b)
	for len(b) > 0 {
		i := 0
		for i < len(b) && b[i] != '\n' && len(l.rest)+i < maxLine {
			i++
		}
		l.rest = append(l.rest, b[:i]...)
		b = b[i:]
		switch {
		case len(b) > 0 && b[0] == '\n':
			b = b[1:]
			l.out()
		case len(l.rest) >= maxLine:
			l.out()
		}
	}
	return n, nil
}

func (l *lines) flush() {
	if len(l.rest) > 0 {
		l.out()
	}
}

func (l *lines) out() {
	line := l.rest
	if n := len(line); n > 0 && line[n-1] == '\r' {
		line = line[:n-1]
	}
	l.emit(string(line))
	l.rest = l.rest[:0]
}

// TakeLifeline opens the inherited end of the lifeline that the variable HANSE_LIFELINE names, which it takes out of the environment, for
// it is not for the children of this process. Without the variable it returns nil.
func TakeLifeline() (*os.File, error) {
	value := os.Getenv("HANSE_LIFELINE")
	if value == "" {
		return nil, nil
	}
	os.Unsetenv("HANSE_LIFELINE")
	n, err := strconv.ParseUint(value, 10, 64)
	if err != nil {
		return nil, fmt.Errorf("HANSE_LIFELINE is %q, not a number", value)
	}
	keepFromChildren(uintptr(n))
	life := os.NewFile(uintptr(n), "lifeline")
	if life == nil {
		return nil, fmt.Errorf("HANSE_LIFELINE is %q: there is no such pipe", value)
	}
	if _, err := life.Stat(); err != nil {
		return nil, fmt.Errorf("HANSE_LIFELINE is %q: %w", value, err)
	}
	return life, nil
}
