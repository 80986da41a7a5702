package migrate_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hanse-go/hanse"
	harbourv1 "github.com/hanse-go/hanse/examples/migrate/proto/harbour/v1"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/timestamppb"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// needs says which services each one calls.
var needs = map[string][]string{"tides": nil, "berths": {"tides"}, "pilots": {"tides", "berths"}}

// TestMove runs the three services and moves them one at a time from grpc-go to Hanse and back, servers first and clients first, while
// clients of both kinds call. No call may fail.
func TestMove(t *testing.T) {
	switch {
	case testing.Short():
		t.Skip("it takes half a minute")
	case runtime.GOOS == "windows":
		t.Skip("a service is ended by a signal, which Windows does not have")
	}
	bin := t.TempDir()
	for _, kind := range []string{"before", "after"} {
		build := exec.Command("go", "build", "-o", filepath.Join(bin, kind)+"/", "./"+kind+"/...")
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", build.Args, err, out)
		}
	}
	h := &harbour{t: t, bin: bin, addrs: freeAddrs(t, "tides", "berths", "pilots"), running: make(map[string]*program)}
	defer h.stopAll()
	for _, service := range []string{"tides", "berths", "pilots"} {
		h.start("before", service)
	}
	load := startLoad(t, h.addrs["pilots"])
	defer load.stop()
	load.more(t)

	serversFirst := []string{"tides", "berths", "pilots"}
	clientsFirst := []string{"pilots", "berths", "tides"}
	for _, move := range []struct {
		to    string
		order []string
	}{
		{"after", serversFirst}, {"before", serversFirst}, {"after", clientsFirst}, {"before", clientsFirst},
	} {
		for _, service := range move.order {
			h.stop(service)
			h.start(move.to, service)
			load.more(t)
		}
	}
	load.stop()
	t.Logf("%d calls while services moved twelve times", load.ok.Load())
}

// harbour is the running services.
type harbour struct {
	t       *testing.T
	bin     string
	addrs   map[string]string
	running map[string]*program
}

type program struct {
	cmd *exec.Cmd
	out bytes.Buffer
}

func (h *harbour) start(kind, service string) {
	h.t.Helper()
	args := []string{"--addr", h.addrs[service]}
	for _, other := range needs[service] {
		if kind == "before" {
			args = append(args, "--"+other, h.addrs[other])
		} else {
			args = append(args, "--target", other+"="+h.addrs[other])
		}
	}
	p := &program{cmd: exec.Command(filepath.Join(h.bin, kind, service), args...)}
	p.cmd.Env = append(os.Environ(), "HANSE_REGISTRY=memory:") // nothing but the targets is known
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.out
	if err := p.cmd.Start(); err != nil {
		h.t.Fatal(err)
	}
	h.running[service] = p
}

// stop ends a service as a deployment does and wants it to end well.
func (h *harbour) stop(service string) {
	h.t.Helper()
	p := h.running[service]
	delete(h.running, service)
	if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
		h.t.Errorf("end %s: %v", service, err)
	}
	if err := p.cmd.Wait(); err != nil {
		h.t.Errorf("%s ended: %v\n%s", p.cmd.Path, err, p.out.String())
	}
}

func (h *harbour) stopAll() {
	for _, service := range []string{"pilots", "berths", "tides"} {
		if h.running[service] != nil {
			h.stop(service)
		}
	}
}

// load calls the pilots all the time, from a stock client and from one of Hanse.
type load struct {
	cancel  context.CancelFunc
	wg      sync.WaitGroup
	close   []func() error
	ok      atomic.Int64
	perKind [2]atomic.Int64
	failed  chan error // the first failure
}

func startLoad(t *testing.T, addr string) *load {
	t.Helper()
	stock, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	app := &hanse.App{Targets: map[string]string{"pilots": addr}}

	ctx, cancel := context.WithCancel(context.Background())
	l := &load{cancel: cancel, failed: make(chan error, 1), close: []func() error{stock.Close, app.Close}}
	for kind, conn := range []grpc.ClientConnInterface{stock, app.Conn("pilots")} {
		for range 4 {
			l.wg.Go(func() { l.call(ctx, kind, harbourv1.NewPilotsClient(conn)) })
		}
	}
	return l
}

func (l *load) call(ctx context.Context, kind int, pilots harbourv1.PilotsClient) {
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	arrival := time.Date(2026, time.May, 1, 6, 0, 0, 0, time.UTC)
	for ctx.Err() == nil {
		call, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
		plan, err := pilots.Plan(call, &harbourv1.PlanRequest{
			Ship: "Lisa von Lübeck", LengthMetres: 36, DraughtCentimetres: 286, Arrival: timestamppb.New(arrival),
		}, grpc.WaitForReady(true))
		cancel()
		switch {
		case err != nil:
			err = fmt.Errorf("client %d: %w", kind, err)
		case !strings.HasPrefix(plan.GetBerth().GetName(), "Sandtorkai"):
			err = fmt.Errorf("client %d: the plan is %v", kind, plan)
		default:
			l.ok.Add(1)
			l.perKind[kind].Add(1)
		}
		if err != nil {
			select {
			case l.failed <- err:
			default:
			}
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
		}
	}
}

// more waits until both kinds of client have made some more calls, and wants that none has failed.
func (l *load) more(t *testing.T) {
	t.Helper()
	want := [2]int64{l.perKind[0].Load() + 20, l.perKind[1].Load() + 20}
	deadline := time.After(30 * time.Second)
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	for {
		select {
		case err := <-l.failed:
			t.Fatal(err)
		case <-deadline:
			t.Fatalf("no calls succeed any more: %d and %d, want %v", l.perKind[0].Load(), l.perKind[1].Load(), want)
		case <-poll.C:
		}
		if l.perKind[0].Load() >= want[0] && l.perKind[1].Load() >= want[1] {
			return
		}
	}
}

func (l *load) stop() {
	l.cancel()
	l.wg.Wait()
	for _, f := range l.close {
		f()
	}
	l.close = nil
}

// TestDiff holds the differences that the package comment shows equal to those of the programs.
func TestDiff(t *testing.T) {
	doc, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	comment := strings.NewReplacer("\n//\t", "\n\t", "\n//", "\n").Replace(string(doc))
	for service := range needs {
		before, after := source(t, "before", service), source(t, "after", service)
		section, ok := section(comment, service)
		if !ok {
			t.Errorf("doc.go has no section of %s", service)
			continue
		}
		for _, line := range section {
			sign, text := line[0], strings.TrimSpace(line[1:])
			if len(text) < 2 { // brackets are in both
				continue
			}
			in, not := before, after
			switch sign {
			case '+':
				in, not = after, before
			case '-':
			default:
				not = nil
				if !slices.Contains(after, text) {
					t.Errorf("%s: %q is not in after", service, text)
				}
			}
			if !slices.Contains(in, text) || slices.Contains(not, text) && strings.Count(strings.Join(section, "\n"), text) < 2 {
				t.Errorf("%s: line %q of doc.go is not a difference of the programs", service, line)
			}
		}
		// And nothing is left out: every line that is new is shown.
		for _, line := range after[slices.Index(after, "import ("):] {
			if !slices.Contains(before, line) && line != "" && !strings.HasPrefix(line, "//") && !slices.ContainsFunc(section, func(s string) bool {
				return s[0] == '+' && strings.TrimSpace(s[1:]) == line
			}) {
				t.Errorf("%s: doc.go does not show the new line %q", service, line)
			}
		}
	}
}

func source(t *testing.T, kind, service string) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(kind, service, "main.go"))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(text), "\n")
	for i := range lines {
		lines[i] = strings.TrimSpace(lines[i])
	}
	return lines
}

// section returns the lines of a service's difference in the comment.
func section(comment, service string) ([]string, bool) {
	_, rest, ok := strings.Cut(comment, "\n # "+strings.ToUpper(service[:1])+service[1:]+"\n")
	if !ok {
		return nil, false
	}
	var lines []string
	for line := range strings.SplitSeq(rest, "\n") {
		switch {
		case strings.HasPrefix(line, " # ") || strings.HasPrefix(line, "package "):
			return lines, true
		case strings.HasPrefix(line, "\t") && strings.TrimSpace(line) != "":
			lines = append(lines, line[1:])
		}
	}
	return lines, true
}

func freeAddrs(t *testing.T, services ...string) map[string]string {
	t.Helper()
	addrs := make(map[string]string)
	for _, service := range services {
		lis, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer lis.Close() // after all are found, so that they differ
		addrs[service] = lis.Addr().String()
	}
	return addrs
}
