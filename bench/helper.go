package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
)

// helperRole is the environment variable that makes this program a helper process of the subjects collector and telemetry: what it is, and the address
// that it works with.
const helperRole = "HANSE_BENCH_HELPER"

// serveHelper is the work of a helper process. It reports whether this process is one.
func serveHelper() bool {
	role, address, _ := strings.Cut(os.Getenv(helperRole), " ")
	work := map[string]func(address string) error{"keep": keepTelemetry, "send": sendTelemetry, "serve": serveCalls, "call": makeCalls, "sink": throwAway}[role]
	if work == nil {
		return false
	}
	if err := work(address); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", role+":", err)
		os.Exit(1)
	}
	return true
}

// helperProcess is a process of this program, which answers each line of its input with one line.
type helperProcess struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

func startHelper(ctx context.Context, role, address string) (*helperProcess, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p := &helperProcess{cmd: exec.CommandContext(ctx, self)}
	p.cmd.Env, p.cmd.Stderr = append(os.Environ(), helperRole+"="+role+" "+address), os.Stderr
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.out = bufio.NewReader(out)
	return p, p.cmd.Start()
}

func (p *helperProcess) line() (string, error) {
	s, err := p.out.ReadString('\n')
	return strings.TrimSpace(s), err
}

func (p *helperProcess) ask(text string) (string, error) {
	if _, err := fmt.Fprintln(p.in, text); err != nil {
		return "", err
	}
	return p.line()
}

func (p *helperProcess) end() { p.in.Close(); p.cmd.Wait() }

// eachLine answers lines of the input until it ends.
func eachLine(answer func(line string) string) error {
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		fmt.Println(answer(in.Text()))
	}
	return in.Err()
}
