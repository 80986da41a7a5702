package hanse

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"sync"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Go runs a task in the background: from when all set-ups have returned, or at once when they have, until it returns by itself or
// its context ends because the service stops. The name is for messages. A task that returns an error or panics stops the app,
// which then drains; one that returns nil is done.
func (s *Service) Go(name string, task func(ctx context.Context) error) {
	t := &backgroundTask{name: name, run: task}
	s.mu.Lock()
	m := s.member
	if m == nil || !m.tasksStarted {
		s.tasks = append(s.tasks, t)
		s.mu.Unlock()
		return
	}
	s.mu.Unlock()
	m.run.tasks.start(m, t)
}

// startTasks starts the tasks that were declared so far.
func (m *member) startTasks() {
	m.Service.mu.Lock()
	tasks := m.tasks
	m.tasks = nil
	m.tasksStarted = true
	m.Service.mu.Unlock()
	for _, t := range tasks {
		m.run.tasks.start(m, t)
	}
}

type backgroundTask struct {
	name string
	run  func(ctx context.Context) error
}

// taskGroup is the tasks of all services of a run.
type taskGroup struct {
	fail   func(error)
	ctx    context.Context
	cancel context.CancelFunc

	mu      sync.Mutex
	running map[*backgroundTask]string // and how it is called in messages
	stopped bool
	errs    []error       // of tasks that failed while they were stopped
	idle    chan struct{} // closed when stopped and nothing runs
}

func newTaskGroup(ctx context.Context, fail func(error)) *taskGroup {
	g := &taskGroup{fail: fail, running: make(map[*backgroundTask]string), idle: make(chan struct{})}
	g.ctx, g.cancel = context.WithCancel(ctx)
	return g
}

func (g *taskGroup) start(m *member, t *backgroundTask) {
	label := fmt.Sprintf("task %s of %s", t.name, m.Name)
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.stopped {
		m.log.Warn("task not started, for the app stops", "task", t.name)
		return
	}
	g.running[t] = label
	go func() {
		err := protect(m.log, label, func() error { return t.run(g.ctx) })
		g.done(t, label, err)
	}()
}

func (g *taskGroup) done(t *backgroundTask, label string, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.running, t)
	switch {
	case err == nil:
	case g.ctx.Err() == nil:
		g.fail(fmt.Errorf("%s failed: %w", label, err))
	case !isCancellation(err):
		g.errs = append(g.errs, fmt.Errorf("%s failed while it was stopped: %w", label, err))
	}
	if g.stopped && len(g.running) == 0 {
		close(g.idle)
	}
}

// stop cancels the tasks and waits for them until ctx ends. It returns the errors of those that failed to stop properly.
func (g *taskGroup) stop(ctx context.Context) error {
	g.cancel()
	g.mu.Lock()
	if !g.stopped {
		g.stopped = true
		if len(g.running) == 0 {
			close(g.idle)
		}
	}
	g.mu.Unlock()
	select {
	case <-g.idle:
	case <-ctx.Done():
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	errs := g.errs
	g.errs = nil
	return errors.Join(errs...)
}

// labels returns what still runs.
func (g *taskGroup) labels() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	var all []string
	for _, label := range g.running {
		all = append(all, label)
	}
	slices.Sort(all)
	return all
}

// protect calls f and turns a panic into an error, whose stack it logs. f runs on a goroutine of its own, so that Goexit does not
// take the caller along.
func protect(log *slog.Logger, what string, f func() error) error {
	done := make(chan error, 1)
	go func() {
		err := errors.New("it called runtime.Goexit")
		defer func() {
			if p := recover(); p != nil {
				log.Error("panic in "+what, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
				err = fmt.Errorf("panic: %v (the log has the stack)", p)
			}
			done <- err
		}()
		err = f()
	}()
	return <-done
}

// isCancellation reports whether err only says that a context has ended.
func isCancellation(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) || status.Code(err) == codes.Canceled
}
