package scaffold

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/semver"
)

const hanseModule = "github.com/hanse-go/hanse"

// SourceVariable names the environment variable that says where Hanse's source is.
const SourceVariable = "HANSE_SOURCE"

// need is how a module gets Hanse: a released version, or a folder of source that replaces it.
type need struct {
	version string
	source  string // absolute; "" when version is released
}

// requirement finds out which Hanse new code is to be built with: the source that this program was built from when that is a
// checkout, else the released version of this program.
func requirement(source string) (need, error) {
	if source == "" {
		source = os.Getenv(SourceVariable)
	}
	if source != "" {
		dir, err := filepath.Abs(source)
		if err != nil {
			return need{}, err
		}
		if !isSource(dir) {
			return need{}, fmt.Errorf("there is no source of Hanse in %s; name the folder of a checkout, which has its go.mod", source)
		}
		return need{"v0.0.0", dir}, nil
	}
	if dir := checkout(); dir != "" {
		return need{"v0.0.0", dir}, nil
	}
	info, ok := debug.ReadBuildInfo()
	if ok && info.Main.Path == hanseModule && semver.IsValid(info.Main.Version) && semver.Build(info.Main.Version) == "" {
		return need{version: info.Main.Version}, nil
	}
	return need{}, fmt.Errorf("this hanse was built from a checkout, and its folder is not known; name it with --source DIR or %s=DIR", SourceVariable)
}

// checkout returns the folder of the source that this program was built from, "" when that is not there or in the module cache.
func checkout() string {
	_, file, _, ok := runtime.Caller(0)
	if !ok || !filepath.IsAbs(file) { // built with -trimpath
		return ""
	}
	for dir := filepath.Dir(filepath.FromSlash(file)); filepath.Dir(dir) != dir; dir = filepath.Dir(dir) {
		if isSource(dir) {
			if strings.Contains(filepath.Base(dir), "@v") {
				return "" // the module cache: a released version
			}
			return dir
		}
	}
	return ""
}

// isSource reports whether the folder is the root of Hanse's source.
func isSource(dir string) bool {
	data, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	return err == nil && modfile.ModulePath(data) == hanseModule
}
