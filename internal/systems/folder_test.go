package systems_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/internal/systems"
)

func TestOfFolder(t *testing.T) {
	dir := t.TempDir()
	odd := filepath.Join(dir, strings.Repeat("größer als ", 8))
	if err := os.Mkdir(odd, 0o755); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(odd, link); err != nil {
		t.Skip("no symbolic links here: ", err)
	}
	a, b, c := systems.OfFolder(dir), systems.OfFolder(odd), systems.OfFolder(link)
	if a == b || b != c {
		t.Errorf("%s and %s are two folders, %s and %s are one", a, b, b, c)
	}
	for _, name := range []string{a, b} {
		if _, err := discovery.Parse("local:"+name, nil); err != nil {
			t.Error(err)
		}
	}
}
