package hanse

import (
	"bufio"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
)

// moduleRoot returns the folder that stands for this checkout of the program, so that two of them never meet: from the working
// folder upward the one whose go.mod names the program's main module; else the one of the source of package main; else that of the
// executable. inModule tells that it was found from the working folder.
func moduleRoot() (dir string, inModule bool) {
	main := ""
	if info, ok := debug.ReadBuildInfo(); ok {
		main = info.Main.Path
	}
	if wd, err := os.Getwd(); err == nil && main != "" {
		for dir := wd; ; dir = filepath.Dir(dir) {
			if modulePath(filepath.Join(dir, "go.mod")) == main {
				return dir, true
			}
			if dir == filepath.Dir(dir) {
				break
			}
		}
	}
	if dir := mainSource(); dir != "" {
		for up := dir; up != filepath.Dir(up); up = filepath.Dir(up) {
			if modulePath(filepath.Join(up, "go.mod")) != "" {
				return up, false
			}
		}
		return dir, false
	}
	if exe, err := os.Executable(); err == nil {
		if real, err := filepath.EvalSymlinks(exe); err == nil {
			exe = real
		}
		return filepath.Dir(exe), false
	}
	return ".", false
}

// mainSource returns the folder with the source of the function main that is running, when it is on this machine.
func mainSource() string {
	pcs := make([]uintptr, 64)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(1, pcs)])
	for {
		frame, more := frames.Next()
		if frame.Function == "main.main" {
			if dir := filepath.Dir(frame.File); filepath.IsAbs(dir) && isFolder(dir) {
				return dir
			}
		}
		if !more {
			return ""
		}
	}
}

func isFolder(dir string) bool {
	info, err := os.Stat(dir)
	return err == nil && info.IsDir()
}

// modulePath returns the path that a go.mod file declares, or "" when there is none.
func modulePath(file string) string {
	f, err := os.Open(file)
	if err != nil {
		return ""
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if rest, ok := strings.CutPrefix(strings.TrimSpace(lines.Text()), "module"); ok && rest != strings.TrimLeft(rest, " \t") {
			rest, _, _ = strings.Cut(rest, "//")
			return strings.Trim(strings.TrimSpace(rest), `"`+"`")
		}
	}
	return ""
}
