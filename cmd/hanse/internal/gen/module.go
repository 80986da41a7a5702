package gen

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/hanse-go/hanse/cmd/hanse/internal/manifest"
	"golang.org/x/mod/modfile"
)

// module is a Go module and the .proto files in it.
type module struct {
	dir     string // absolute
	path    string // module path
	config  manifest.Gen
	sources []source
	byName  map[string]*source
}

// source is a .proto file.
type source struct {
	path     string // absolute
	root     string // the folder, absolute, that imports are relative to
	name     string // how it is imported: slashes, relative to root
	imported bool   // only there to be imported
}

// findModule returns the module around dir.
func findModule(dir string) (*module, error) {
	for d := dir; ; d = filepath.Dir(d) {
		data, err := os.ReadFile(filepath.Join(d, "go.mod"))
		if err == nil {
			m := &module{dir: d, path: modfile.ModulePath(data), byName: map[string]*source{}}
			if m.path == "" {
				return nil, fmt.Errorf("%s names no module", filepath.Join(d, "go.mod"))
			}
			if m.config, err = readConfig(dir, d); err != nil {
				return nil, err
			}
			return m, m.scan()
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		if filepath.Dir(d) == d {
			return nil, fmt.Errorf("there is no go.mod in %s or above it; go mod init NAME makes one, hanse new NAME a whole service", dir)
		}
	}
}

// readConfig reads the section gen of the hanse.yaml in the module's folder. That of a folder between it and dir would have no effect.
func readConfig(dir, moduleDir string) (manifest.Gen, error) {
	for d := dir; d != moduleDir; d = filepath.Dir(d) {
		f, found, err := manifest.Read(d)
		if err != nil {
			return manifest.Gen{}, err
		}
		if found && !reflect.ValueOf(f.Gen).IsZero() {
			return manifest.Gen{}, fmt.Errorf("%s has a section gen, which belongs into the %s beside go.mod; move it to %s",
				filepath.Join(d, manifest.Name), manifest.Name, filepath.Join(moduleDir, manifest.Name))
		}
	}
	f, _, err := manifest.Read(moduleDir)
	if err != nil {
		return manifest.Gen{}, err
	}
	for _, p := range f.Gen.Plugins {
		if p.Name == "" {
			return f.Gen, fmt.Errorf("%s: a plugin in gen.plugins has no name", filepath.Join(moduleDir, manifest.Name))
		}
	}
	return f.Gen, nil
}

// scan finds the .proto files of the module.
func (m *module) scan() error {
	roots, err := m.roots(m.config.Roots)
	if err != nil {
		return err
	}
	imports, err := m.roots(m.config.Imports)
	if err != nil {
		return err
	}
	start := roots
	if len(start) == 0 {
		start = []string{m.dir}
	}
	for _, root := range start {
		if err := m.walk(root, func(p string) source { return m.place(p, roots) }); err != nil {
			return err
		}
	}
	for _, root := range imports {
		if err := m.walk(root, func(p string) source { return source{path: p, root: root, imported: true} }); err != nil {
			return err
		}
	}
	slices.SortFunc(m.sources, func(a, b source) int { return strings.Compare(a.path, b.path) })
	for i := range m.sources {
		s := &m.sources[i]
		if other := m.byName[s.name]; other != nil {
			if s.imported != other.imported { // the module's own file is meant
				if other.imported {
					m.byName[s.name] = s
				}
				continue
			}
			return fmt.Errorf("%s and %s would both be imported as %q; move one into a folder of its own, or set gen.roots in hanse.yaml",
				display(m.dir, other.path), display(m.dir, s.path), s.name)
		}
		m.byName[s.name] = s
	}
	return nil
}

// roots makes the folders of the configuration absolute.
func (m *module) roots(names []string) ([]string, error) {
	var dirs []string
	for _, name := range names {
		dir := filepath.Join(m.dir, filepath.FromSlash(name))
		if info, err := os.Stat(dir); err != nil || !info.IsDir() {
			return nil, fmt.Errorf("%s names the folder %q, which does not exist", filepath.Join(m.dir, "hanse.yaml"), name)
		}
		dirs = append(dirs, dir)
	}
	return dirs, nil
}

// place finds the root of a file: the longest of the configured ones; by default the nearest folder above that is called proto,
// and else the module's folder. What is below a folder called third_party is only there to be imported, relative to it.
func (m *module) place(file string, roots []string) source {
	s := source{path: file, root: m.dir}
	if len(roots) > 0 {
		for _, r := range roots {
			if below(r, file) && len(r) > len(s.root) {
				s.root = r
			}
		}
		return s
	}
	for d := filepath.Dir(file); len(d) > len(m.dir); d = filepath.Dir(d) {
		if base := filepath.Base(d); base == "proto" || base == "third_party" {
			s.root, s.imported = d, base == "third_party"
			break
		}
	}
	return s
}

// walk adds the .proto files below root, placed by place. It leaves out what the go command leaves out, and other modules.
func (m *module) walk(root string, place func(path string) source) error {
	return filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if p != root && skipDir(p, d.Name()) {
				return filepath.SkipDir
			}
			return nil
		}
		if filepath.Ext(p) != ".proto" || slices.ContainsFunc(m.sources, func(s source) bool { return s.path == p }) {
			return nil
		}
		s := place(p)
		rel, err := filepath.Rel(s.root, p)
		if err != nil {
			return err
		}
		s.name = filepath.ToSlash(rel)
		m.sources = append(m.sources, s)
		return nil
	})
}

// skipDir reports whether the folder holds nothing of this module.
func skipDir(path, name string) bool {
	switch {
	case strings.HasPrefix(name, "."), strings.HasPrefix(name, "_"), name == "testdata", name == "vendor", name == "node_modules":
		return true
	}
	_, err := os.Stat(filepath.Join(path, "go.mod"))
	return err == nil
}

// owns reports whether the Go package is in the module.
func (m *module) owns(pkg string) bool { return pkg == m.path || strings.HasPrefix(pkg, m.path+"/") }

// suggest returns a go_package for the file: its own folder, named after its proto package (shop.cart.v1 is cartv1).
func (m *module) suggest(c *compiled, s source) string {
	rel, err := filepath.Rel(m.dir, filepath.Dir(s.path))
	if err != nil || strings.HasPrefix(rel, "..") {
		rel = "gen"
	}
	pkg := path.Join(m.path, filepath.ToSlash(rel))
	parts := strings.Split(c.protoPackage(s.name), ".")
	name := parts[len(parts)-1]
	if len(parts) > 1 && isVersion(name) {
		name = parts[len(parts)-2] + name
	}
	if name == "" || name == path.Base(pkg) {
		return pkg
	}
	return pkg + ";" + strings.ReplaceAll(name, "_", "")
}

// isVersion reports whether s is like v1 or v2beta1.
func isVersion(s string) bool { return len(s) > 1 && s[0] == 'v' && s[1] >= '0' && s[1] <= '9' }

// statSource checks that path is a folder or a .proto file.
func statSource(path, arg string) (isDir bool, err error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, fmt.Errorf("there is no file or folder %s", arg)
	case err != nil:
		return false, err
	case info.IsDir():
		return true, nil
	case filepath.Ext(path) != ".proto":
		return false, fmt.Errorf("%s is no .proto file", arg)
	}
	return false, nil
}

// below reports whether path is in dir or deeper.
func below(dir, path string) bool {
	rel, err := filepath.Rel(dir, path)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator))
}

// display shortens path for people: relative to base, unless that is longer.
func display(base, path string) string {
	if rel, err := filepath.Rel(base, path); err == nil && len(rel) < len(path) {
		return rel
	}
	return path
}
