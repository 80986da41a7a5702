package scaffold

import (
	"go/format"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestParseName(t *testing.T) {
	tests := []struct {
		arg, module string
		want        names
		err         string
	}{
		{arg: "greeter", want: names{Service: "greeter", Package: "greeter", Type: "Greeter"}},
		{arg: "order-mail", want: names{Service: "order-mail", Package: "ordermail", Type: "OrderMail"}},
		{arg: "github.com/me/greeter", want: names{Service: "greeter", Package: "greeter", Type: "Greeter", Module: "github.com/me/greeter"}},
		{arg: "x2", module: "x.org/y", want: names{Service: "x2", Package: "x2", Type: "X2", Module: "x.org/y"}},
		{arg: "OrderMail", err: `"OrderMail" cannot be the name of a service; use lower-case letters, digits and hyphens, such as order-mail`},
		{arg: "order_mail", err: "such as order-mail"},
		{arg: "9", err: `"9" cannot be the name of a service; use lower-case letters, digits and hyphens`},
		{arg: "", err: "cannot be the name of a service"},
		{arg: "a-", err: "such as a"},
		{arg: strings.Repeat("a", 64), err: "cannot be the name of a service"},
		{arg: "type", err: "the name type means something else to Go; choose another, such as type-service"},
		{arg: "internal", err: "means something else"},
		{arg: "greeter", module: "not a path", err: "a module path is like github.com/me/greeter"},
		{arg: "-/x", err: "a module path is like"},
	}
	for _, tt := range tests {
		got, err := parseName(tt.arg, tt.module)
		switch {
		case tt.err == "" && (err != nil || got != tt.want):
			t.Errorf("parseName(%q, %q) = %+v, %v; want %+v", tt.arg, tt.module, got, err, tt.want)
		case tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)):
			t.Errorf("parseName(%q, %q): got error %v, want %s", tt.arg, tt.module, err, tt.err)
		}
	}
}

// TestTemplates holds that what the templates make is formatted, whatever the names are.
func TestTemplates(t *testing.T) {
	for _, name := range []string{"a", "greeter", "zebra", "order-mail"} {
		for _, below := range []string{"", "services/"} {
			n, err := parseName(name, "")
			if err != nil {
				t.Fatal(err)
			}
			n.place("example.com/m", below)
			for _, tmpl := range []string{"main.go.tmpl", "service.go.tmpl", "service_test.go.tmpl"} {
				code := n.render(tmpl)
				formatted, err := format.Source(code)
				if err != nil || string(formatted) != string(code) {
					t.Errorf("%s for %s in %q is not formatted (%v)", tmpl, name, below, err)
				}
			}
			for _, tmpl := range []string{"service.proto.tmpl", "README.md.tmpl"} {
				if text := string(n.render(tmpl)); strings.Contains(text, "<no value>") || !strings.Contains(text, n.Package) {
					t.Errorf("%s for %s:\n%s", tmpl, name, text)
				}
			}
		}
	}
}

func TestExtend(t *testing.T) {
	n, err := parseName("cart", "")
	if err != nil {
		t.Fatal(err)
	}
	n.place("example.com/m", "services/")
	tests := []struct{ name, src, want string }{
		{"one line", `package main

import (
	"github.com/hanse-go/hanse"

	"example.com/m/services/greeter"
)

func main() {
	hanse.Main(greeter.Service()) // all
}
`, `package main

import (
	"github.com/hanse-go/hanse"

	"example.com/m/services/cart"
	"example.com/m/services/greeter"
)

func main() {
	hanse.Main(greeter.Service(), cart.Service()) // all
}
`},
		{"a line each", `package main

import (
	"example.com/m/services/greeter"
	h "github.com/hanse-go/hanse"
)

func main() {
	h.Main(
		greeter.Service(), // the first
	)
}
`, `package main

import (
	"example.com/m/services/cart"
	"example.com/m/services/greeter"
	h "github.com/hanse-go/hanse"
)

func main() {
	h.Main(
		greeter.Service(),
		cart.Service(), // the first
	)
}
`},
		{"no service yet", "package main\n\nimport \"github.com/hanse-go/hanse\"\n\nfunc main() { hanse.Main() }\n",
			"package main\n\nimport (\n\t\"example.com/m/services/cart\"\n\t\"github.com/hanse-go/hanse\"\n)\n\nfunc main() { hanse.Main(cart.Service()) }\n"},
		{"name is taken", "package main\n\nimport (\n\t\"example.com/other/cart\"\n\t\"github.com/hanse-go/hanse\"\n)\n\nfunc main() { hanse.Main(cart.X) }\n",
			"package main\n\nimport (\n\tcartsvc \"example.com/m/services/cart\"\n\t\"example.com/other/cart\"\n\t\"github.com/hanse-go/hanse\"\n)\n\nfunc main() { hanse.Main(cart.X, cartsvc.Service()) }\n"},
		{"a slice", "package main\n\nimport \"github.com/hanse-go/hanse\"\n\nfunc main() { hanse.Main(all...) }\n", ""},
		{"another Main", "package main\n\nimport hanse \"example.com/x\"\n\nfunc main() { hanse.Main() }\n", ""},
		{"no main package", "package x\n\nimport \"github.com/hanse-go/hanse\"\n\nfunc f() { hanse.Main() }\n", ""},
		{"broken", "package main\n\nfunc {", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := extend("main.go", []byte(tt.src), n)
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != tt.want {
				t.Errorf("got:\n%s\nwant:\n%s", got, tt.want)
			}
		})
	}
}

// TestAddToMain looks where programs are: one is extended, of two neither is.
func TestAddToMain(t *testing.T) {
	const main = "package main\n\nimport \"github.com/hanse-go/hanse\"\n\nfunc main() { hanse.Main() }\n"
	n, err := parseName("cart", "")
	if err != nil {
		t.Fatal(err)
	}
	n.place("example.com/m", "")
	dir := t.TempDir()
	check := func(want string, changed int) {
		t.Helper()
		program, files, err := addToMain(dir, n)
		if err != nil || program != want || len(files) != changed {
			t.Errorf("program %q, %d files, %v; want %q, %d", program, len(files), err, want, changed)
		}
	}
	check("", 0)
	put(t, filepath.Join(dir, "cmd", "shop", "main.go"), main)
	check("./cmd/shop", 1)
	put(t, filepath.Join(dir, "main_test.go"), main)
	check("./cmd/shop", 1)
	put(t, filepath.Join(dir, "main.go"), main)
	check("", 0)
}

func TestRequirement(t *testing.T) {
	root, err := filepath.Abs(filepath.Join("..", "..", "..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(SourceVariable, "")
	got, err := requirement("")
	if _, file, _, _ := runtime.Caller(0); !filepath.IsAbs(file) { // built with -trimpath: the program cannot know its source
		if err == nil || !strings.Contains(err.Error(), "name it with --source DIR or "+SourceVariable+"=DIR") {
			t.Errorf("built with -trimpath: %+v, %v; want an error that says how to name the source", got, err)
		}
	} else if err != nil || got.source != root {
		t.Errorf("in a checkout: %+v, %v; want the source in %s", got, err, root)
	}
	if got, err := requirement(root); err != nil || got.source != root {
		t.Errorf("a given source: %+v, %v", got, err)
	}
	if _, err := requirement(t.TempDir()); err == nil || !strings.Contains(err.Error(), "there is no source of Hanse in") {
		t.Errorf("a wrong source: %v", err)
	}
	t.Setenv(SourceVariable, filepath.Join(root, "rpc"))
	if _, err := requirement(""); err == nil {
		t.Errorf("%s has no effect", SourceVariable)
	}
}

func TestReplacement(t *testing.T) {
	for _, tt := range []struct{ dir, source, want string }{
		{"/src/hanse/greeter", "/src/hanse", "../"},
		{"/src/hanse/a/b", "/src/hanse", "../../"},
		{"/home/me/greeter", "/src/hanse", "/src/hanse"},
	} {
		if got := replacement(filepath.FromSlash(tt.dir), filepath.FromSlash(tt.source)); filepath.ToSlash(got) != strings.TrimSuffix(tt.want, "/") {
			t.Errorf("from %s: %s, want %s", tt.dir, got, tt.want)
		}
	}
}

func put(t *testing.T, file, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}
