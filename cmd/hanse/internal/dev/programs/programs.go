// Package programs finds the main packages of a system that run services or call them, and says which of them a change of a file
// concerns. It reads source code only: nothing is built and nothing is run.
package programs

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/tools/go/packages"
)

// hansePath is the package whose entry points make a program one of ours.
const hansePath = "github.com/hanse-go/hanse"

// Kind is what a program does with services.
type Kind int

const (
	None   Kind = iota // it calls no entry point of package hanse
	Client             // it only calls services: hanse.FromEnv
	Server             // it runs services: hanse.Main, (*Service).Main, (*App).Main
)

// Program is a main package.
type Program struct {
	Name    string // the last part of its folder; with the one above where two programs have the same
	Package string // import path
	Dir     string // absolute
	Kind    Kind

	// Declares maps the names of services to the package in which their hanse.Service is written down, for those of which that
	// is plain from the source and which have a package of their own.
	Declares map[string]string
}

// Set is the programs of a system and all that they import.
type Set struct {
	Programs []*Program // in the order of their folders
	graph    graph
}

// Problem is what the go command said about packages that it could not load. The programs that it does not concern are usable.
type Problem struct{ Lines []string }

// Error returns the lines.
func (p *Problem) Error() string { return strings.Join(p.Lines, "\n") }

// Find looks at the main packages that match patterns, such as ./..., seen from the folder dir, with the environment env (nil: this
// process's). Set.Programs holds all main packages, those of Kind None too.
//
// When some packages do not load, Find returns a [*Problem] besides the Set of what does.
func Find(ctx context.Context, dir string, env []string, patterns ...string) (*Set, error) {
	cfg := &packages.Config{
		Context: ctx,
		Dir:     dir,
		Env:     env,
		Mode: packages.NeedName | packages.NeedFiles | packages.NeedImports | packages.NeedDeps | packages.NeedModule |
			packages.NeedEmbedFiles | packages.NeedEmbedPatterns,
	}
	roots, err := packages.Load(cfg, patterns...)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, fmt.Errorf("reading the packages in %s: %w", dir, err)
	}
	s := &Set{graph: newGraph(roots)}
	an := analyse(roots)
	for _, p := range roots {
		if p.Name != "main" || len(p.GoFiles) == 0 {
			continue
		}
		s.Programs = append(s.Programs, &Program{
			Package:  p.PkgPath,
			Dir:      p.Dir,
			Kind:     an.kind(p),
			Declares: an.declares(p, s.graph),
		})
	}
	slices.SortFunc(s.Programs, func(a, b *Program) int { return strings.Compare(a.Package, b.Package) })
	name(s.Programs)
	if lines := problems(roots); len(lines) > 0 {
		return s, &Problem{Lines: lines}
	}
	return s, nil
}

// Merge returns a Set with the programs of both, which are of different modules.
func Merge(sets ...*Set) *Set {
	all := &Set{graph: graph{}}
	for _, s := range sets {
		all.Programs = append(all.Programs, s.Programs...)
		maps.Copy(all.graph, s.graph)
	}
	name(all.Programs)
	return all
}

// problems collects the errors of the packages that the main module has, each once.
func problems(roots []*packages.Package) (lines []string) {
	packages.Visit(roots, nil, func(p *packages.Package) {
		for _, e := range p.Errors {
			line := e.Msg
			if e.Pos != "" && e.Pos != "-" {
				line = e.Pos + ": " + e.Msg
			}
			if !slices.Contains(lines, line) {
				lines = append(lines, line)
			}
		}
	})
	return lines
}

// name gives each program a short name of its own.
func name(programs []*Program) {
	for depth := 1; depth < 8; depth++ {
		count := make(map[string]int)
		for _, p := range programs {
			p.Name = tail(p.Package, depth)
			count[p.Name]++
		}
		if len(count) == len(programs) {
			// Only those that need it get the longer name.
			if depth > 1 {
				shorten(programs)
			}
			return
		}
	}
}

func shorten(programs []*Program) {
	count := make(map[string]int)
	for _, p := range programs {
		count[tail(p.Package, 1)]++
	}
	for _, p := range programs {
		if short := tail(p.Package, 1); count[short] == 1 {
			p.Name = short
		}
	}
}

// tail returns the last n parts of an import path as a name.
func tail(importPath string, n int) string {
	parts := strings.Split(path.Clean(importPath), "/")
	return strings.Join(parts[max(0, len(parts)-n):], "-")
}

// ModuleRoot returns the folder of the go.mod that dir belongs to, and false when there is none.
func ModuleRoot(dir string) (string, bool) {
	for {
		if fi, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil && !fi.IsDir() {
			return dir, true
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", false
		}
		dir = parent
	}
}
