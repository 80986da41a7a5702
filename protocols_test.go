package hanse_test

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestProtocolsGuide runs the commands of docs/guides/protocols.md that have a prompt, and holds what they print to what the page shows.
// White space does not count, for protobuf's JSON has some at random.
func TestProtocolsGuide(t *testing.T) {
	if testing.Short() {
		t.Skip("builds and runs programs")
	}
	for _, tool := range []string{"curl", "sh"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not installed", tool)
		}
	}
	if out, _ := exec.Command("curl", "--help", "all").Output(); !strings.Contains(string(out), "--json") {
		t.Skip("curl is older than 7.82: it has no --json")
	}
	text, err := os.ReadFile("docs/guides/protocols.md")
	if err != nil {
		t.Fatal(err)
	}
	places := strings.NewReplacer("localhost:8080", startExample(t, "hello"), "localhost:8090", startExample(t, "shop"))
	commands := 0
	for _, b := range guideBlocks([]page{{"docs/guides/protocols.md", string(text)}}, "console") {
		for _, part := range strings.Split("\n"+b.text, "\n$ ")[1:] {
			commands++
			line, want, _ := strings.Cut(part, "\n")
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			out, err := exec.CommandContext(ctx, "sh", "-c", places.Replace(line)).Output()
			cancel()
			if got := strings.Join(strings.Fields(string(out)), ""); err != nil || got != strings.Join(strings.Fields(want), "") {
				t.Errorf("%s\nprints\n%s\nand not\n%s\n%v", line, out, want, err)
			}
		}
	}
	if commands < 5 {
		t.Errorf("the page has %d commands only", commands)
	}
}

// startExample starts a program of the examples, and returns its address.
func startExample(t *testing.T, name string) (addr string) {
	t.Helper()
	bin := filepath.Join(t.TempDir(), name)
	command(t, ".", "go", "build", "-C", "examples", "-o", bin, "./"+name)
	cmd := exec.CommandContext(t.Context(), bin, "--addr", "127.0.0.1:0", "--registry", "memory:", "--admin-addr", "off")
	cmd.Env = append(os.Environ(), "XDG_RUNTIME_DIR="+t.TempDir(), "SHOP_DATA="+t.TempDir())
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	log, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Wait() }) // t.Context has ended by now
	pattern := regexp.MustCompile(`127\.0\.0\.1:\d+`)
	lines := bufio.NewScanner(log)
	var all strings.Builder
	for lines.Scan() {
		all.WriteString(lines.Text() + "\n")
		if addr = pattern.FindString(lines.Text()); addr != "" {
			go func() {
				for lines.Scan() { // so that it never waits for its log
				}
			}()
			return addr
		}
	}
	t.Fatalf("the program does not say where it listens:\n%s", &all)
	return ""
}
