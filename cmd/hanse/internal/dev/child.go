package dev

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/charmbracelet/x/ansi"
	"github.com/hanse-go/hanse/cmd/hanse/internal/dev/control"
	"github.com/hanse-go/hanse/cmd/hanse/internal/dev/logs"
	"github.com/hanse-go/hanse/cmd/hanse/internal/dev/process"
	"github.com/hanse-go/hanse/discovery"
)

const (
	// readyTime is how long a process may take to be ready. An app gives up its start after 30 s by itself and says why.
	readyTime = 60 * time.Second
	// drainTime is how long a process may take to end. An app cuts its calls off after 30 s by itself.
	drainTime = 40 * time.Second
)

// errEnded is returned for a process that ended before it was ready.
var errEnded = errors.New("it ended")

// launch starts a process for the slot; as its child, or beside the one that it has.
func (s *supervisor) launch(sl *slot, beside bool) (*child, error) {
	u := sl.unit
	c := &child{slot: sl, services: u.services, state: control.Starting, started: time.Now()}
	spec := process.Spec{Env: s.environ(u), Output: func(line string) { s.output(c, line) }}
	if s.certs != nil {
		names := u.services
		if len(names) == 0 {
			names = []string{u.name}
		}
		if err := s.certs.give(names...); err != nil {
			return nil, err
		}
	}
	if u.foreign() {
		if err := s.foreignSpec(c, &spec); err != nil {
			return nil, err
		}
	} else {
		s.mu.Lock()
		file, failure, root, label := u.program.file, u.program.failure, u.program.root, u.program.label()
		c.version = u.program.version
		s.mu.Unlock()
		if file == "" {
			return nil, &control.Error{What: fmt.Sprintf("%s is not built: %v", label, failure), Do: "mend it and save; hanse dev builds it then"}
		}
		spec.Command = []string{file}
		spec.Dir = root
		if u.entry != nil {
			spec.Command = append(spec.Command, u.entry.Args...)
			spec.Dir = filepath.Join(s.Dir, filepath.FromSlash(u.entry.Dir))
		}
	}
	s.mu.Lock()
	if s.stopping {
		s.mu.Unlock()
		return nil, context.Canceled
	}
	s.work.Add(1) // while stopAll cannot be waiting
	s.mu.Unlock()
	p, err := process.Start(spec)
	if err != nil {
		s.work.Done()
		return nil, fmt.Errorf("starting %s: %w", u.name, err)
	}
	s.mu.Lock()
	c.process = p
	if !beside {
		sl.child, sl.failure = c, nil
	}
	s.mu.Unlock()
	go func() {
		defer s.work.Done()
		s.attend(c)
	}()
	return c, nil
}

// environ returns the environment of the unit's processes.
func (s *supervisor) environ(u *unit) []string {
	set := map[string]string{
		"HANSE_SYSTEM":        s.Name,
		"HANSE_REGISTRY":      "local:" + s.Name,
		"HANSE_SERVICES":      strings.Join(u.services, ","),
		"HANSE_ADDR":          "127.0.0.1:0",
		"HANSE_ADMIN_ADDR":    "127.0.0.1:0",
		"HANSE_LOG_FORMAT":    "json",
		"HANSE_DOCS":          "true",
		"HANSE_CAPTURE":       cmp.Or(os.Getenv("HANSE_CAPTURE"), "16384"), // messages on spans, for the dashboard
		"HANSE_ADVERTISE":     "",
		"HANSE_LIST_SERVICES": "",
	}
	set["HANSE_BACKPLANE"] = cmp.Or(s.backplane.url, noBackplane)
	if u.foreign() || u.client {
		delete(set, "HANSE_SERVICES")
	}
	set["HANSE_IDENTITY"] = "off"
	if s.certs != nil {
		set["HANSE_IDENTITY"] = s.certs.folder(u.identity())
	}
	s.telemetryEnv(u, set)
	if u.entry != nil {
		for k, v := range u.entry.Env {
			set[k] = v
		}
	}
	env := slices.DeleteFunc(os.Environ(), func(e string) bool {
		name, _, _ := strings.Cut(e, "=")
		_, ok := set[name]
		return ok || name == "HANSE_SERVICES"
	})
	for k, v := range set {
		if v != "" {
			env = append(env, k+"="+v)
		}
	}
	return env
}

// output takes a line that a process printed.
func (s *supervisor) output(c *child, text string) {
	l := logs.Parse(text, time.Now())
	u := c.slot.unit
	s.mu.Lock()
	if !slices.Contains(c.services, l.Service) {
		if l.Service != "" {
			l.Attrs = append(l.Attrs, logs.Attr{Key: "service", Value: l.Service})
		}
		l.Service = u.name
	}
	if c.slot.name() != u.name {
		l.Replica = c.slot.number
	}
	if c.process != nil {
		l.PID = c.process.PID()
	}
	if c.last = append(c.last, plain(l)); len(c.last) > lastLines {
		c.last = slices.Delete(c.last, 0, 1)
	}
	c.blame(l)
	s.mu.Unlock()
	s.tell(l)
}

const (
	causeLength = 140             // how much of a process's own words stands beside its exit status
	causeAge    = 5 * time.Second // what it said longer ago has nothing to do with its end
)

// blame notes a line that may say why the process ends: an error that it logs, or something outside of its log; of a panic the line
// that names it, and not the stack that follows. The caller holds supervisor.mu.
func (c *child) blame(l logs.Line) {
	text, _, _ := strings.Cut(strings.TrimSpace(l.Msg), "\n")
	if c.panicked || text == "" || l.Level != "" && l.Level != "ERROR" {
		return
	}
	c.panicked = l.Level == "" && (strings.HasPrefix(text, "panic: ") || strings.HasPrefix(text, "fatal error: "))
	c.cause, c.causeAt = ansi.Truncate(ansi.Strip(text), causeLength, "…"), l.Time
}

// why returns what the process said was wrong shortly before it ended. The caller holds supervisor.mu.
func (c *child) why(now time.Time) string {
	if now.Sub(c.causeAt) > causeAge {
		return ""
	}
	return c.cause
}

// plain is a line as it is shown again after a failure.
func plain(l logs.Line) string {
	var b strings.Builder
	if l.Level != "" {
		b.WriteString(l.Level + " ")
	}
	b.WriteString(l.Msg)
	for _, a := range l.Attrs {
		b.WriteString(" " + a.Key + "=")
		if strings.ContainsAny(a.Value, " \n") {
			b.WriteString(strconv.Quote(a.Value))
		} else {
			b.WriteString(a.Value)
		}
	}
	return b.String()
}

// awaitReady waits until the registry has all services of the process as ready. It returns an error that wraps errEnded when the
// process ended first.
func (s *supervisor) awaitReady(ctx context.Context, c *child) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	ctx, cancel := context.WithTimeoutCause(ctx, readyTime, fmt.Errorf("it was not ready within %v", readyTime))
	defer cancel()
	u := c.slot.unit
	var ok bool
	switch {
	case u.client:
		ok = true // nothing tells when it is
	default:
		pid := c.process.PID()
		ok = s.board.Await(ctx, c.process.Done(), func(list []discovery.Instance) bool {
			for _, service := range c.services {
				if !slices.ContainsFunc(list, func(i discovery.Instance) bool {
					return i.PID == pid && i.Service == service && i.State == discovery.Ready
				}) {
					return false
				}
			}
			return true
		})
	}
	if !ok {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		exit := c.process.Exit().Text
		s.mu.Lock()
		defer s.mu.Unlock()
		return fmt.Errorf("%w: %s", errEnded, withCause(exit, c.why(time.Now())))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c.state, c.readyAt = control.Ready, time.Now()
	return nil
}

// drain ends a process: as soon as it has finished what it does, or at once after drainTime.
func (s *supervisor) drain(c *child) {
	if c == nil {
		return
	}
	s.mu.Lock()
	c.told = true
	c.state = control.Draining
	s.mu.Unlock()
	c.process.Drain()
	limit := time.NewTimer(drainTime)
	defer limit.Stop()
	select {
	case <-c.process.Done():
	case <-s.Kill:
		c.process.Kill()
	case <-limit.C:
		s.problemf("%s (process %d) does not end within %v; it is killed", c.slot.unit.name, c.process.PID(), drainTime)
		c.process.Kill()
	}
	<-c.process.Done()
}

// attend waits for the end of a process.
func (s *supervisor) attend(c *child) {
	<-c.process.Done()
	exit := c.process.Exit()
	s.mu.Lock()
	told := c.told || s.stopping
	s.mu.Unlock()
	if !told {
		s.ended(c, exit)
	}
}
