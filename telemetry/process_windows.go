package telemetry

import (
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/windows"
)

const (
	filesMetric      = "process.windows.handle.count"
	filesDescription = "Number of handles held by the process."
	filesUnit        = "{handle}"
)

var (
	kernel32              = windows.NewLazySystemDLL("kernel32.dll")
	getProcessMemoryInfo  = kernel32.NewProc("K32GetProcessMemoryInfo")
	getProcessHandleCount = kernel32.NewProc("GetProcessHandleCount")
)

// memoryCounters is PROCESS_MEMORY_COUNTERS.
type memoryCounters struct {
	size                       uint32
	pageFaults                 uint32
	peakWorkingSet, workingSet uintptr
	peakPaged, paged           uintptr
	peakNonPaged, nonPaged     uintptr
	pagefile, peakPagefile     uintptr
}

func readUsage() usage {
	u := usage{user: -1, system: -1, memory: -1, virtual: -1, threads: -1, files: -1}
	self, err := syscall.GetCurrentProcess()
	if err != nil {
		return u
	}
	var began, ended, kernel, user syscall.Filetime
	if syscall.GetProcessTimes(self, &began, &ended, &kernel, &user) == nil {
		u.user, u.system = filetime(user), filetime(kernel)
	}
	m := memoryCounters{}
	m.size = uint32(unsafe.Sizeof(m))
	if ok, _, _ := getProcessMemoryInfo.Call(uintptr(self), uintptr(unsafe.Pointer(&m)), uintptr(m.size)); ok != 0 {
		u.memory, u.virtual = int64(m.workingSet), int64(m.pagefile)
	}
	var handles uint32
	if ok, _, _ := getProcessHandleCount.Call(uintptr(self), uintptr(unsafe.Pointer(&handles))); ok != 0 {
		u.files = int64(handles)
	}
	return u
}

// filetime is a duration in units of 100 ns.
func filetime(f syscall.Filetime) time.Duration {
	return time.Duration(int64(f.HighDateTime)<<32|int64(f.LowDateTime)) * 100
}
