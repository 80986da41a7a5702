// Package gen turns the .proto files of a Go module into Go code, without protoc and without buf.
//
// The files are compiled by protocompile and handed to the stock plugins at pinned versions: protoc-gen-go, which is part of this
// program, and protoc-gen-go-grpc, which is built once and kept in the user's cache. Their output is what they write under protoc,
// but for the comment that names the compiler's version. Further plugins come from hanse.yaml.
//
//	res, err := gen.Run(ctx, gen.Options{Dir: "."})
//
// Code lands where option go_package says. A file that no generator wrote is never touched, and one that is up to date is not
// written again.
package gen

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
)

// Options says what to generate. Its zero value generates for the module around the current folder.
type Options struct {
	// Dir is the folder that Args are relative to; "" is the current one.
	Dir string
	// Args are the folders and .proto files to generate for; none means the whole module around Dir.
	Args []string
	// Check reports what would be done and writes nothing.
	Check bool
	// Progress, when not nil, is told what is being done; what it returns is called when that is done.
	Progress func(what string) (done func())
	// Stderr gets what plugins print; nil discards it.
	Stderr io.Writer
}

// Result tells what was done. Paths are relative to [Options.Dir] where they are below it, sorted.
type Result struct {
	Written   []string     // made or changed (with Check: would be)
	Removed   []string     // generated once, from what no longer exists
	Unchanged []string     // up to date
	Protos    int          // the .proto files that code was generated for
	Warnings  []Diagnostic // such as an import that is not used
	Notes     []string     // what else the user should know
}

// Current reports whether nothing had to be done.
func (r *Result) Current() bool { return len(r.Written) == 0 && len(r.Removed) == 0 }

// Run generates code. Mistakes in .proto files are a [*SourceError].
func Run(ctx context.Context, opts Options) (*Result, error) {
	if opts.Progress == nil {
		opts.Progress = func(string) func() { return func() {} }
	}
	if opts.Stderr == nil {
		opts.Stderr = io.Discard
	}
	dir, jobs, err := opts.plan()
	if err != nil {
		return nil, err
	}
	res := &Result{}
	for _, j := range jobs {
		if err := j.run(ctx, opts, res); err != nil {
			return nil, err
		}
	}
	for _, paths := range []*[]string{&res.Written, &res.Removed, &res.Unchanged} {
		for i, p := range *paths {
			(*paths)[i] = display(dir, p)
		}
		slices.Sort(*paths)
	}
	return res, nil
}

// job is the work on one module.
type job struct {
	base   string // paths are shown relative to it
	module *module
	files  map[string]bool // absolute paths of .proto files to generate for; nil: all of the module
	dirs   []string        // where leftovers of earlier runs are looked for
}

// plan returns the absolute folder that paths are shown relative to, and the work by module.
func (o Options) plan() (dir string, jobs []*job, err error) {
	if dir, err = filepath.Abs(o.Dir); err != nil {
		return "", nil, err
	}
	jobs, err = plan(dir, o.Args)
	return dir, jobs, err
}

// wants reports whether the job is about the file.
func (j *job) wants(s source) bool {
	return j.files == nil && !s.imported || j.files[s.path]
}

// plan sorts args by module.
func plan(base string, args []string) ([]*job, error) {
	if len(args) == 0 {
		m, err := findModule(base)
		if err != nil {
			return nil, err
		}
		return []*job{{base: base, module: m, dirs: []string{m.dir}}}, nil
	}
	var jobs []*job
	for _, arg := range args {
		path := arg
		if !filepath.IsAbs(path) {
			path = filepath.Join(base, path)
		}
		isDir, err := statSource(path, arg)
		if err != nil {
			return nil, err
		}
		dir := path
		if !isDir {
			dir = filepath.Dir(path)
		}
		m, err := findModule(dir)
		if err != nil {
			return nil, err
		}
		i := slices.IndexFunc(jobs, func(j *job) bool { return j.module.dir == m.dir })
		if i < 0 {
			i = len(jobs)
			jobs = append(jobs, &job{base: base, module: m, files: map[string]bool{}})
		}
		j := jobs[i]
		switch {
		case !isDir:
			j.files[path] = true
		case path == m.dir:
			for _, s := range m.sources {
				j.files[s.path] = true
			}
			j.dirs = append(j.dirs, path)
		default:
			found := false
			for _, s := range m.sources {
				if below(path, s.path) {
					j.files[s.path] = true
					found = true
				}
			}
			if !found {
				return nil, fmt.Errorf("there is no .proto file below %s", arg)
			}
			j.dirs = append(j.dirs, path)
		}
	}
	return jobs, nil
}

func (j *job) run(ctx context.Context, opts Options, res *Result) error {
	done := opts.Progress("compiling " + display(j.base, j.module.dir))
	compiled, err := j.module.compile(ctx, j.base)
	done()
	if err != nil {
		return err
	}
	res.Warnings = append(res.Warnings, compiled.warnings...)
	targets, err := j.targets(compiled, res)
	if err != nil {
		return err
	}
	out := newOutput(j.module.dir)
	if len(targets) > 0 {
		for _, p := range j.module.plugins() {
			if err := p.generate(ctx, &workshop{opts.Progress, opts.Stderr}, j.module, compiled, targets, out); err != nil {
				return err
			}
		}
	}
	res.Protos += len(targets)
	return out.flush(j, opts.Check, res)
}

// targets returns the import paths of the files to generate for: those whose go_package is in the module.
func (j *job) targets(c *compiled, res *Result) ([]string, error) {
	var targets []string
	var mistakes []Diagnostic
	var outside []string
	for _, s := range j.module.sources {
		if !j.wants(s) {
			continue
		}
		pkg := c.goPackage(s.name)
		switch {
		case pkg == "":
			mistakes = append(mistakes, c.at(s.name, "syntax", fmt.Sprintf("no go_package; add the line: option go_package = %q;", j.module.suggest(c, s))))
		case !j.module.owns(pkg):
			outside = append(outside, fmt.Sprintf("%s: no code, for its go_package %s is not in this module; %s would be", display(j.base, s.path), pkg, j.module.suggest(c, s)))
			if len(j.files) == 1 {
				mistakes = append(mistakes, c.at(s.name, "go_package", fmt.Sprintf("go_package %s is not in the module %s; write: option go_package = %q;", pkg, j.module.path, j.module.suggest(c, s))))
			}
		default:
			targets = append(targets, s.name)
		}
	}
	if len(mistakes) > 0 {
		return nil, &SourceError{Diagnostics: mistakes}
	}
	if len(targets) == 0 && len(outside) > 0 {
		return nil, errors.New(strings.Join(outside, "\n"))
	}
	res.Notes = append(res.Notes, outside...)
	slices.Sort(targets)
	return targets, nil
}
