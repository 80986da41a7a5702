package programs

import (
	"errors"
	"go/ast"
	"go/constant"
	"go/parser"
	"go/token"
	"go/types"

	"golang.org/x/tools/go/packages"
)

// analysis knows the functions of all packages that import hanse: what each refers to, and where services are declared.
//
// Only these packages are type-checked, from source. All others are left out, which costs some types and is no harm: what matters
// are the names of package hanse. So it is fast, needs no build, and works on code that does not compile.
type analysis struct {
	fset     *token.FileSet
	packages map[string]*types.Package
	refers   map[types.Object]map[types.Object]bool // function → functions that it mentions; package-level initialisers under initOf
	initOf   map[*types.Package]types.Object
	entries  map[types.Object]Kind
	declared map[string][]declaration // import path → the services declared in it
}

type declaration struct {
	name  string
	known bool // the name is a constant
}

func analyse(roots []*packages.Package) *analysis {
	an := &analysis{
		fset:     token.NewFileSet(),
		packages: make(map[string]*types.Package),
		refers:   make(map[types.Object]map[types.Object]bool),
		initOf:   make(map[*types.Package]types.Object),
		entries:  make(map[types.Object]Kind),
		declared: make(map[string][]declaration),
	}
	uses := make(map[string]bool) // whether a package imports hanse, at any distance
	packages.Visit(roots, nil, func(p *packages.Package) {
		uses[p.PkgPath] = p.PkgPath == hansePath
		for _, imp := range p.Imports {
			uses[p.PkgPath] = uses[p.PkgPath] || uses[imp.PkgPath]
		}
		if uses[p.PkgPath] {
			an.check(p)
		}
	})
	return an
}

// Import returns a package that was checked before; for all others go/types makes do without.
func (an *analysis) Import(path string) (*types.Package, error) {
	if p := an.packages[path]; p != nil {
		return p, nil
	}
	return nil, errors.New("not needed")
}

func (an *analysis) check(p *packages.Package) {
	var files []*ast.File
	for _, name := range p.GoFiles {
		if f, _ := parser.ParseFile(an.fset, name, nil, parser.SkipObjectResolution); f != nil { // mistakes are the compiler's to tell
			files = append(files, f)
		}
	}
	info := &types.Info{
		Uses:  make(map[*ast.Ident]types.Object),
		Defs:  make(map[*ast.Ident]types.Object),
		Types: make(map[ast.Expr]types.TypeAndValue),
	}
	imports := importer{an: an, imports: p.Imports}
	cfg := types.Config{Importer: imports, Error: func(error) {}, FakeImportC: true, IgnoreFuncBodies: p.PkgPath == hansePath}
	pkg, _ := cfg.Check(p.PkgPath, an.fset, files, info)
	if pkg == nil {
		return
	}
	an.packages[p.PkgPath] = pkg
	if p.PkgPath == hansePath {
		an.learnEntries(pkg)
		return
	}
	an.initOf[pkg] = types.NewFunc(token.NoPos, pkg, "init#vars", types.NewSignatureType(nil, nil, nil, nil, nil, false))
	for _, f := range files {
		for _, d := range f.Decls {
			from := an.initOf[pkg]
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Name.Name != "init" {
				if obj := info.Defs[fn.Name]; obj != nil {
					from = obj
				}
			}
			an.walk(p.PkgPath, from, d, info)
		}
	}
}

// walk notes which functions d mentions and which services it declares.
func (an *analysis) walk(importPath string, from types.Object, d ast.Decl, info *types.Info) {
	ast.Inspect(d, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.Ident:
			if fn, ok := info.Uses[n].(*types.Func); ok {
				if an.refers[from] == nil {
					an.refers[from] = make(map[types.Object]bool)
				}
				an.refers[from][fn.Origin()] = true
			}
		case *ast.CompositeLit:
			if isService(info.Types[n].Type) {
				an.declared[importPath] = append(an.declared[importPath], serviceName(n, info))
			}
		}
		return true
	})
}

// importer resolves the import paths of one package, which a vendor folder may map elsewhere.
type importer struct {
	an      *analysis
	imports map[string]*packages.Package
}

func (i importer) Import(path string) (*types.Package, error) {
	if p := i.imports[path]; p != nil {
		path = p.PkgPath
	}
	return i.an.Import(path)
}

// learnEntries notes the functions of package hanse that a program of ours calls.
func (an *analysis) learnEntries(pkg *types.Package) {
	if f := pkg.Scope().Lookup("Main"); f != nil {
		an.entries[f] = Server
	}
	if f := pkg.Scope().Lookup("FromEnv"); f != nil {
		an.entries[f] = Client
	}
	for _, name := range []string{"Service", "App"} {
		obj, ok := pkg.Scope().Lookup(name).(*types.TypeName)
		if !ok {
			continue
		}
		if m, _, _ := types.LookupFieldOrMethod(types.NewPointer(obj.Type()), true, pkg, "Main"); m != nil {
			an.entries[m] = Server
		}
	}
}

// kind follows what main mentions, and what the variables and init functions of the imported packages do.
func (an *analysis) kind(p *packages.Package) Kind {
	pkg := an.packages[p.PkgPath]
	if pkg == nil {
		return None
	}
	var todo []types.Object
	if main := pkg.Scope().Lookup("main"); main != nil {
		todo = append(todo, main)
	}
	packages.Visit([]*packages.Package{p}, nil, func(p *packages.Package) {
		if obj := an.initOf[an.packages[p.PkgPath]]; obj != nil {
			todo = append(todo, obj)
		}
	})
	kind := None
	seen := make(map[types.Object]bool)
	for len(todo) > 0 {
		f := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if seen[f] {
			continue
		}
		seen[f] = true
		if k, ok := an.entries[f]; ok {
			kind = max(kind, k)
			continue
		}
		for g := range an.refers[f] {
			todo = append(todo, g)
		}
	}
	return kind
}

// declares returns the services that a package other than main declares, among those that p imports. A package in which a service has a
// name that is not plain may declare any service, so that nothing is known then.
func (an *analysis) declares(p *packages.Package, g graph) map[string]string {
	seen := make(map[string]bool)
	g.reach(seen, p.PkgPath, nil)
	homes := make(map[string][]string)
	for importPath := range seen {
		for _, d := range an.declared[importPath] {
			if !d.known {
				return nil
			}
			homes[d.name] = append(homes[d.name], importPath)
		}
	}
	services := make(map[string]string)
	for name, in := range homes {
		if len(in) == 1 && in[0] != p.PkgPath {
			services[name] = in[0]
		}
	}
	return services
}

func isService(t types.Type) bool {
	if t == nil {
		return false
	}
	if p, ok := t.Underlying().(*types.Pointer); ok { // an element of []*hanse.Service{{Name: …}}
		t = p.Elem()
	}
	named, ok := types.Unalias(t).(*types.Named)
	return ok && named.Obj().Name() == "Service" && named.Obj().Pkg() != nil && named.Obj().Pkg().Path() == hansePath
}

func serviceName(lit *ast.CompositeLit, info *types.Info) declaration {
	for _, e := range lit.Elts {
		kv, ok := e.(*ast.KeyValueExpr)
		if !ok {
			continue
		}
		if key, ok := kv.Key.(*ast.Ident); ok && key.Name == "Name" {
			if v := info.Types[kv.Value].Value; v != nil && v.Kind() == constant.String {
				return declaration{name: constant.StringVal(v), known: true}
			}
		}
	}
	return declaration{}
}
