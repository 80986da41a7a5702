package scaffold

import (
	"fmt"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/tools/go/ast/astutil"
)

// addToMain finds the one program in base, or in a folder of base/cmd, that runs its services by hanse.Main(a.Service(), …), and
// returns its file with the new service in it. The program is "" when there is none, when there are several, or when the call
// cannot be extended.
func addToMain(base string, n names) (program string, changed map[string][]byte, err error) {
	dirs := []string{base}
	if entries, err := os.ReadDir(filepath.Join(base, "cmd")); err == nil {
		for _, e := range entries {
			if e.IsDir() {
				dirs = append(dirs, filepath.Join(base, "cmd", e.Name()))
			}
		}
	}
	for _, dir := range dirs {
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil {
			return "", nil, err
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			src, err := os.ReadFile(file)
			if err != nil {
				return "", nil, err
			}
			out, err := extend(file, src, n)
			if err != nil {
				return "", nil, err
			}
			if out == nil {
				continue
			}
			if program != "" {
				return "", nil, nil
			}
			rel, err := filepath.Rel(base, dir)
			if err != nil {
				return "", nil, err
			}
			program = "."
			if rel != "." {
				program = "./" + filepath.ToSlash(rel)
			}
			changed = map[string][]byte{file: out}
		}
	}
	return program, changed, nil
}

// extend adds the service to the call of hanse.Main in a file. It returns nil when there is no such call, or none that lists its
// services.
func extend(file string, src []byte, n names) ([]byte, error) {
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, file, src, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil || f.Name.Name != "main" {
		return nil, nil // what does not compile is not ours to judge
	}
	call := findMain(f)
	if call == nil || call.Ellipsis.IsValid() {
		return nil, nil
	}
	alias := ""
	if slices.Contains(importNames(f), n.Package) {
		alias = n.Package + "svc"
	}
	arg := n.Package + ".Service()"
	if alias != "" {
		arg = alias + ".Service()"
	}
	offset := func(p token.Pos) int { return fset.Position(p).Offset }
	at := offset(call.Lparen) + 1
	if k := len(call.Args); k > 0 {
		at = offset(call.Args[k-1].End())
		if i := strings.IndexByte(string(src[at:offset(call.Rparen)]), ','); i >= 0 { // one argument a line
			at += i + 1
			arg = "\n" + arg + ","
		} else {
			arg = ", " + arg
		}
	}
	edited := string(src[:at]) + arg + string(src[at:])
	fset = token.NewFileSet()
	if f, err = parser.ParseFile(fset, file, edited, parser.ParseComments|parser.SkipObjectResolution); err != nil {
		return nil, fmt.Errorf("adding %s.Service() to %s: %w", n.Package, file, err)
	}
	astutil.AddNamedImport(fset, f, alias, n.Base+"/"+n.Folder)
	var b strings.Builder
	if err := format.Node(&b, fset, f); err != nil {
		return nil, err
	}
	return []byte(b.String()), nil
}

// findMain returns the call of hanse.Main in a file.
func findMain(f *ast.File) (call *ast.CallExpr) {
	local := ""
	for _, imp := range f.Imports {
		if p, err := strconv.Unquote(imp.Path.Value); err == nil && p == hanseModule {
			local = "hanse"
			if imp.Name != nil {
				local = imp.Name.Name
			}
		}
	}
	if local == "" {
		return nil
	}
	ast.Inspect(f, func(node ast.Node) bool {
		c, ok := node.(*ast.CallExpr)
		if !ok {
			return true
		}
		if sel, ok := c.Fun.(*ast.SelectorExpr); ok && sel.Sel.Name == "Main" {
			if x, ok := sel.X.(*ast.Ident); ok && x.Name == local {
				call = c
			}
		}
		return true
	})
	return call
}

// importNames returns the names that imports have in the file, as far as they can be told without reading the packages.
func importNames(f *ast.File) []string {
	var names []string
	for _, imp := range f.Imports {
		p, err := strconv.Unquote(imp.Path.Value)
		switch {
		case imp.Name != nil:
			names = append(names, imp.Name.Name)
		case err == nil:
			names = append(names, p[strings.LastIndexByte(p, '/')+1:])
		}
	}
	return names
}
