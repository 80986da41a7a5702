//go:build unix

package e2e_test

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// full selects the long form of the tests.
var full = os.Getenv("HANSE_E2E") == "full"

// home is the machine that the tests play on: a folder with the hanse command, a copy of the examples to edit, and all that is kept
// while they run. Nothing of the developer's own systems is seen or touched.
var home string

// shopDir is the copy of the shop.
func shopDir() string { return filepath.Join(home, "examples", "shop") }

func TestMain(m *testing.M) {
	flag.Parse()
	if testing.Short() {
		fmt.Println("e2e: skipped: it builds and runs programs")
		os.Exit(0)
	}
	status, err := play(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		status = 1
	}
	os.Exit(status)
}

func play(m *testing.M) (status int, err error) {
	home, err = os.MkdirTemp("", "e2e") // short, for the sake of sockets
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(home)) }()
	goCache, err := exec.Command("go", "env", "GOCACHE").Output()
	if err != nil {
		return 1, err
	}
	for _, dir := range []string{"bin", "run", "data"} {
		if err := os.Mkdir(filepath.Join(home, dir), 0o700); err != nil {
			return 1, err
		}
	}
	for _, e := range os.Environ() {
		if name, _, _ := strings.Cut(e, "="); strings.HasPrefix(name, "HANSE_") {
			os.Unsetenv(name)
		}
	}
	for name, value := range map[string]string{
		"GOCACHE":         strings.TrimSpace(string(goCache)),
		"XDG_CACHE_HOME":  filepath.Join(home, "cache"),
		"XDG_STATE_HOME":  filepath.Join(home, "state"),
		"XDG_RUNTIME_DIR": filepath.Join(home, "run"),
		"SHOP_DATA":       filepath.Join(home, "data"),
		"ORDERS_STEP":     "300ms", // parcels are fast
		"NO_COLOR":        "1",
		"PATH":            filepath.Join(home, "bin") + string(filepath.ListSeparator) + os.Getenv("PATH"),
	} {
		if err := os.Setenv(name, value); err != nil {
			return 1, err
		}
	}
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		return 1, err
	}
	build := exec.Command("go", "build", "-o", filepath.Join(home, "bin", "hanse"), "./cmd/hanse")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		return 1, fmt.Errorf("building the hanse command: %w\n%s", err, out)
	}
	if err := copyShop(root); err != nil {
		return 1, err
	}
	return m.Run(), nil
}

// copyShop copies the shop, as a module that uses this checkout of Hanse.
func copyShop(root string) error {
	from := os.DirFS(filepath.Join(root, "examples"))
	to := filepath.Join(home, "examples")
	return fs.WalkDir(from, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		inShop := path == "shop" || strings.HasPrefix(path, "shop/")
		switch {
		case path == "shop/reviews", path == "shop/hanse.yaml": // the shop runs without, but for TestReviews
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		case d.IsDir() && (path == "." || inShop):
			return os.MkdirAll(filepath.Join(to, path), 0o755)
		case d.IsDir():
			return fs.SkipDir
		case !inShop && path != "go.mod" && path != "go.sum":
			return nil
		}
		text, err := fs.ReadFile(from, path)
		if err != nil {
			return err
		}
		if path == "go.mod" {
			text = []byte(strings.ReplaceAll(string(text), "=> ../", "=> "+root+"/"))
		}
		return os.WriteFile(filepath.Join(to, path), text, 0o644)
	})
}
