package hanse_test

import (
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

var fence = regexp.MustCompile("(?ms)^```([a-z]*)\n(.*?)^```$")

// blocks returns the fenced blocks of a language.
func blocks(t *testing.T, file, lang string) []string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, m := range fence.FindAllStringSubmatch(string(text), -1) {
		if m[1] == lang {
			found = append(found, m[2])
		}
	}
	return found
}

// TestReadmeTranslation holds the commands and the code of the translations equal to the English ones.
func TestReadmeTranslation(t *testing.T) {
	for _, lang := range []string{"sh", "go", "text"} {
		want := blocks(t, "README.md", lang)
		if got := blocks(t, "README.zh-CN.md", lang); !slices.Equal(got, want) {
			t.Errorf("the %s blocks of README.zh-CN.md differ from those of README.md:\n%q\nwant\n%q", lang, got, want)
		}
	}
	if len(blocks(t, "README.md", "sh")) == 0 {
		t.Error("README.md has no commands: is the expression of this test right?")
	}
}

// TestReadmeCode holds each Go block of the README to be code of the examples, which are compiled and tested.
func TestReadmeCode(t *testing.T) {
	var sources []string
	for _, pattern := range []string{"examples/*/*.go", "examples/*/*/*.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			text, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			sources = append(sources, string(text))
		}
	}
	found := blocks(t, "README.md", "go")
	if len(found) == 0 {
		t.Error("README.md has no Go code: is the expression of this test right?")
	}
	for _, block := range found {
		if !slices.ContainsFunc(sources, func(s string) bool { return strings.Contains(s, block) }) {
			t.Errorf("no file of examples/ has this code of README.md:\n%s", block)
		}
	}
}

// TestLinks holds that links between pages of the repository lead somewhere.
func TestLinks(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#:]+)(?:#[^)]*)?\)|src="([^":]+)"`)
	pages, err := filepath.Glob("docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	top, err := filepath.Glob("*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range append(pages, top...) {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllStringSubmatch(string(text), -1) {
			target := filepath.Join(filepath.Dir(page), m[1]+m[2])
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s links to %s, which is not there", page, m[1]+m[2])
			}
		}
	}
}

// TestServiceImports holds that the examples' services need package hanse and their stubs only.
func TestServiceImports(t *testing.T) {
	others := []string{"rpc", "config", "store", "identity", "discovery", "balancer"}
	for _, pattern := range []string{"examples/hello/*.go", "examples/hello/*/*.go", "examples/shop/*.go", "examples/shop/*/*.go", "examples/migrate/after/*/*.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		if len(files) == 0 {
			t.Errorf("%s matches no file", pattern)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
			if err != nil {
				t.Fatal(err)
			}
			for _, imp := range f.Imports {
				path, err := strconv.Unquote(imp.Path.Value)
				if err != nil {
					t.Fatal(err)
				}
				if rest, ok := strings.CutPrefix(path, module+"/"); ok && slices.Contains(others, rest) {
					t.Errorf("%s imports %s: a service needs package hanse and its stubs only", file, path)
				}
			}
		}
	}
}
