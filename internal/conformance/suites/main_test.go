package suites

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// tools is the folder of the outside programs, and of ours.
var tools = os.Getenv("HANSE_CONFORMANCE")

// programs are ours, by the name of their binary in tools.
var programs = map[string]string{
	"hanse-server":         "conformance/server",
	"hanse-client":         "conformance/client",
	"hanse-interop-server": "interop/server",
	"hanse-interop-client": "interop/client",
}

func TestMain(m *testing.M) {
	flag.Parse()
	if tools == "" {
		os.Exit(m.Run())
	}
	if err := build(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	status := m.Run()
	printTable()
	os.Exit(status)
}

// build builds our programs, with the race detector when the tests have it.
func build() error {
	for name, dir := range programs {
		args := []string{"build", "-o", filepath.Join(tools, name), "github.com/hanse-go/hanse/internal/" + dir}
		if raceEnabled {
			args = append(args[:1], append([]string{"-race"}, args[1:]...)...)
		}
		if out, err := exec.Command("go", args...).CombinedOutput(); err != nil {
			return fmt.Errorf("building %s: %w\n%s", name, err, out)
		}
	}
	return nil
}

// tool returns the path of a program. When it is not there the test is skipped, and in continuous integration it fails.
func tool(t *testing.T, name string) string {
	t.Helper()
	if tools == "" {
		t.Skip("make conformance runs this")
	}
	path := filepath.Join(tools, name)
	if _, err := os.Stat(path); err != nil {
		missing(t, name, "tools/conformance/fetch brings it")
	}
	return path
}

// installed returns the path of a program of the operating system, as tool does.
func installed(t *testing.T, name, remedy string) string {
	t.Helper()
	if tools == "" {
		t.Skip("make conformance runs this")
	}
	path, err := exec.LookPath(name)
	if err != nil {
		missing(t, name, remedy)
	}
	return path
}

func missing(t *testing.T, name, remedy string) {
	t.Helper()
	if os.Getenv("HANSE_CI") != "" {
		t.Fatalf("%s is missing: %s", name, remedy)
	}
	fmt.Printf("%s is skipped, for %s is missing: %s\n", t.Name(), name, remedy)
	t.Skip(name + " is missing")
}
