package gen

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/bufbuild/protocompile"
	"github.com/bufbuild/protocompile/linker"
	"github.com/bufbuild/protocompile/reporter"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"

	_ "google.golang.org/genproto/googleapis/api/annotations" // google/api/*.proto
	_ "google.golang.org/genproto/googleapis/api/httpbody"
	_ "google.golang.org/genproto/googleapis/rpc/code" // google/rpc/*.proto
	_ "google.golang.org/genproto/googleapis/rpc/errdetails"
	_ "google.golang.org/genproto/googleapis/rpc/status"
)

// wellKnown are the files that can be imported without having them, beside google/protobuf/*.
var wellKnown = []string{
	"google/api/annotations.proto", "google/api/client.proto", "google/api/field_behavior.proto", "google/api/field_info.proto",
	"google/api/http.proto", "google/api/httpbody.proto", "google/api/launch_stage.proto", "google/api/resource.proto",
	"google/api/routing.proto", "google/rpc/code.proto", "google/rpc/error_details.proto", "google/rpc/status.proto",
}

// compiled are the linked files of a module.
type compiled struct {
	module   *module
	base     string
	files    linker.Files
	warnings []Diagnostic

	mu      sync.Mutex
	content map[string][]byte // by import path
}

// compile compiles and links all files of the module.
func (m *module) compile(ctx context.Context, base string) (*compiled, error) {
	c := &compiled{module: m, base: base, content: map[string][]byte{}}
	var names []string
	for _, s := range m.sources {
		if !s.imported {
			names = append(names, s.name)
		}
	}
	slices.Sort(names)
	var mistakes []Diagnostic // the reporter is called sequentially
	compiler := protocompile.Compiler{
		Resolver:       protocompile.WithStandardImports(protocompile.ResolverFunc(c.find)),
		SourceInfoMode: protocompile.SourceInfoStandard,
		Reporter: reporter.NewReporter(
			func(err reporter.ErrorWithPos) error { mistakes = append(mistakes, c.diagnose(err)); return nil },
			func(err reporter.ErrorWithPos) {
				if !strings.Contains(err.Error(), "no syntax specified") {
					c.warnings = append(c.warnings, c.diagnose(err))
				}
			},
		),
	}
	files, err := compiler.Compile(ctx, names...)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	var withPos reporter.ErrorWithPos
	if errors.As(err, &withPos) && len(mistakes) == 0 { // an import that cannot be found does not pass the reporter
		mistakes = append(mistakes, c.diagnose(withPos))
	}
	order := func(a, b Diagnostic) int {
		if a.File != b.File {
			return strings.Compare(a.File, b.File)
		}
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return a.Column - b.Column
	}
	slices.SortStableFunc(c.warnings, order)
	if len(mistakes) > 0 {
		slices.SortStableFunc(mistakes, order)
		return nil, &SourceError{Diagnostics: slices.CompactFunc(mistakes, func(a, b Diagnostic) bool { return a.String() == b.String() })}
	}
	if err != nil {
		return nil, err
	}
	c.files = files
	return c, nil
}

// find returns the file that is imported by name.
func (c *compiled) find(name string) (protocompile.SearchResult, error) {
	if s := c.module.byName[name]; s != nil {
		data, err := os.ReadFile(s.path)
		if err != nil {
			return protocompile.SearchResult{}, err
		}
		c.mu.Lock()
		c.content[name] = data
		c.mu.Unlock()
		return protocompile.SearchResult{Source: bytes.NewReader(data)}, nil
	}
	if found, err := findWellKnown(name); err == nil {
		return found, nil
	}
	return protocompile.SearchResult{}, errors.New(c.notFound(name))
}

// notFound explains why an import cannot be found.
func (c *compiled) notFound(name string) string {
	// The same file, imported relative to another folder?
	for i := range c.module.sources {
		s := &c.module.sources[i]
		if strings.HasSuffix("/"+s.name, "/"+name) || strings.HasSuffix("/"+name, "/"+s.name) {
			return fmt.Sprintf("there is no such file; %s is imported as %q", display(c.base, s.path), s.name)
		}
	}
	for _, s := range c.module.sources {
		if path.Base(s.name) == path.Base(name) {
			return fmt.Sprintf("there is no such file; did you mean %q?", s.name)
		}
	}
	return "there is no such file; imports are relative to a folder called proto or to the module, and folders of others' files go into gen.imports in hanse.yaml"
}

// diagnose turns an error of the compiler into a Diagnostic.
func (c *compiled) diagnose(err reporter.ErrorWithPos) Diagnostic {
	pos := err.Start()
	msg := err.Unwrap().Error()
	if _, rest, ok := strings.Cut(msg, "could not resolve path "); ok {
		if _, why, ok := strings.Cut(rest, `": `); ok {
			msg = why
		}
	}
	var unused linker.ErrorUnusedImport
	if errors.As(err.Unwrap(), &unused) {
		msg = fmt.Sprintf("import %q is not used", unused.UnusedImport())
	}
	d := Diagnostic{File: pos.Filename, Line: pos.Line, Message: msg}
	if s := c.module.byName[pos.Filename]; s != nil {
		d.File = display(c.base, s.path)
	}
	d.source = c.line(pos.Filename, pos.Line)
	d.Column = column(d.source, pos.Col)
	return d
}

// column turns the compiler's column, in which a tab reaches to the next multiple of 8, into a count of characters from 1.
func column(line string, col int) int {
	at := 1
	n := 1
	for _, r := range line {
		if at >= col {
			break
		}
		n++
		if r == '\t' {
			at += 8 - (at-1)%8
		} else {
			at++
		}
	}
	return n
}

// line returns a line of a file; line 0 and what is past the end are "".
func (c *compiled) line(name string, n int) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	lines := bytes.Split(c.content[name], []byte("\n"))
	if n < 1 || n > len(lines) {
		return ""
	}
	text := strings.TrimRight(string(lines[n-1]), "\r")
	if !utf8.ValidString(text) {
		return ""
	}
	return text
}

// at returns a Diagnostic at the first line of the file that contains word, else at its first line.
func (c *compiled) at(name, word, message string) Diagnostic {
	d := Diagnostic{File: display(c.base, c.module.byName[name].path), Line: 1, Column: 1, Message: message}
	for n, line := range strings.Split(string(c.content[name]), "\n") {
		if i := strings.Index(line, word); i >= 0 {
			d.Line, d.Column = n+1, utf8.RuneCountInString(line[:i])+1
			break
		}
	}
	d.source = c.line(name, d.Line)
	return d
}

func (c *compiled) file(name string) protoreflect.FileDescriptor { return c.files.FindFileByPath(name) }

// goPackage returns the import path of a file's Go package, "" when it has none.
func (c *compiled) goPackage(name string) string {
	opts, _ := c.file(name).Options().(*descriptorpb.FileOptions)
	pkg, _, _ := strings.Cut(opts.GetGoPackage(), ";")
	return pkg
}

// protoPackage returns the package of a file, such as shop.cart.v1.
func (c *compiled) protoPackage(name string) string { return string(c.file(name).Package()) }
