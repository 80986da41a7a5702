package hanse_test

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
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
	places := strings.NewReplacer("localhost:8080", startExample(t, "hello"), "localhost:8090", startShop(t))
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
	cmd.Env = append(os.Environ(), "XDG_RUNTIME_DIR="+t.TempDir())
	return startProgram(t, cmd, regexp.MustCompile(`127\.0\.0\.1:\d+`))
}

// startShop runs hanse dev on the shop, as the page does but with the services that it calls only, and returns the address of the gateway
// when that knows them.
func startShop(t *testing.T) (addr string) {
	t.Helper()
	tmp, err := os.MkdirTemp("", "hp") // short, for sockets
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(tmp) })
	hanse := filepath.Join(tmp, "bin", "hanse")
	command(t, ".", "go", "build", "-o", hanse, "./cmd/hanse")
	goCache := strings.TrimSpace(command(t, ".", "go", "env", "GOCACHE"))
	cmd := exec.CommandContext(t.Context(), hanse, "dev", "--gateway", "127.0.0.1:0", "--services", "cart,catalog,orders", "./shop")
	cmd.Dir = "examples"
	cmd.Env = append(slices.DeleteFunc(os.Environ(), func(e string) bool { return strings.HasPrefix(e, "HANSE_") }),
		"XDG_RUNTIME_DIR="+tmp, "XDG_CACHE_HOME="+filepath.Join(tmp, "cache"), "GOCACHE="+goCache, "SHOP_DATA="+filepath.Join(tmp, "data"), "NO_COLOR=1")
	addr = startProgram(t, cmd, regexp.MustCompile(`^  gateway: http://([^/]+)/`))
	deadline := time.After(time.Minute)
	for fetch(t, addr, "/readyz") != "200 OK ok\n" {
		select {
		case <-deadline:
			t.Fatalf("the gateway is not ready: %s", fetch(t, addr, "/readyz"))
		case <-time.After(20 * time.Millisecond):
		}
	}
	return addr
}

// startProgram starts a command, and returns what pattern finds in a line that it prints: its last group, or all. It is interrupted at the end.
func startProgram(t *testing.T, cmd *exec.Cmd, pattern *regexp.Regexp) string {
	t.Helper()
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	log, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = write, write
	err = cmd.Start()
	write.Close()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // t.Context has ended by now
		cmd.Wait()
		log.Close()
	})
	lines := bufio.NewScanner(log)
	var all strings.Builder
	for lines.Scan() {
		all.WriteString(lines.Text() + "\n")
		if found := pattern.FindStringSubmatch(lines.Text()); found != nil {
			go func() {
				for lines.Scan() { // so that it never waits for its log
				}
			}()
			return found[len(found)-1]
		}
	}
	t.Fatalf("%s does not say where it listens:\n%s", filepath.Base(cmd.Path), &all)
	return ""
}
