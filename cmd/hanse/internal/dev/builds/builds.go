// Package builds compiles the programs of a system and asks them what they offer.
package builds

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// Dir is a folder with built programs. Use one for each system: programs that are up to date are then not linked again.
//
// A program is built into bin/ and started from run/, where each build has a file of its own. So what runs, and may be started
// again after a crash, stays when a newer build fails or is under way.
type Dir struct {
	Path string
	Env  []string // of the go command; nil: this process's
	n    atomic.Int64
}

// Error is what the compiler said.
type Error struct {
	Program string
	Output  string
}

// Error returns the compiler's output.
func (e *Error) Error() string { return e.Output }

// Jobs is how many programs are worth building at once: the go command itself uses all processors.
func Jobs() int { return max(2, runtime.GOMAXPROCS(0)/2) }

// Clean makes the folder and removes what an earlier process left in run/.
func (d *Dir) Clean() error {
	old, err := os.ReadDir(filepath.Join(d.Path, "run"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	for _, e := range old {
		os.Remove(filepath.Join(d.Path, "run", e.Name())) // one that still runs stays, on Windows
	}
	return errors.Join(os.MkdirAll(filepath.Join(d.Path, "bin"), 0o700), os.MkdirAll(filepath.Join(d.Path, "run"), 0o700))
}

// Compile compiles the packages that several programs import, which then need only be linked. It tells progress which package it
// has come to. What does not compile is left for [Dir.Build] to report.
func (d *Dir) Compile(ctx context.Context, dir string, packages []string, progress func(n int, pkg string)) error {
	cmd := d.command(ctx, dir, append([]string{"build", "-v", "-buildvcs=false"}, packages...)...)
	r, w := io.Pipe()
	cmd.Stderr = w
	done := make(chan struct{})
	go func() {
		defer close(done)
		n := 0
		var rest []byte
		buf := make([]byte, 4096)
		for {
			k, err := r.Read(buf)
			rest = append(rest, buf[:k]...)
			for {
				line, after, ok := bytes.Cut(rest, []byte("\n"))
				if !ok {
					break
				}
				if pkg := string(line); !strings.ContainsAny(pkg, " :") {
					n++
					progress(n, pkg)
				}
				rest = after
			}
			if err != nil {
				return
			}
		}
	}()
	err := cmd.Run()
	w.Close()
	<-done
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if _, ok := errors.AsType[*exec.ExitError](err); ok {
		return nil
	}
	return err
}

// Build builds the main package pkg of the module around dir as name. It returns the file to run, and whether that differs from
// the one that previous, the result of an earlier Build, names; if not, the file is previous. Mistakes in the code are an [*Error].
func (d *Dir) Build(ctx context.Context, dir, pkg, name, previous string) (file string, changed bool, err error) {
	bin := filepath.Join(d.Path, "bin", name+exe)
	before, _ := os.Stat(bin)
	cmd := d.command(ctx, dir, "build", "-buildvcs=false", "-o", bin, pkg)
	out, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		return "", false, ctx.Err()
	}
	if err != nil {
		if _, ok := errors.AsType[*exec.ExitError](err); !ok {
			return "", false, fmt.Errorf("running the go command: %w", err)
		}
		return "", false, &Error{Program: name, Output: tidy(string(out))}
	}
	after, err := os.Stat(bin)
	if err != nil {
		return "", false, err
	}
	// The go command makes a new file unless the old one is up to date.
	if previous != "" && before != nil && os.SameFile(before, after) {
		return previous, false, nil
	}
	file = filepath.Join(d.Path, "run", fmt.Sprintf("%s.%d%s", name, d.n.Add(1), exe))
	return file, true, link(bin, file)
}

// Version is a short mark of a built program, the same for the same code: dev-1f0c93ab. It is "" for a file that cannot be read.
func Version(file string) string {
	f, err := os.Open(file)
	if err != nil {
		return ""
	}
	defer f.Close()
	sum := crc32.New(crc32.MakeTable(crc32.Castagnoli)) // fast, and nobody forges one's own programs
	if _, err := io.Copy(sum, f); err != nil {
		return ""
	}
	return fmt.Sprintf("dev-%08x", sum.Sum32())
}

// tidy drops the lines that only name a package.
func tidy(out string) string {
	lines := slices.DeleteFunc(strings.Split(strings.TrimSpace(out), "\n"), func(l string) bool { return strings.HasPrefix(l, "# ") })
	return strings.Join(lines, "\n")
}

// link gives a file a second name, or copies it where file systems cannot.
func link(from, to string) error {
	os.Remove(to)
	if os.Link(from, to) == nil {
		return nil
	}
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o700)
	if err != nil {
		return err
	}
	_, err = io.Copy(dst, src)
	return errors.Join(err, dst.Close())
}

// listTime is how long a program may take to say what it offers.
const listTime = 20 * time.Second

// Services runs a program only to ask it for the names of its services.
func (d *Dir) Services(ctx context.Context, program, file string) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, listTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, file)
	cmd.Env = append(os.Environ(), "HANSE_LIST_SERVICES=json")
	cmd.WaitDelay = time.Second
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			err = fmt.Errorf("no answer within %v", listTime)
		}
		said := strings.TrimSpace(stderr.String())
		if said != "" {
			said = ":\n" + said
		}
		return nil, fmt.Errorf("%s does not list its services (HANSE_LIST_SERVICES=json): %w%s", program, err, said)
	}
	var list []struct{ Name string }
	// What the program prints on its own before main calls hanse stands before the list.
	text := stdout.Bytes()
	for len(text) > 0 {
		if json.Unmarshal(text, &list) == nil {
			break
		}
		_, text, _ = bytes.Cut(text, []byte("\n"))
	}
	var names []string
	for _, s := range list {
		names = append(names, s.Name)
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("%s lists no services (HANSE_LIST_SERVICES=json); it printed %q", program, strings.TrimSpace(stdout.String()))
	}
	return names, nil
}

func (d *Dir) command(ctx context.Context, dir string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = dir
	cmd.Env = d.Env
	detach(cmd)
	cmd.WaitDelay = 2 * time.Second
	return cmd
}
