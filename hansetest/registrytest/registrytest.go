// Package registrytest runs systems of processes under load while the engine of their registry fails. No call may fail. It is for the tests
// of a registry that passes discoverytest:
//
//	func TestMain(m *testing.M) {
//		if registrytest.Program(discovery.Schemes{"etcd": etcddiscovery.Open}) {
//			return
//		}
//		goleak.VerifyTestMain(m)
//	}
//
//	func TestOutage(t *testing.T) { registrytest.RunOutage(t, engine, "etcd") }
package registrytest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/discovery/discoverytest"
)

// Member is a server of several that make one.
type Member interface {
	discoverytest.Server
	// Leads reports whether the others follow it.
	Leads() bool
}

// system is a system of two services of two processes each, under load.
type system struct {
	t      *testing.T
	url    string
	reader func() discovery.Registrar
	calls  *calls
}

// startSystem starts the system shop with the registry of a scheme, in a server or in several that make one.
func startSystem(t *testing.T, scheme string, servers ...discoverytest.Server) *system {
	t.Helper()
	var addresses []string
	for _, server := range servers {
		addresses = append(addresses, server.Address())
	}
	s := &system{t: t, url: scheme + "://" + strings.Join(addresses, ",") + "/shop"}
	s.reader = func() discovery.Registrar {
		return servers[0].Open(discoverytest.Handle{System: "shop", Addresses: addresses})
	}
	for _, name := range []string{"echo", "echo", "front", "front"} {
		s.start(name)
	}
	s.announced(2, 2)
	s.calls = newCalls(t, s.reader())
	discoverytest.Eventually(t, "calls are answered by both", func() bool { return s.calls.answerers() == 2 })
	s.report("in peace")
	return s
}

// announced returns when so many instances of the services are ready for who knew nothing before.
func (s *system) announced(echo, front int) {
	s.t.Helper()
	ready := func(service string, n int) bool {
		ctx, cancel := context.WithTimeout(s.t.Context(), 2*time.Second)
		defer cancel()
		text := ""
		if err := s.reader().Watch(ctx, service, func(l []discovery.Instance) { text = discoverytest.Format(l); cancel() }); err != nil {
			s.t.Error(err)
		}
		return strings.Count(text, "ready") == n
	}
	discoverytest.Eventually(s.t, "all are announced", func() bool { return ready("echo", echo) && ready("front", front) })
}

// addEcho starts one more echo and returns how long it took until it was called.
func (s *system) addEcho() time.Duration {
	s.t.Helper()
	began := time.Now()
	pid := s.start("echo")
	discoverytest.Eventually(s.t, "a new one is called", func() bool { return s.calls.answeredBy(pid) })
	return time.Since(began).Round(10 * time.Millisecond)
}

// report logs the calls since the last report.
func (s *system) report(format string, args ...any) {
	ok, failed, by := s.calls.take()
	s.t.Logf("%-54s %6d calls, %d failed, answered by %d", fmt.Sprintf(format, args...), ok+failed, failed, by)
}

// measured reports whether the long form runs, on a machine that does nothing else: there times are held, too. The short form shows that
// the system converges, and waits for that as for anything else.
func measured() bool { return os.Getenv("HANSE_ENGINES") != "" }

// RunOutage kills the server for a while, and then once more with the loss of what it has.
func RunOutage(t *testing.T, engine discoverytest.Engine, scheme string) {
	away, afterwards := 4*time.Second, time.Second
	if measured() {
		away, afterwards = 30*time.Second, 12*time.Second // until what was kept in doubt is forgotten
	}
	server := engine.New(t)
	server.Start()
	s := startSystem(t, scheme, server)

	server.Kill()
	<-time.After(away)
	s.report("killed for %v", away)

	server.Start()
	s.report("back; a new process was called after %v", s.addEcho())

	server.Kill()
	server.Wipe()
	server.Start()
	wiped := time.Now()
	s.announced(3, 2)
	again := time.Since(wiped)
	s.report("wiped; all were announced after %v", again.Round(10*time.Millisecond))
	s.report("a new process was called after %v", s.addEcho())
	if measured() && again > 3*time.Second {
		t.Errorf("converged %v after the wipe", again)
	}
	<-time.After(afterwards)
	s.report("%v later", afterwards)
	s.calls.check(t)
}

// RunLeaderKilled kills the one of three servers that leads, again and again, and has instances come meanwhile. The members that
// engine.NewCluster returns are of type [Member].
func RunLeaderKilled(t *testing.T, engine discoverytest.Engine, scheme string) {
	rounds := 1
	if measured() {
		rounds = 3
	}
	members := engine.NewCluster(t)
	s := startSystem(t, scheme, members...)
	for round := range rounds {
		var leader discoverytest.Server
		discoverytest.Eventually(t, "one leads", func() bool {
			for _, m := range members {
				if m.(Member).Leads() {
					leader = m
				}
			}
			return leader != nil
		})
		leader.Kill()
		took := s.addEcho()
		s.report("the leader was killed; a new process was called after %v", took)
		if measured() && took > 15*time.Second { // an election of NATS alone takes up to 9 s, and one may follow another
			t.Errorf("converged %v after the leader was killed", took)
		}
		leader.Start()
		s.announced(3+round, 2)
		s.report("it is back")
	}
	s.calls.check(t)
}

// start runs a program until the test ends, and returns its process ID.
func (s *system) start(name string) string {
	t := s.t
	t.Helper()
	lifeline, ours, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	var out discoverytest.Log
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), programVariable+"="+name, "HANSE_REGISTRY="+s.url, "HANSE_LIFELINE=3", "HANSE_LOG_FORMAT=text",
		"XDG_RUNTIME_DIR="+runDir(t))
	cmd.ExtraFiles, cmd.Stdout, cmd.Stderr = []*os.File{lifeline}, &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = lifeline.Close()
	pid := fmt.Sprint(cmd.Process.Pid)
	t.Cleanup(func() {
		_ = ours.Close() // drain and exit
		if err := cmd.Wait(); err != nil {
			t.Errorf("%s %s: %v", name, pid, err)
		}
		if t.Failed() {
			t.Logf("%s %s:\n%s", name, pid, out.String())
		}
	})
	return pid
}

// runDir is a folder for sockets, whose paths have to be short.
func runDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "reg")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}
