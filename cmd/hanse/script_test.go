package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"hanse": main, "served": served, "foreign": foreign, "evented": evented})
}

// TestScript runs the terminal sessions in testdata/script.
func TestScript(t *testing.T) {
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	goEnv := goEnvironment(t)
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "script"),
		RequireExplicitExec: false,
		RequireUniqueNames:  true,
		Cmds:                map[string]func(*testscript.TestScript, bool, []string){"running": running, "lap": lap},
		Setup: func(env *testscript.Env) error {
			// Sessions have their own home and temporary folder, but share what Go and hanse have built and fetched.
			env.Setenv("XDG_CACHE_HOME", cache)
			env.Setenv("XDG_STATE_HOME", filepath.Join(env.WorkDir, "state"))
			run := filepath.Join(env.WorkDir, "run")
			if err := os.Mkdir(run, 0o700); err != nil {
				return err
			}
			env.Setenv("XDG_RUNTIME_DIR", run)
			env.Vars = append(env.Vars, goEnv...)
			env.Values[startKey{}] = time.Now()
			return nil
		},
	})
}

// goEnvironment returns the variables that make the go command in a session use the modules and the cache of this test.
func goEnvironment(t *testing.T) []string {
	out, err := exec.Command("go", "env", "-json", "GOPATH", "GOMODCACHE", "GOCACHE", "GOPROXY", "GOFLAGS", "GOSUMDB", "GONOSUMDB", "GONOPROXY", "GOTOOLCHAIN").Output()
	if err != nil {
		t.Fatal("go env: ", err)
	}
	values := map[string]string{}
	if err := json.Unmarshal(out, &values); err != nil {
		t.Fatal(err)
	}
	var vars []string
	for name, value := range values {
		vars = append(vars, name+"="+value)
	}
	slices.Sort(vars)
	return vars
}

// startKey is the key of the time at which a session began.
type startKey struct{}

// lap notes how long the session took until here: lap WHAT. It asserts nothing.
func lap(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: lap WHAT")
	}
	ts.Logf("%s after %.1f s", args[0], time.Since(ts.Value(startKey{}).(time.Time)).Seconds())
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
