// Package scaffold writes new services: a contract, its code, a test, and what a module needs to run them.
//
// [New] adds a service to the module around the folder, or makes a module when there is none. What it writes builds, passes its
// tests and can be called with no edit.
package scaffold

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hanse-go/hanse/cmd/hanse/internal/gen"
)

// Options says what to make.
type Options struct {
	Dir    string // where; "" is the current folder
	Name   string // of the service, or the path of a new module whose last element is the name of its service
	Module string // path of the new module; default: Name when it is a path, else example.com/NAME
	Source string // folder of Hanse's source, for the module to build with; default: found by [Source]

	// Progress, when not nil, is told what is being done; what it returns is called when that is done.
	Progress func(what string) (done func())
}

// Result tells what was made.
type Result struct {
	Service   string   `json:"service"`
	Method    string   `json:"method"` // that can be called: greeter/Hello
	Module    string   `json:"module"`
	Dir       string   `json:"dir"` // of the module, or of the part of it that has the service; relative to Options.Dir
	NewModule bool     `json:"newModule"`
	Program   string   `json:"program"` // the main package that runs the service, relative to Dir, such as . or ./cmd/cart
	Written   []string `json:"written"` // relative to Dir, sorted
	Changed   []string `json:"changed"` // the same
}

// New makes a service.
func New(ctx context.Context, opts Options) (*Result, error) {
	if opts.Progress == nil {
		opts.Progress = func(string) func() { return func() {} }
	}
	base, err := filepath.Abs(opts.Dir)
	if err != nil {
		return nil, err
	}
	n, err := parseName(opts.Name, opts.Module)
	if err != nil {
		return nil, err
	}
	w := &work{opts: opts, names: n, res: &Result{Service: n.Service, Method: n.Service + "/Hello", Dir: ".", Program: "."}}
	mod, err := enclosing(base)
	if err != nil {
		return nil, err
	}
	if mod == nil || mod.isHanse() || n.Module != "" {
		err = w.module(ctx, base)
	} else {
		err = w.service(ctx, base, mod)
	}
	if err != nil {
		return nil, err
	}
	slices.Sort(w.res.Written)
	slices.Sort(w.res.Changed)
	return w.res, nil
}

// work is one run of New.
type work struct {
	opts  Options
	names names
	res   *Result
}

// module makes a new module in the folder base/NAME.
func (w *work) module(ctx context.Context, base string) error {
	dir := filepath.Join(base, w.names.Service)
	if err := empty(dir); err != nil {
		return err
	}
	w.res.Dir, w.res.NewModule = w.names.Service, true
	if w.names.Module == "" {
		w.names.Module = "example.com/" + w.names.Service
	}
	w.names.place(w.names.Module, "services/")
	w.res.Module = w.names.Module
	need, err := requirement(w.opts.Source)
	if err != nil {
		return err
	}
	mod, sum, err := newModule(w.names.Module, dir, need)
	if err != nil {
		return err
	}
	files := w.serviceFiles()
	files["go.mod"] = mod
	if sum != nil {
		if err := writeNew(filepath.Join(dir, "go.sum"), sum); err != nil {
			return err
		}
		w.res.Written = append(w.res.Written, "go.sum")
	}
	for name, tmpl := range map[string]string{"main.go": "main.go.tmpl", "README.md": "README.md.tmpl"} {
		files[name] = w.names.render(tmpl)
	}
	return w.finish(ctx, dir, files, resolveNew)
}

// service adds a service to the folder base of a module.
func (w *work) service(ctx context.Context, base string, mod *goMod) error {
	folder := "services/"
	if hasServices(base) {
		folder = ""
	}
	w.names.place(mod.packageOf(base), folder)
	for _, dir := range []string{w.names.Folder, "proto/" + w.names.Package} {
		if err := empty(filepath.Join(base, filepath.FromSlash(dir))); err != nil {
			return err
		}
	}
	w.res.Module = mod.path()
	files := w.serviceFiles()

	program, changed, err := addToMain(base, w.names)
	if err != nil {
		return err
	}
	if program == "" { // no program that it could join
		program = "./cmd/" + w.names.Service
		files["cmd/"+w.names.Service+"/main.go"] = w.names.render("main.go.tmpl")
	}
	w.res.Program = program
	if !mod.requires(hanseModule) {
		need, err := requirement(w.opts.Source)
		if err != nil {
			return err
		}
		if err := mod.add(need); err != nil {
			return err
		}
		if err := os.WriteFile(mod.file, mod.format(), 0o644); err != nil {
			return err
		}
		w.res.Changed = append(w.res.Changed, display(base, mod.file))
	}
	for file, content := range changed {
		if err := os.WriteFile(file, content, 0o644); err != nil {
			return err
		}
		w.res.Changed = append(w.res.Changed, display(base, file))
	}
	return w.finish(ctx, base, files, resolveMore)
}

// serviceFiles returns the files of the service itself.
func (w *work) serviceFiles() map[string][]byte {
	pkg, folder := w.names.Package, w.names.Folder
	return map[string][]byte{
		"proto/" + pkg + "/v1/" + pkg + ".proto": w.names.render("service.proto.tmpl"),
		folder + "/" + pkg + ".go":               w.names.render("service.go.tmpl"),
		folder + "/" + pkg + "_test.go":          w.names.render("service_test.go.tmpl"),
	}
}

// finish writes the files, generates the code of the contract and completes go.mod by resolve.
func (w *work) finish(ctx context.Context, dir string, files map[string][]byte, resolve func(ctx context.Context, dir string) error) error {
	for name, content := range files {
		if err := writeNew(filepath.Join(dir, filepath.FromSlash(name)), content); err != nil {
			return err
		}
		w.res.Written = append(w.res.Written, filepath.FromSlash(name))
	}
	made, err := gen.Run(ctx, gen.Options{Dir: dir, Args: []string{filepath.Join("proto", w.names.Package)}, Progress: w.opts.Progress})
	if err != nil {
		return fmt.Errorf("the files are written, but not the code of the contract: %w", err)
	}
	w.res.Written = append(w.res.Written, made.Written...)
	done := w.opts.Progress("resolving modules")
	err = resolve(ctx, dir)
	done()
	if err != nil {
		return fmt.Errorf("the files are written, but go.mod is not complete; run go mod tidy in %s when what is wrong is right:\n%w", dir, err)
	}
	return nil
}

// hasServices reports whether services stand in the folder itself: folders whose code has a function Service like the one made here.
func hasServices(dir string) bool {
	files, _ := filepath.Glob(filepath.Join(dir, "*", "*.go")) // fails only for a bad pattern
	return slices.ContainsFunc(files, func(file string) bool {
		src, err := os.ReadFile(file)
		return err == nil && bytes.Contains(src, []byte("\nfunc Service() *hanse.Service {"))
	})
}

// empty checks that there is nothing in dir.
func empty(dir string) error {
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case len(entries) > 0:
		return fmt.Errorf("the folder %s exists and is not empty; choose another name, or remove it", display(".", dir))
	}
	return nil
}

// writeNew writes a file that must not exist.
func writeNew(file string, content []byte) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	return errors.Join(err, f.Close())
}

// display shortens path for people: relative to base where it is below it.
func display(base, path string) string {
	if abs, err := filepath.Abs(base); err == nil {
		if rel, err := filepath.Rel(abs, path); err == nil && !strings.HasPrefix(rel, "..") {
			return rel
		}
	}
	return path
}
