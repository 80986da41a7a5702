package scaffold

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"strings"

	"golang.org/x/mod/modfile"
)

// goMod is a go.mod.
type goMod struct {
	file string
	mod  *modfile.File
}

// enclosing returns the module around dir, nil when there is none.
func enclosing(dir string) (*goMod, error) {
	for d := dir; ; d = filepath.Dir(d) {
		file := filepath.Join(d, "go.mod")
		data, err := os.ReadFile(file)
		switch {
		case err == nil:
			mod, err := modfile.Parse(file, data, nil)
			if err != nil {
				return nil, err
			}
			if mod.Module == nil {
				return nil, fmt.Errorf("%s names no module", file)
			}
			return &goMod{file, mod}, nil
		case !errors.Is(err, fs.ErrNotExist):
			return nil, err
		case filepath.Dir(d) == d:
			return nil, nil
		}
	}
}

func (m *goMod) path() string  { return m.mod.Module.Mod.Path }
func (m *goMod) isHanse() bool { return m.path() == hanseModule }

// packageOf returns the import path of a folder in the module.
func (m *goMod) packageOf(dir string) string {
	rel, err := filepath.Rel(filepath.Dir(m.file), dir)
	if err != nil {
		return m.path()
	}
	return path.Join(m.path(), filepath.ToSlash(rel))
}

func (m *goMod) requires(module string) bool {
	for _, r := range m.mod.Require {
		if r.Mod.Path == module {
			return true
		}
	}
	return false
}

// add makes the module require Hanse.
func (m *goMod) add(n need) error {
	if err := m.mod.AddRequire(hanseModule, n.version); err != nil {
		return err
	}
	if n.source == "" {
		return nil
	}
	return m.mod.AddReplace(hanseModule, "", replacement(filepath.Dir(m.file), n.source), "")
}

func (m *goMod) format() []byte {
	m.mod.Cleanup()
	return modfile.Format(m.mod.Syntax)
}

// replacement is the source as seen from dir: relative when it is near, so that a checkout can be moved with what is in it.
func replacement(dir, source string) string {
	if rel, err := filepath.Rel(dir, source); err == nil && strings.Trim(strings.ReplaceAll(rel, "..", ""), `/\`) == "" {
		return filepath.ToSlash(rel)
	}
	return source
}

// newModule returns the go.mod of a new module in dir, and a go.sum to begin with (nil: none).
func newModule(modulePath, dir string, n need) (mod, sum []byte, err error) {
	m := &goMod{file: filepath.Join(dir, "go.mod"), mod: &modfile.File{Syntax: &modfile.FileSyntax{}}}
	if err := m.mod.AddModuleStmt(modulePath); err != nil {
		return nil, nil, err
	}
	language := goVersion()
	if n.source != "" {
		file := filepath.Join(n.source, "go.mod")
		data, err := os.ReadFile(file)
		if err != nil {
			return nil, nil, err
		}
		source, err := modfile.Parse(file, data, nil)
		if err != nil {
			return nil, nil, err
		}
		if source.Go != nil {
			language = source.Go.Version
		}
		// The versions that the source was tested with, with their checksums: nothing is looked up that is known here.
		for _, r := range source.Require {
			switch r.Mod.Path {
			case "google.golang.org/grpc", "google.golang.org/protobuf":
				if err := m.mod.AddRequire(r.Mod.Path, r.Mod.Version); err != nil {
					return nil, nil, err
				}
			}
		}
		if sum, err = os.ReadFile(filepath.Join(n.source, "go.sum")); err != nil {
			return nil, nil, err
		}
	}
	if err := m.mod.AddGoStmt(language); err != nil {
		return nil, nil, err
	}
	if err := m.add(n); err != nil {
		return nil, nil, err
	}
	return m.format(), sum, nil
}

// goVersion is the first release of the Go language that this program was built with: 1.26.0 for go1.26.8.
func goVersion() string {
	v := strings.TrimPrefix(runtime.Version(), "go")
	parts := strings.SplitN(v, ".", 3)
	if len(parts) < 2 {
		return "1.26.0"
	}
	minor := strings.IndexFunc(parts[1], func(r rune) bool { return r < '0' || r > '9' })
	if minor >= 0 {
		parts[1] = parts[1][:minor]
	}
	return parts[0] + "." + parts[1] + ".0"
}

// resolveNew completes the go.mod of a new module.
func resolveNew(ctx context.Context, dir string) error {
	tidyErr := runGo(ctx, dir, "mod", "tidy")
	if tidyErr == nil {
		return nil
	}
	// Tidy wants modules that no build needs, and there may be no network: what the build needs may all be there.
	if err := runGo(ctx, dir, "list", "-mod=mod", "-deps", "-test", "./..."); err != nil {
		return tidyErr
	}
	return nil
}

// resolveMore adds what is missing to the go.mod of a module that was there, and changes nothing else.
func resolveMore(ctx context.Context, dir string) error {
	if runGo(ctx, dir, "list", "-deps", "-test", "./...") == nil {
		return nil
	}
	return runGo(ctx, dir, "list", "-mod=mod", "-deps", "-test", "./...")
}

// runGo runs the go command; the error has what it said.
func runGo(ctx context.Context, dir string, args ...string) error {
	var output bytes.Buffer
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = dir
	cmd.Stderr = &output
	if err := cmd.Run(); err != nil {
		if errors.Is(err, exec.ErrNotFound) {
			return errors.New("there is no go command in PATH; install Go from https://go.dev/dl")
		}
		return fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, strings.TrimSpace(output.String()))
	}
	return nil
}
