//go:build unix

package e2e_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/hanse-go/hanse"
	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/examples/e2e/onhost"
	"github.com/hanse-go/hanse/identity"
)

// program is a process of a test's own. It ends with the test, however that ends.
type program struct {
	cmd    *exec.Cmd
	out    output
	line   io.Closer // the end of what keeps it alive
	exited chan struct{}
}

// run starts a program built with Hanse. What it prints is in out.
func run(t *testing.T, bin string, env map[string]string, args ...string) *program {
	t.Helper()
	theirs, ours, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer theirs.Close()
	p := &program{cmd: exec.Command(bin, args...), line: ours, exited: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), "HANSE_LIFELINE=3", "HANSE_LOG_FORMAT=text")
	for _, name := range slices.Sorted(maps.Keys(env)) {
		p.cmd.Env = append(p.cmd.Env, name+"="+env[name])
	}
	p.cmd.ExtraFiles, p.cmd.Stdout, p.cmd.Stderr = []*os.File{theirs}, &p.out, &p.out
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		p.cmd.Wait() // its error is in ProcessState
		close(p.exited)
	}()
	t.Cleanup(func() {
		p.line.Close() // drain and exit
		select {
		case <-p.exited:
		case <-time.After(patience):
			t.Errorf("%s does not end with the test", bin)
			p.cmd.Process.Kill()
			<-p.exited
		}
		if t.Failed() {
			t.Logf("%s %v: %v\n%s", filepath.Base(bin), env["HANSE_SERVICES"], p.cmd.ProcessState, p.out.String())
		}
	})
	return p
}

// build builds a program of this folder.
func build(t *testing.T, name string, flags ...string) string {
	t.Helper()
	bin := filepath.Join(home, "bin", name)
	if out, err := exec.Command("go", append(append([]string{"build", "-o", bin}, flags...), "./"+name)...).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return bin
}

// etcd is a real server, with a folder and a port of its own.
type etcd struct {
	t       *testing.T
	dir     string
	address string
	peers   string
	shell   *exec.Cmd
	stdin   io.Closer
	log     bytes.Buffer
}

// newEtcd returns one that does not run yet; nil: this machine has none.
func newEtcd(t *testing.T) *etcd {
	t.Helper()
	if _, err := exec.LookPath("etcd"); err != nil {
		return nil
	}
	e := &etcd{t: t, dir: t.TempDir(), address: quietAddress(t), peers: quietAddress(t)}
	t.Cleanup(e.kill)
	return e
}

// quietAddress returns a free address whose port the system gives to nobody, so that it is free again after a time without a server.
func quietAddress(t *testing.T) string {
	t.Helper()
	for range 100 {
		lis, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 20000+rand.N(10000)))
		if err == nil {
			defer lis.Close()
			return lis.Addr().String()
		}
	}
	t.Fatal("no port is free")
	return ""
}

func (e *etcd) url() string { return "etcd://" + e.address + "/shop" }

// start starts it with what it has kept, and returns when it answers. A shell kills it when the test has ended without doing so.
func (e *etcd) start() {
	e.t.Helper()
	peers := "http://" + e.peers
	e.shell = exec.Command("sh", "-c", `"$@" >&2 & read _; kill -9 $!; wait`, "sh", "etcd", "--name", "alone",
		"--data-dir", filepath.Join(e.dir, "data"), "--log-level", "error", "--log-outputs", "stderr",
		"--listen-client-urls", "http://"+e.address, "--advertise-client-urls", "http://"+e.address,
		"--listen-peer-urls", peers, "--initial-advertise-peer-urls", peers, "--initial-cluster", "alone="+peers)
	e.shell.Stderr = &e.log
	var err error
	if e.stdin, err = e.shell.StdinPipe(); err != nil {
		e.t.Fatal(err)
	}
	if err := e.shell.Start(); err != nil {
		e.t.Fatal(err)
	}
	client := &http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	for deadline := time.Now().Add(patience); ; wait(20 * time.Millisecond) {
		resp, err := client.Get("http://" + e.address + "/health")
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return
			}
		}
		if time.Now().After(deadline) {
			e.t.Fatalf("etcd does not answer: %v", err)
		}
	}
}

// kill ends it as a crash does.
func (e *etcd) kill() {
	if e.stdin == nil {
		return
	}
	e.stdin.Close()
	e.shell.Wait() // the status is that of a kill
	e.stdin = nil
	if e.t.Failed() {
		e.t.Logf("etcd:\n%s", e.log.String())
	}
}

// wipe takes away what it has kept, while it does not run.
func (e *etcd) wipe() {
	e.t.Helper()
	if err := os.RemoveAll(filepath.Join(e.dir, "data")); err != nil {
		e.t.Fatal(err)
	}
}

// awaitReady waits until n instances are ready in etcd, for someone who looks at it for the first time, and says when.
func (e *etcd) awaitReady(n int) time.Time {
	e.t.Helper()
	reg, err := onhost.Etcd(e.url())
	if err != nil {
		e.t.Fatal(err)
	}
	defer reg.(io.Closer).Close()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var once sync.Once
	var at time.Time
	err = reg.Watch(ctx, "", func(list []discovery.Instance) {
		list = slices.DeleteFunc(slices.Clone(list), func(i discovery.Instance) bool { return i.State != discovery.Ready })
		if len(list) == n {
			once.Do(func() { at = time.Now() })
			cancel()
		}
	})
	if err != nil || at.IsZero() {
		e.t.Fatalf("%d instances were not ready in %v: %v", n, patience, err)
	}
	return at
}

// chaosEtcd takes its registry away from a shop that has it in etcd.
func chaosEtcd(t *testing.T, s *system, v *verdict) {
	e := newEtcd(t)
	if e == nil {
		v.skip("there is no etcd on this machine: make engines installs it")
	}
	bin := build(t, "etcdshop")
	authority, err := identity.NewAuthority("shop")
	if err != nil {
		t.Fatal(err)
	}
	certificates, data := t.TempDir(), t.TempDir()
	for _, name := range services {
		if err := authority.WriteFiles(filepath.Join(certificates, name), name); err != nil {
			t.Fatal(err)
		}
	}
	backplane := newHub(t)
	backplane.start()
	start := func(service string) *program {
		return run(t, bin, map[string]string{"HANSE_BACKPLANE": backplane.url(), "HANSE_REGISTRY": e.url(), "HANSE_SYSTEM": "shop", "HANSE_SERVICES": service, "SHOP_DATA": data,
			"HANSE_IDENTITY": filepath.Join(certificates, "{service}"), "HANSE_LOG_LEVEL": "warn"})
	}
	e.start()
	var catalogs []*program
	for _, name := range services {
		start(name)
	}
	for range 2 {
		catalogs = append(catalogs, start("catalog"))
	}
	all := len(services) + len(catalogs)
	e.awaitReady(all)

	reg, err := onhost.Etcd(e.url())
	if err != nil {
		t.Fatal(err)
	}
	app := &hanse.App{Registry: reg, Identity: authority}
	t.Cleanup(func() {
		app.Close()
		reg.(io.Closer).Close()
	})
	tr, p := beginFrom(t, app), startProbeFrom(t, app, probeRate, 5*time.Second)
	tr.flowing(s, uint64(2*rate()))
	known := make(map[string]bool) // the instances that were called
	// called waits until one that was not called before is, and says how long after since.
	called := func(since time.Time) time.Duration {
		t.Helper()
		var at time.Time
		s.await(t, "an instance that is new is called", func() bool {
			for _, c := range p.between(since, time.Now()) {
				if c.err == nil && !known[c.instance] {
					known[c.instance], at = true, c.due
					return true
				}
			}
			return false
		})
		return at.Sub(since)
	}
	note := func() {
		for _, c := range p.between(p.began, time.Now()) {
			known[c.instance] = true
		}
	}

	e.kill()
	wait(15 * time.Second)
	signal(t, catalogs[0].cmd.Process.Pid, 9) // with nobody to tell of it
	wait(15 * time.Second)
	e.start()
	note()
	back := time.Now()
	start("catalog")
	first := called(back)

	e.kill()
	e.wipe()
	e.start()
	wiped := time.Now()
	again := e.awaitReady(all).Sub(wiped) // one has died, and another has come
	note()
	began := time.Now()
	start("catalog")
	second := called(began)
	wait(12 * time.Second) // until what was kept in doubt is forgotten
	calls, report := p.end(), tr.end()
	failed, err := calls.failed()
	v.hold(failed == 0 && report.Failed == 0, "no failed call", "%d of %d failed (%v)", failed+int(report.Failed), len(calls)+int(report.Sent), err)
	v.hold(first < 3*time.Second, "back: converged within 3 s", "who starts now is called after %v", first.Round(10*time.Millisecond))
	v.hold(again < 3*time.Second, "wiped: converged within 3 s", "all %d are announced after %v", all, again.Round(10*time.Millisecond))
	v.hold(second < 3*time.Second, "who starts now is called within 3 s", "after %v", second.Round(10*time.Millisecond))
}
