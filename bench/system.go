package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"
)

// system is a running `hanse dev`.
type system struct {
	env       *environment
	name      string
	cmd       *exec.Cmd
	begin     time.Time
	firstLine time.Duration // until the first line of output; set before ready returns
	output    tail
}

// instance is a row of `hanse ps --json`.
type instance struct {
	Service  string `json:"service"`
	Instance string `json:"instance"`
	State    string `json:"state"`
	PID      int    `json:"pid"`
}

// startDev runs `hanse dev` with arguments in a folder; extra is added to the environment.
func startDev(ctx context.Context, env *environment, dir, name string, extra []string, args ...string) (*system, error) {
	s := &system{env: env, name: name}
	s.cmd = exec.CommandContext(ctx, env.hanse, append([]string{"dev"}, args...)...)
	s.cmd.Dir = dir
	s.cmd.Env = append(append(os.Environ(), "NO_COLOR=1"), extra...)
	s.cmd.Cancel = func() error { return s.cmd.Process.Signal(os.Interrupt) }
	s.cmd.WaitDelay = 40 * time.Second
	pipe, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	s.cmd.Stderr = s.cmd.Stdout
	s.begin = time.Now()
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	first := make(chan time.Duration, 1)
	go func() {
		r := bufio.NewReader(pipe)
		line, _ := r.ReadString('\n')
		first <- time.Since(s.begin)
		s.output.Write([]byte(line))
		io.Copy(&s.output, r)
	}()
	select {
	case s.firstLine = <-first:
		return s, nil
	case <-time.After(5 * time.Minute):
		return nil, errors.Join(errors.New("hanse dev printed nothing in 5 minutes"), stop(s.cmd))
	}
}

// ready waits until n services have a ready instance and returns the time since the start.
func (s *system) ready(ctx context.Context, n int) (time.Duration, []instance, error) {
	for ctx.Err() == nil && time.Since(s.begin) < 10*time.Minute {
		list, err := s.ps(ctx)
		services := map[string]bool{}
		for _, i := range list {
			if i.State == "ready" {
				services[i.Service] = true
			}
		}
		if err == nil && len(services) >= n {
			return time.Since(s.begin), list, nil
		}
		time.Sleep(100 * time.Millisecond)
	}
	return 0, nil, fmt.Errorf("%s was not ready with %d services; its last output:\n%s", s.name, n, s.output.String())
}

func (s *system) ps(ctx context.Context) ([]instance, error) {
	out, err := exec.CommandContext(ctx, s.env.hanse, "ps", "--json", "--system", s.name).Output()
	if err != nil {
		return nil, err
	}
	var list []instance
	return list, json.Unmarshal(out, &list)
}

func (s *system) stop() error {
	if err := stop(s.cmd); err != nil {
		return fmt.Errorf("hanse dev: %w; its last output:\n%s", err, s.output.String())
	}
	return nil
}

// tail keeps the last lines that were written to it.
type tail struct {
	mu   sync.Mutex
	text string
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text += string(p)
	if len(t.text) > 8<<10 {
		t.text = t.text[len(t.text)-4<<10:]
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.TrimSpace(t.text)
}
