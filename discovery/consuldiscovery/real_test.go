//go:build unix

package consuldiscovery_test

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/discovery/consuldiscovery"
	"github.com/hanse-go/hanse/discovery/discoverytest"
)

// The tests of this file run against a real Consul, where there is one.

// consul is an agent and server in one, a child process that keeps its data in memory.
type consul struct {
	t     *testing.T
	ports []string // HTTP, Serf, RPC
	log   string
	shell *exec.Cmd
	stdin io.Closer
	pid   int
}

func startConsul(t *testing.T) *consul {
	if _, err := exec.LookPath("consul"); err != nil {
		if os.Getenv("HANSE_CONSUL") != "" {
			t.Fatal(err)
		}
		t.Skip("there is no consul on this machine: make consul builds one")
	}
	c := &consul{t: t, log: filepath.Join(t.TempDir(), "log")}
	for range 3 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		c.ports = append(c.ports, strconv.Itoa(l.Addr().(*net.TCPAddr).Port))
	}
	t.Cleanup(c.kill)
	return c
}

func (c *consul) url() string { return "http://127.0.0.1:" + c.ports[0] }

// start returns when the agent has elected itself. A shell waits for the end of its input, which comes however the test ends.
func (c *consul) start() {
	c.t.Helper()
	c.shell = exec.Command("sh", "-c", `"$@" >&2 & echo $!; read _; kill -9 $!`, "sh", "consul", "agent", "-dev",
		"-bind", "127.0.0.1", "-client", "127.0.0.1", "-http-port", c.ports[0], "-serf-lan-port", c.ports[1], "-server-port", c.ports[2],
		"-dns-port", "-1", "-grpc-port", "-1", "-serf-wan-port", "-1", "-log-level", "warn")
	log, err := os.Create(c.log)
	if err != nil {
		c.t.Fatal(err)
	}
	defer log.Close()
	c.shell.Stderr = log
	stdin, err := c.shell.StdinPipe()
	if err != nil {
		c.t.Fatal(err)
	}
	stdout, err := c.shell.StdoutPipe()
	if err != nil {
		c.t.Fatal(err)
	}
	if err := c.shell.Start(); err != nil {
		c.t.Fatal(err)
	}
	c.stdin = stdin
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		c.t.Fatal(err)
	}
	if c.pid, err = strconv.Atoi(strings.TrimSpace(line)); err != nil {
		c.t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		resp, err := client.Get(c.url() + "/v1/status/leader")
		if err == nil {
			body, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			if len(body) > 4 { // "" is no leader
				return
			}
		}
		if time.Now().After(deadline) {
			text, _ := os.ReadFile(c.log)
			c.t.Fatalf("consul does not elect a leader: %v\n%s", err, text)
		}
	}
}

// kill ends the agent as a crash does, and with it all that it knew.
func (c *consul) kill() {
	if c.pid == 0 {
		return
	}
	_ = syscall.Kill(c.pid, syscall.SIGKILL)
	c.stdin.Close()
	_ = c.shell.Wait()
	c.pid = 0
}

func TestRealConsul(t *testing.T) {
	c := startConsul(t)
	c.start()
	n := 0
	discoverytest.Run(t, func(*testing.T) discovery.Registrar {
		n++
		return &consuldiscovery.Registry{Address: c.url(), Tag: fmt.Sprint("test", n)} // each sees its own only
	}, discoverytest.Limits{Peer: func(_ *testing.T, reg discovery.Registrar) discovery.Registrar {
		return &consuldiscovery.Registry{Address: c.url(), Tag: reg.(*consuldiscovery.Registry).Tag}
	}})
}

func TestRealConsulOthers(t *testing.T) {
	c := startConsul(t)
	c.start()
	reg := &consuldiscovery.Registry{Address: c.url()}
	put(t, reg, `{"ID": "o1", "Name": "cart", "Address": "10.0.0.9", "Port": 80, "Meta": {"version": "v3"}, "Weights": {"Passing": 3, "Warning": 1}}`)
	put(t, reg, `{"ID": "o2", "Name": "cart", "Port": 81, "Check": {"TTL": "2s", "Status": "passing"}}`)
	w := discoverytest.Watch(t, reg, "cart")
	list := w.Until("both are there", func(l []discovery.Instance) bool { return len(l) == 2 })
	if i := list[0]; i.Endpoints[0] != "tcp://10.0.0.9:80" || i.Version != "v3" || i.Weight != 3 {
		t.Errorf("got %+v", i)
	}
	if i := list[1]; i.Endpoints[0] != "tcp://127.0.0.1:81" { // the node's address
		t.Errorf("got %+v", i)
	}
	w.Until("the one whose TTL is over is gone", func(l []discovery.Instance) bool { return len(l) == 1 })
}

// A lease that nobody renews is over, and its ID free, while Consul still has it.
func TestRealConsulExpiredLease(t *testing.T) {
	c := startConsul(t)
	c.start()
	reg := &consuldiscovery.Registry{Address: c.url()}
	register := `{"ID": "c1", "Name": "cart", "Meta": {"hanse-record-0": "{\"record\":1,\"service\":\"cart\",\"instance\":\"c1\",\"state\":\"ready\"}"},
		"Check": {"CheckID": "service:c1", "TTL": "2s", "Status": "passing", "DeregisterCriticalServiceAfter": "1m"}}`
	put(t, reg, register)
	w := discoverytest.Watch(t, reg, "cart")
	w.Until("c1 is there", ids("c1"))
	w.Until("c1 is gone", ids())
	lease, err := reg.Register(t.Context(), cart("c1"))
	if err != nil {
		t.Fatal(err)
	}
	w.Until("c1 is there again", ids("c1"))
	if err := lease.Close(); err != nil {
		t.Error(err)
	}
}

// Consul is killed and comes back with nothing: callers keep what they knew all the while, and the instance is announced again.
func TestRealConsulKilledAndWiped(t *testing.T) {
	c := startConsul(t)
	c.start()
	log := new(logBuffer)
	reg := &consuldiscovery.Registry{Address: c.url(), Logger: slog.New(slog.NewTextHandler(log, nil))}
	lease, err := reg.Register(t.Context(), cart("c1"))
	if err != nil {
		t.Fatal(err)
	}
	w := discoverytest.Watch(t, reg, "cart")
	w.Until("c1 is there", ids("c1"))
	c.kill()
	c.start()
	fresh := discoverytest.Watch(t, &consuldiscovery.Registry{Address: c.url()}, "cart")
	fresh.Until("c1 is announced again", ids("c1"))
	c2 := &consuldiscovery.Registry{Address: c.url()}
	second, err := c2.Register(t.Context(), cart("c2"))
	if err != nil {
		t.Fatal(err)
	}
	w.Until("c2 came, and c1 never went", func(l []discovery.Instance) bool {
		if !ids("c1")(l) && !ids("c1", "c2")(l) {
			t.Errorf("told in between: %v\n%s", l, log)
		}
		return ids("c1", "c2")(l)
	})
	for _, l := range []discovery.Lease{lease, second} {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}
}

// put registers a service as somebody else would.
func put(t *testing.T, reg *consuldiscovery.Registry, definition string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "PUT", reg.Address+"/v1/agent/service/register", strings.NewReader(definition))
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if text, _ := io.ReadAll(resp.Body); resp.StatusCode != 200 {
		t.Fatalf("%d %s", resp.StatusCode, text)
	}
}
