package rundir_test

import (
	"path/filepath"
	"testing"

	"github.com/hanse-go/hanse/internal/rundir"
)

func TestState(t *testing.T) {
	home := t.TempDir()
	for _, v := range []string{"HOME", "AppData", "USERPROFILE"} {
		t.Setenv(v, home)
	}
	state := filepath.Join(home, "state")
	for variable, want := range map[string]string{state: filepath.Join(state, "hanse", "hub", "shop"), "": "", "relative": ""} {
		t.Setenv("XDG_STATE_HOME", variable)
		got, err := rundir.State("hub", "shop")
		if err != nil {
			t.Fatal(err)
		}
		if rel, err := filepath.Rel(home, got); want != "" && got != want || err != nil || !filepath.IsLocal(rel) || filepath.Base(filepath.Dir(filepath.Dir(got))) != "hanse" {
			t.Errorf("XDG_STATE_HOME=%s: %s", variable, got)
		}
	}
}
