package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"hanse": main, "served": served, "foreign": foreign})
}

// TestScript runs the terminal sessions in testdata/script.
func TestScript(t *testing.T) {
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "script"),
		RequireExplicitExec: false,
		RequireUniqueNames:  true,
		Cmds:                map[string]func(*testscript.TestScript, bool, []string){"running": running},
		Setup: func(env *testscript.Env) error {
			// Sessions have their own home and temporary folder, but share what Go and hanse have built and fetched.
			env.Setenv("XDG_CACHE_HOME", cache)
			run := filepath.Join(env.WorkDir, "run")
			if err := os.Mkdir(run, 0o700); err != nil {
				return err
			}
			env.Setenv("XDG_RUNTIME_DIR", run)
			for _, name := range []string{"GOPATH", "GOMODCACHE", "GOCACHE", "GOPROXY", "GOFLAGS", "GOSUMDB", "GONOSUMDB", "GOTOOLCHAIN"} {
				if value := os.Getenv(name); value != "" {
					env.Setenv(name, value)
				}
			}
			return nil
		},
	})
}

// running waits until a service can be called from the current folder of a session: running NAME.
func running(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: running NAME")
	}
	deadline := time.Now().Add(time.Minute)
	for ts.Exec("hanse", "call", args[0], "--json") != nil {
		if time.Now().After(deadline) {
			ts.Fatalf("%s does not run", args[0])
		}
		time.Sleep(20 * time.Millisecond) // it is another process, of which nothing else can be asked
	}
}
