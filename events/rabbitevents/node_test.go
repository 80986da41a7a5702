//go:build unix

package rabbitevents_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hanse-go/hanse/discovery/discoverytest"
)

// node is a real RabbitMQ, a child process with a folder, a name and ports of its own, and an epmd of its own, by which its tools find it.
type node struct {
	tb      testing.TB
	dir     string
	bin     string // where Debian has its programs
	port    string
	env     []string
	epmd    *discoverytest.Process
	running *discoverytest.Process
	config  string // more of it
}

// Where Debian puts RabbitMQ. What is on the PATH there runs as another user.
const programs = "/usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin"

// forAll is what a server needs of a test that outlives all tests.
type forAll struct{ testing.TB }

func (forAll) Helper()                             {}
func (forAll) Cleanup(func())                      {}
func (forAll) Name() string                        { return "all" }
func (forAll) Failed() bool                        { return false }
func (forAll) Logf(format string, args ...any)     { fmt.Fprintf(os.Stderr, format+"\n", args...) }
func (f forAll) Errorf(format string, args ...any) { f.Logf(format, args...) }
func (f forAll) Fatalf(format string, args ...any) { f.Fatal(fmt.Sprintf(format, args...)) }
func (forAll) Fatal(args ...any)                   { panic(fmt.Sprint(args...)) }

var (
	shared     *node
	sharedOnce sync.Once
)

// rabbit returns the server that all tests share, running.
func rabbit(t *testing.T) *node {
	t.Helper()
	bin := installed(t)
	sharedOnce.Do(func() {
		dir, err := os.MkdirTemp("", "rabbit")
		if err != nil {
			t.Fatal(err)
		}
		shared = newNode(forAll{}, bin, dir)
		shared.start()
	})
	if shared == nil || shared.running == nil {
		t.Fatal("RabbitMQ did not start")
	}
	return shared
}

// installed returns where RabbitMQ is.
func installed(t *testing.T) string {
	t.Helper()
	all, _ := filepath.Glob(programs)
	if len(all) == 0 {
		if os.Getenv("HANSE_ENGINES") != "" {
			t.Fatalf("there is no RabbitMQ at %s", programs)
		}
		t.Skip("there is no RabbitMQ on this machine: make engines installs it")
	}
	return all[len(all)-1]
}

// endShared ends it, after all tests.
func endShared() {
	if shared != nil {
		shared.kill()
		shared.epmd.Kill()
		_ = os.RemoveAll(shared.dir)
	}
}

func newNode(tb testing.TB, bin, dir string) *node {
	n := &node{tb: tb, dir: dir, bin: bin}
	port := func() string {
		_, port, err := net.SplitHostPort(discoverytest.FreeAddress(tb))
		if err != nil {
			tb.Fatal(err)
		}
		return port
	}
	n.port = port()
	epmd := port()
	for name, value := range map[string]string{
		"HOME":                                dir, // of the cookie
		"PATH":                                os.Getenv("PATH"),
		"LANG":                                "C.UTF-8",
		"ERL_EPMD_PORT":                       epmd,
		"ERL_EPMD_ADDRESS":                    "127.0.0.1",
		"RABBITMQ_NODENAME":                   "hanse" + n.port + "@localhost",
		"RABBITMQ_NODE_IP_ADDRESS":            "127.0.0.1",
		"RABBITMQ_NODE_PORT":                  n.port,
		"RABBITMQ_DIST_PORT":                  port(),
		"RABBITMQ_CONF_ENV_FILE":              filepath.Join(dir, "env.conf"),
		"RABBITMQ_CONFIG_FILE":                filepath.Join(dir, "rabbitmq.conf"),
		"RABBITMQ_ADVANCED_CONFIG_FILE":       filepath.Join(dir, "advanced.config"),
		"RABBITMQ_ENABLED_PLUGINS_FILE":       filepath.Join(dir, "enabled_plugins"),
		"RABBITMQ_MNESIA_BASE":                filepath.Join(dir, "data"),
		"RABBITMQ_LOG_BASE":                   filepath.Join(dir, "logs"),
		"RABBITMQ_LOGS":                       "-",
		"RABBITMQ_PID_FILE":                   filepath.Join(dir, "pid"),
		"RABBITMQ_ALLOW_INPUT":                "1", // the script becomes the server
		"RABBITMQ_CTL_DIST_PORT_MIN":          "0",
		"RABBITMQ_CTL_DIST_PORT_MAX":          "0",
		"RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-noinput -kernel inet_dist_use_interface {127,0,0,1}",
	} {
		n.env = append(n.env, name+"="+value)
	}
	n.write("enabled_plugins", "[].\n")
	n.write("env.conf", "")
	n.epmd = n.child("epmd", "epmd", "-address", "127.0.0.1", "-port", epmd)
	return n
}

func (n *node) write(name, text string) {
	if err := os.WriteFile(filepath.Join(n.dir, name), []byte(text), 0o600); err != nil {
		n.tb.Fatal(err)
	}
}

// child starts a program with the node's environment.
func (n *node) child(log string, command ...string) *discoverytest.Process {
	return discoverytest.StartProcess(n.tb, filepath.Join(n.dir, log+".log"), append(append([]string{"env", "-i"}, n.env...), command...)...)
}

// start starts the server, and returns when it takes connections.
func (n *node) start() {
	n.tb.Helper()
	n.write("rabbitmq.conf", "log.console.level = warning\n"+n.config)
	n.running = n.child("rabbit", filepath.Join(n.bin, "rabbitmq-server"))
	for deadline := time.Now().Add(90 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		if n.ready() {
			return
		}
		if time.Now().After(deadline) {
			log, _ := os.ReadFile(filepath.Join(n.dir, "rabbit.log"))
			n.tb.Fatalf("RabbitMQ does not start: %s", log)
		}
	}
}

// ready says whether the server answers a protocol header.
func (n *node) ready() bool {
	conn, err := net.DialTimeout("tcp", "127.0.0.1:"+n.port, time.Second)
	if err != nil {
		return false
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
	_, _ = conn.Write([]byte("AMQP\x00\x00\x09\x01"))
	answer := make([]byte, 1)
	k, _ := conn.Read(answer)
	return k == 1
}

// kill ends the server as a crash does.
func (n *node) kill() {
	n.running.Kill()
}

func (n *node) url() string { return "amqp://guest:guest@127.0.0.1:" + n.port }

// eval has the server evaluate an expression of Erlang, and returns the answer. It is what rabbitmqctl does, in a hundredth of its time.
func (n *node) eval(expression string) string {
	n.tb.Helper()
	cookie, err := os.ReadFile(filepath.Join(n.dir, ".erlang.cookie"))
	if err != nil {
		n.tb.Fatal(err)
	}
	cmd := exec.Command("erl_call", "-c", string(cookie), "-sname", "hanse"+n.port+"@localhost", "-e")
	cmd.Env = n.env
	cmd.Stdin = strings.NewReader(expression + "\n")
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.HasPrefix(string(out), "{ok, ") {
		n.tb.Fatalf("%s: %v: %s", expression, err, out)
	}
	return string(out)
}
