//go:build unix

package consuldiscovery_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/discovery/consuldiscovery"
	"github.com/hanse-go/hanse/discovery/discoverytest"
)

// The tests of this file run against a real Consul, where there is one.

// consul is an agent and server in one, a child process that keeps its data in memory.
type consul struct {
	t       *testing.T
	ports   []string // HTTP, Serf, RPC
	log     string
	running *discoverytest.Process
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
		_, port, err := net.SplitHostPort(discoverytest.FreeAddress(t))
		if err != nil {
			t.Fatal(err)
		}
		c.ports = append(c.ports, port)
	}
	t.Cleanup(c.kill)
	return c
}

func (c *consul) url() string { return "http://127.0.0.1:" + c.ports[0] }

// start returns when the agent has elected itself.
func (c *consul) start() {
	c.t.Helper()
	c.running = discoverytest.StartProcess(c.t, c.log, "consul", "agent", "-dev",
		"-bind", "127.0.0.1", "-client", "127.0.0.1", "-http-port", c.ports[0], "-serf-lan-port", c.ports[1], "-server-port", c.ports[2],
		"-dns-port", "-1", "-grpc-port", "-1", "-serf-wan-port", "-1", "-log-level", "warn")
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	discoverytest.Eventually(c.t, "consul elects a leader", func() bool {
		resp, err := client.Get(c.url() + "/v1/status/leader")
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		return len(body) > 4 // "" is no leader
	})
}

// kill ends the agent as a crash does, and with it all that it knew.
func (c *consul) kill() { c.running.Kill() }

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

func TestRealConsulSplits(t *testing.T) {
	c := startConsul(t)
	c.start()
	n := 0
	discoverytest.RunSplits(t, func(*testing.T) discovery.Splitter {
		n++
		return &consuldiscovery.Registry{Address: c.url(), Tag: fmt.Sprint("a/b c%2F", n)} // each has its own only
	}, discoverytest.SplitLimits{Peer: sameSplits})
}

// Consul is killed and comes back with nothing: the rules stay until it is seen that they are lost, and can be set again. One that cannot be read
// changes nothing.
func TestRealConsulSplitsKilledAndWiped(t *testing.T) {
	c := startConsul(t)
	c.start()
	log := new(discoverytest.Log)
	reg := &consuldiscovery.Registry{Address: c.url(), Logger: log.Logger()}
	setSplit(t, reg, 5)
	w := discoverytest.WatchSplits(t, reg, "cart")
	w.Until("it is there", isSplit(5))
	send(t, c.url()+"/v1/kv/"+cartKey, "no record")
	discoverytest.Eventually(t, "it is ignored", func() bool { return log.Count("split rules ignored") == 1 })
	c.kill()
	discoverytest.Eventually(t, "Consul is missed", func() bool { return log.Count("Consul cannot be watched") == 1 })
	late := discoverytest.WatchSplits(t, reg, "cart")
	late.Until("who comes late is told what is known", isSplit(5))
	c.start()
	w.Until("it is lost", isSplit(0))
	setSplit(t, &consuldiscovery.Registry{Address: c.url()}, 50)
	w.Until("it is there again", isSplit(50))
	setSplit(t, reg, 0)
	w.Until("it is gone", isSplit(0))
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
	w.Until("c1 is there", discoverytest.IDs("c1"))
	w.Until("c1 is gone", discoverytest.IDs())
	lease, err := reg.Register(t.Context(), cart("c1"))
	if err != nil {
		t.Fatal(err)
	}
	w.Until("c1 is there again", discoverytest.IDs("c1"))
	if err := lease.Close(); err != nil {
		t.Error(err)
	}
}

// Consul is killed and comes back with nothing: callers keep what they knew all the while, and the instance is announced again.
func TestRealConsulKilledAndWiped(t *testing.T) {
	c := startConsul(t)
	c.start()
	log := new(discoverytest.Log)
	reg := &consuldiscovery.Registry{Address: c.url(), Logger: log.Logger()}
	lease, err := reg.Register(t.Context(), cart("c1"))
	if err != nil {
		t.Fatal(err)
	}
	w := discoverytest.Watch(t, reg, "cart")
	w.Until("c1 is there", discoverytest.IDs("c1"))
	c.kill()
	c.start()
	fresh := discoverytest.Watch(t, &consuldiscovery.Registry{Address: c.url()}, "cart")
	fresh.Until("c1 is announced again", discoverytest.IDs("c1"))
	c2 := &consuldiscovery.Registry{Address: c.url()}
	second, err := c2.Register(t.Context(), cart("c2"))
	if err != nil {
		t.Fatal(err)
	}
	w.Until("c2 came, and c1 never went", func(l []discovery.Instance) bool {
		if !discoverytest.IDs("c1")(l) && !discoverytest.IDs("c1", "c2")(l) {
			t.Errorf("told in between: %v\n%s", l, log)
		}
		return discoverytest.IDs("c1", "c2")(l)
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
	send(t, reg.Address+"/v1/agent/service/register", definition)
}

// send makes a request that must be answered with success.
func send(t *testing.T, target, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "PUT", target, strings.NewReader(body))
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
