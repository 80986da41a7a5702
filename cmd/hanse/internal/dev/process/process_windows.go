package process

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"unsafe"

	"golang.org/x/sys/windows"
)

// needsGuard: a job object ends with the process that holds it, and takes its processes along.
const needsGuard = false

type platform struct{ job windows.Handle }

func pipe() (ours io.Closer, theirs *os.File, err error) {
	r, w, err := os.Pipe()
	return w, r, err
}

func attach(cmd *exec.Cmd, theirs *os.File) string {
	h := theirs.Fd()
	// An error would show as a child that cannot read its lifeline, which it reports.
	windows.SetHandleInformation(windows.Handle(h), windows.HANDLE_FLAG_INHERIT, windows.HANDLE_FLAG_INHERIT)
	cmd.SysProcAttr = &syscall.SysProcAttr{AdditionalInheritedHandles: []syscall.Handle{syscall.Handle(h)}}
	return strconv.FormatUint(uint64(h), 10)
}

func keepFromChildren(handle uintptr) {
	windows.SetHandleInformation(windows.Handle(handle), windows.HANDLE_FLAG_INHERIT, 0)
}

func (*platform) prepare(cmd *exec.Cmd) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.CreationFlags |= windows.CREATE_NEW_PROCESS_GROUP
}

func (p *platform) started(cmd *exec.Cmd, foreign bool) error {
	if !foreign {
		return nil
	}
	job, err := windows.CreateJobObject(nil, nil)
	if err != nil {
		return fmt.Errorf("making a job object: %w", err)
	}
	info := windows.JOBOBJECT_EXTENDED_LIMIT_INFORMATION{}
	info.BasicLimitInformation.LimitFlags = windows.JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE
	_, err = windows.SetInformationJobObject(job, windows.JobObjectExtendedLimitInformation, uintptr(unsafe.Pointer(&info)), uint32(unsafe.Sizeof(info)))
	if err == nil {
		var h windows.Handle
		h, err = windows.OpenProcess(windows.PROCESS_SET_QUOTA|windows.PROCESS_TERMINATE, false, uint32(cmd.Process.Pid))
		if err == nil {
			err = windows.AssignProcessToJobObject(job, h)
			windows.CloseHandle(h)
		}
	}
	if err != nil {
		windows.CloseHandle(job)
		return fmt.Errorf("putting the command into a job object: %w", err)
	}
	p.job = job
	return nil
}

func (p *platform) ended(*exec.Cmd, bool) {
	if p.job != 0 {
		windows.CloseHandle(p.job) // ends what the command left behind
	}
}

func (p *platform) drain(cmd *exec.Cmd, foreign bool, lifeline io.Closer) {
	if foreign {
		windows.GenerateConsoleCtrlEvent(windows.CTRL_BREAK_EVENT, uint32(cmd.Process.Pid))
		return
	}
	lifeline.Close()
}

func (p *platform) kill(cmd *exec.Cmd, foreign bool) {
	if foreign && p.job != 0 {
		windows.TerminateJobObject(p.job, 1)
		return
	}
	cmd.Process.Kill()
}

// Guard is not used on Windows.
func Guard([]string) (int, error) { return 0, errors.New("Windows needs no guard") }
