package discovery_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/discovery/discoverytest"
	"github.com/hanse-go/hanse/internal/lease"
	"github.com/hanse-go/hanse/internal/rundir"
	"go.uber.org/goleak"
)

// childEnv makes this test's binary another process that announces an instance of the service it names.
const childEnv = "HANSE_DISCOVERY_TEST_CHILD"

func TestMain(m *testing.M) {
	if service := os.Getenv(childEnv); service != "" {
		announce(service)
		return
	}
	goleak.VerifyTestMain(m)
}

// announce is the other process: it knows nothing but what every process of the user knows.
func announce(service string) {
	var registry discovery.Local
	id := fmt.Sprintf("%s-%d", service, os.Getpid())
	if socket, err := rundir.Socket(id); err != nil {
		fmt.Println(err)
	} else if _, err := net.Listen("unix", socket); err != nil {
		fmt.Println(err)
	}
	inst := discovery.Instance{Service: service, ID: id, State: discovery.Ready, PID: os.Getpid()}
	if _, err := registry.Register(context.Background(), inst); err != nil {
		fmt.Println(err)
	}
	fmt.Println("announced")
	_, _ = io.ReadAll(os.Stdin)
}

// startChild runs announce in another process and waits until it is announced.
func startChild(t *testing.T, service string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+service)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	in, err := cmd.StdinPipe() // its end is the child's, whatever becomes of this process
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		cmd.Process.Kill()
		cmd.Wait()
	})
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "announced\n" {
		t.Fatalf("child says %q, %v", line, err)
	}
	return cmd
}

// ownRunDir gives the test, and its child processes, a run-time folder of their own.
func ownRunDir(t *testing.T) {
	t.Helper()
	dir, err := os.MkdirTemp("", "hd") // shorter than t.TempDir, for the sockets
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	t.Setenv("XDG_RUNTIME_DIR", dir)
	t.Setenv("LocalAppData", dir)
}

func TestLocal(t *testing.T) {
	discoverytest.Run(t, func(t *testing.T) discovery.Registrar {
		return &discovery.Local{Dir: filepath.Join(t.TempDir(), "registry")}
	}, discoverytest.Limits{
		Peer: func(_ *testing.T, reg discovery.Registrar) discovery.Registrar {
			return &discovery.Local{Dir: reg.(*discovery.Local).Dir}
		},
	})
}

func TestLocalSystems(t *testing.T) {
	ownRunDir(t)
	var zero, named, other discovery.Local
	named.System, other.System = "default", "other"
	c1, err := zero.Register(t.Context(), discovery.Instance{Service: "cart", ID: "c1", State: discovery.Ready})
	if err != nil {
		t.Fatal(err)
	}
	defer c1.Close()
	isThere := func(l []discovery.Instance) bool { return len(l) == 1 }
	discoverytest.Watch(t, &named, "cart").Until("c1 is there", isThere)
	if list := discoverytest.Watch(t, &other, "cart").First(); len(list) != 0 {
		t.Errorf("another system has %v", list)
	}
	for _, system := range []string{"../x", "a/b", strings.Repeat("x", 65), "ä"} {
		reg := discovery.Local{System: system}
		if err := reg.Watch(t.Context(), "cart", func([]discovery.Instance) {}); err == nil {
			t.Errorf("system %q: no error", system)
		}
	}
}

func TestLocalRefusesAnOpenFolder(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if info, _ := os.Stat(dir); info.Mode().Perm() != 0o755 {
		t.Skip("this platform has no modes")
	}
	reg := discovery.Local{Dir: dir}
	if _, err := reg.Register(t.Context(), discovery.Instance{Service: "cart", ID: "c1", State: discovery.Ready}); err == nil || !strings.Contains(err.Error(), "chmod 700") {
		t.Errorf("Register: %v, want an error that tells the remedy", err)
	}
	if err := reg.Watch(t.Context(), "cart", nil); err == nil || !strings.Contains(err.Error(), "chmod 700") {
		t.Errorf("Watch: %v, want an error that tells the remedy", err)
	}
}

// Two programs find each other with nothing configured, and one that is killed is gone.
func TestLocalTwoProcesses(t *testing.T) {
	ownRunDir(t)
	var registry discovery.Local
	w := discoverytest.Watch(t, &registry, "cart")
	if list := w.First(); len(list) != 0 {
		t.Fatalf("before the child: %v", list)
	}
	child := startChild(t, "cart")
	inst := w.Until("the child is there", func(l []discovery.Instance) bool { return len(l) == 1 })[0]
	if inst.PID != child.Process.Pid {
		t.Errorf("PID %d, want %d", inst.PID, child.Process.Pid)
	}
	socket, err := rundir.Socket(inst.ID)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(socket); err != nil {
		t.Errorf("the child has no socket: %v", err)
	}
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	w.Until("the child is gone", func(l []discovery.Instance) bool { return len(l) == 0 })
	if _, err := os.Lstat(socket); !os.IsNotExist(err) {
		t.Errorf("the child's socket is left behind: %v", err)
	}
}

// A file that is no record of this version is left alone, and told of.
func TestLocalIgnoresWhatIsNoRecord(t *testing.T) {
	var log syncBuffer
	reg := &discovery.Local{Dir: filepath.Join(t.TempDir(), "registry"), Logger: slog.New(slog.NewTextHandler(&log, nil))}
	c1, err := reg.Register(t.Context(), discovery.Instance{Service: "cart", ID: "c1", State: discovery.Ready})
	if err != nil {
		t.Fatal(err)
	}
	defer c1.Close()
	// A live owner of a newer version, and one whose file is another's.
	for name, record := range map[string]string{"new": `{"record":99}`, "other": `{"record":1,"service":"cart","instance":"c1","state":"ready"}`} {
		held, err := lease.Dir(reg.Dir).Hold(name, []byte(record))
		if err != nil {
			t.Fatal(err)
		}
		defer held.Close()
	}
	list := discoverytest.Watch(t, reg, "").First()
	if len(list) != 1 || list[0].ID != "c1" {
		t.Errorf("got %v, want c1 alone", list)
	}
	for _, want := range []string{"file=new.json", "newer version", "file=other.json", "record of instance c1"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log does not say %q:\n%s", want, log.String())
		}
	}
}

// TestLocalNoneIsLost registers and watches 2,000 times; each instance is seen, and each is gone after that.
func TestLocalNoneIsLost(t *testing.T) {
	const workers, rounds = 8, 250
	dir := filepath.Join(t.TempDir(), "registry")
	var wg sync.WaitGroup
	for worker := range workers {
		wg.Go(func() {
			reg, peer := &discovery.Local{Dir: dir}, &discovery.Local{Dir: dir}
			for round := range rounds {
				service := fmt.Sprintf("w%d-%d", worker, round)
				lease, err := reg.Register(t.Context(), discovery.Instance{Service: service, ID: service, State: discovery.Ready})
				if err != nil {
					t.Error(err)
					return
				}
				// One who begins to watch now sees it at once.
				ctx, cancel := context.WithCancel(t.Context())
				first := true
				err = peer.Watch(ctx, service, func(list []discovery.Instance) {
					if first && len(list) != 1 {
						t.Errorf("%s is lost", service)
					}
					if first {
						if err := lease.Close(); err != nil {
							t.Error(err)
						}
						first = false
					}
					if len(list) == 0 {
						cancel()
					}
				})
				if err != nil {
					t.Error(err)
				}
				cancel()
			}
		})
	}
	wg.Wait()
}

// syncBuffer is a bytes.Buffer for concurrent use.
type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
