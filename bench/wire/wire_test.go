package wire_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/hanse-go/hanse/bench/wire"
)

// The test's program is its own client and server.
func TestMain(m *testing.M) {
	if wire.Work() {
		return
	}
	os.Exit(m.Run())
}

// Every contender of every sort of cell does some calls, between real processes.
func TestSmoke(t *testing.T) {
	for _, cell := range []string{
		"unary/tcp/100B/c16/p2", "unary/tcp/64KiB/c16", "unary/tls/1KiB/c1", "unary/mtls/1KiB/c64", "unary/tcp/1KiB/c64", "unary/unix/1KiB/c1", "unary/inprocess/1KiB/c64",
		"chat/tcp/100B/pingpong", "chat/tcp/100B/inflight", "dressed/tcp/1KiB/c64", "mixed/tcp/1KiB/c1",
	} {
		t.Run(cell, func(t *testing.T) {
			report := run(t, &wire.Bench{Cells: regexp.MustCompile("^" + cell + "$"), Rounds: 2, Turn: 10 * time.Millisecond})
			for _, line := range report.Failed() {
				t.Error(line)
			}
			if len(report.Results) != 1 || report.Results[0].Cell.Name != cell {
				t.Fatalf("results of other cells: %+v", report.Results)
			}
			for _, e := range report.Results[0].Entries {
				if len(e.Rounds) != 2 {
					t.Errorf("%s: %d rounds", e.Contender, len(e.Rounds))
				}
				for _, r := range e.Rounds {
					if r.Units < 1 || r.Took <= 0 || r.Client.CPU <= 0 {
						t.Errorf("%s: %+v", e.Contender, r)
					}
					if remote := report.Results[0].Cell.Network != "inprocess"; remote && r.Server.CPU <= 0 {
						t.Errorf("%s: no CPU of the server: %+v", e.Contender, r)
					}
				}
				if e.P50 <= 0 || e.P99 < e.P50 {
					t.Errorf("%s: p50 %v, p99 %v", e.Contender, e.P50, e.P99)
				}
			}
			if text := report.Markdown(); !strings.Contains(text, cell[:len("chat/tcp")]) {
				t.Errorf("the cell is in no table:\n%s", text)
			}
			if _, err := json.Marshal(report); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestProfile(t *testing.T) {
	dir := t.TempDir()
	run(t, &wire.Bench{Cells: regexp.MustCompile("^unary/tcp/1KiB/c1$"), Peers: []string{wire.Floor}, Rounds: 1, Turn: 10 * time.Millisecond, Profile: dir})
	for _, side := range []string{"client", "server"} {
		for _, kind := range []string{"cpu", "allocs"} {
			file := dir + "/unary-tcp-1KiB-c1.framed-protobuf." + side + "." + kind + ".pprof"
			if out, err := exec.Command("go", "tool", "pprof", "-raw", file).CombinedOutput(); err != nil {
				t.Errorf("%s: %v\n%s", file, err, out)
			}
		}
	}
}

func TestNothingToMeasure(t *testing.T) {
	for _, b := range []*wire.Bench{
		{Cells: regexp.MustCompile("^no such cell$")},
		{Peers: []string{"nobody"}},
	} {
		if _, err := b.Run(t.Context()); err == nil {
			t.Error("no error")
		}
	}
}

func run(t *testing.T, b *wire.Bench) *wire.Report {
	t.Helper()
	report, err := b.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return report
}
