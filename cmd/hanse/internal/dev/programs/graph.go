package programs

import (
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/tools/go/packages"
)

// graph is the packages whose source a user may edit (those of the main module, of a workspace and of replaced modules), by import
// path. Packages of the module cache and of Go itself never change.
type graph map[string]*node

type node struct {
	dir     string
	module  string          // folder of its go.mod
	imports []string        // packages in the graph only
	all     []string        // all packages that it imports
	embeds  []string        // patterns of go:embed, relative to dir, with slashes
	other   map[string]bool // files that count besides Go files: embedded, C, assembly
}

func newGraph(roots []*packages.Package) graph {
	g := make(graph)
	packages.Visit(roots, nil, func(p *packages.Package) {
		if !editable(p) || g[p.PkgPath] != nil {
			return
		}
		n := &node{dir: p.Dir, module: moduleDir(p.Module), other: make(map[string]bool)}
		for _, pattern := range p.EmbedPatterns { // go/packages puts the folder before them
			if rel, err := filepath.Rel(p.Dir, pattern); err == nil {
				n.embeds = append(n.embeds, strings.TrimPrefix(filepath.ToSlash(rel), "all:"))
			}
		}
		for _, f := range slices.Concat(p.OtherFiles, p.EmbedFiles) {
			n.other[f] = true
		}
		g[p.PkgPath] = n
	})
	packages.Visit(roots, nil, func(p *packages.Package) {
		if n := g[p.PkgPath]; n != nil && n.imports == nil {
			for _, imp := range p.Imports {
				n.all = append(n.all, imp.PkgPath)
				if g[imp.PkgPath] != nil {
					n.imports = append(n.imports, imp.PkgPath)
				}
			}
			slices.Sort(n.imports)
		}
	})
	return g
}

// editable reports whether the package is in a folder of the user's.
func editable(p *packages.Package) bool {
	m := p.Module
	return m != nil && (m.Main || m.Replace != nil && m.Replace.Version == "")
}

func moduleDir(m *packages.Module) string {
	if m.Replace != nil && m.Replace.Dir != "" {
		return m.Replace.Dir
	}
	return m.Dir
}

// reach adds to seen the packages that from imports, from itself included, without entering those in stop.
func (g graph) reach(seen map[string]bool, from string, stop map[string]bool) {
	if seen[from] || stop[from] || g[from] == nil {
		return
	}
	seen[from] = true
	for _, imp := range g[from].imports {
		g.reach(seen, imp, stop)
	}
}

// owners returns the packages that file belongs to.
func (g graph) owners(file string) (owners []string) {
	base := filepath.Base(file)
	for importPath, n := range g {
		switch {
		case base == "go.mod" || base == "go.sum":
			if filepath.Dir(file) != n.module {
				continue
			}
		case base == "go.work":
		case strings.HasSuffix(base, ".go"):
			if filepath.Dir(file) != n.dir || strings.HasSuffix(base, "_test.go") {
				continue
			}
		case !n.other[file] && !n.embedded(file):
			continue
		}
		owners = append(owners, importPath)
	}
	slices.Sort(owners)
	return owners
}

// embedded reports whether a pattern of the package's go:embed matches file, which may be new.
func (n *node) embedded(file string) bool {
	rel, err := filepath.Rel(n.dir, file)
	if err != nil || !filepath.IsLocal(rel) {
		return false
	}
	rel = filepath.ToSlash(rel)
	for _, pattern := range n.embeds {
		for p := rel; p != "."; p = path.Dir(p) {
			if ok, _ := path.Match(pattern, p); ok {
				return true
			}
		}
	}
	return false
}

// Folders returns where the source of all programs is, sorted: the folders of their packages, of what these embed, and of their
// modules.
func (s *Set) Folders() []string {
	seen := make(map[string]bool)
	for _, p := range s.Programs {
		s.graph.reach(seen, p.Package, nil)
	}
	dirs := make(map[string]bool)
	for importPath := range seen {
		n := s.graph[importPath]
		dirs[n.dir], dirs[n.module] = true, true
		for f := range n.other {
			dirs[filepath.Dir(f)] = true
		}
	}
	delete(dirs, "")
	return sortedKeys(dirs)
}

// Imports returns the packages that the given main packages import, sorted: with what these import in turn, that is all that they
// are made of.
func (s *Set) Imports(mains []string) []string {
	seen := make(map[string]bool)
	for _, m := range mains {
		if n := s.graph[m]; n != nil {
			for _, imp := range n.all {
				seen[imp] = true
			}
		}
	}
	return sortedKeys(seen)
}

// Owners returns the packages that the files belong to, by import path, sorted. A file that is part of no program has none.
func (s *Set) Owners(files []string) []string {
	set := make(map[string]bool)
	for _, f := range files {
		for _, o := range s.graph.owners(f) {
			set[o] = true
		}
	}
	return sortedKeys(set)
}

// Concerns returns the first of the packages that the program is made of, and false when it is made of none of them.
func (s *Set) Concerns(p *Program, packages []string) (string, bool) {
	seen := make(map[string]bool)
	s.graph.reach(seen, p.Package, nil)
	return first(packages, seen)
}

// ConcernsService is [Set.Concerns] for one service of a program: packages that only other services of the program use do not
// concern it.
//
// The packages of a service are those that its declaring package imports, and those that the main package imports without the
// declaring packages of other services in between. Where the source does not say in which package a service is declared, all that
// the program is made of concerns it.
func (s *Set) ConcernsService(p *Program, service string, packages []string) (string, bool) {
	home, ok := p.Declares[service]
	if !ok {
		return s.Concerns(p, packages)
	}
	others := make(map[string]bool)
	for _, h := range p.Declares {
		if h != home {
			others[h] = true
		}
	}
	seen := make(map[string]bool)
	s.graph.reach(seen, p.Package, others)
	// What the service imports it needs whole, other services' packages included. A fresh walk: it may pass what the first left out.
	own := make(map[string]bool)
	s.graph.reach(own, home, nil)
	for importPath := range own {
		seen[importPath] = true
	}
	return first(packages, seen)
}

func first(packages []string, in map[string]bool) (string, bool) {
	for _, p := range packages {
		if in[p] {
			return p, true
		}
	}
	return "", false
}

func sortedKeys(m map[string]bool) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
