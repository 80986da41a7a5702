package edge_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hanse-go/hanse/config"
	"github.com/hanse-go/hanse/gateway/edge"
)

// TestGuide reads the files that docs/guides/gateway.md shows, as the gateway would.
func TestGuide(t *testing.T) {
	guide, err := os.ReadFile(filepath.Join("..", "..", "docs", "guides", "gateway.md"))
	if err != nil {
		t.Fatal(err)
	}
	files := 0
	for block := range strings.SplitSeq(string(guide), "```") {
		text, ok := strings.CutPrefix(block, "yaml\n")
		if !ok {
			continue
		}
		files++
		file := filepath.Join(t.TempDir(), "gateway.yaml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		loader := &config.Loader{File: file, Services: []string{"gateway"}}
		var s edge.Settings
		if err := loader.Load("gateway", &s); err != nil {
			t.Error(err)
		}
		if err := loader.Check("gateway"); err != nil {
			t.Error(err)
		}
		if len(s.Rules) != 2 || s.Rules[0].Rate.By != "ip" || !s.AccessLog || len(s.Users.Claims) != 2 {
			t.Errorf("read %+v", s)
		}
	}
	if files != 1 {
		t.Errorf("the guide shows %d files", files)
	}
}
