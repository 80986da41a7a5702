package openapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bufbuild/protocompile"
	"github.com/hanse-go/hanse/internal/openapi"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	_ "google.golang.org/genproto/googleapis/api/annotations"
	_ "google.golang.org/genproto/googleapis/api/httpbody"
)

var update = flag.Bool("update", false, "make the golden files anew")

// compile compiles a .proto file, given by its text.
func compile(t *testing.T, name, text string) protoreflect.FileDescriptor {
	t.Helper()
	compiler := protocompile.Compiler{
		Resolver: protocompile.WithStandardImports(protocompile.ResolverFunc(func(path string) (protocompile.SearchResult, error) {
			if path == name {
				return protocompile.SearchResult{Source: strings.NewReader(text)}, nil
			}
			d, err := protoregistry.GlobalFiles.FindFileByPath(path)
			return protocompile.SearchResult{Desc: d}, err
		})),
		SourceInfoMode: protocompile.SourceInfoStandard,
	}
	files, err := compiler.Compile(context.Background(), name)
	if err != nil {
		t.Fatal(err)
	}
	return files[0]
}

// services returns the services of a file.
func services(file protoreflect.FileDescriptor) []protoreflect.ServiceDescriptor {
	var all []protoreflect.ServiceDescriptor
	for i := range file.Services().Len() {
		all = append(all, file.Services().Get(i))
	}
	return all
}

func library(t *testing.T) protoreflect.FileDescriptor {
	text, err := os.ReadFile("testdata/library.proto")
	if err != nil {
		t.Fatal(err)
	}
	return compile(t, "library.proto", string(text))
}

// TestLibrary compares a document that has everything with the one that was looked at. Module internal/openapi/validator checks that
// one against the standard.
func TestLibrary(t *testing.T) {
	o := openapi.Options{
		Title: "Library", Version: "v1.2.3", Description: "Lends *books*.", Servers: []string{"https://library.example.com"},
		Constraints: func(f protoreflect.FieldDescriptor, s *openapi.Schema) {
			if f.FullName() == "library.v1.Book.title" {
				s.MinLength = new(uint64)
				*s.MinLength = 1
			}
		},
	}
	doc := openapi.Build(services(library(t)), o)
	got, err := doc.JSON()
	if err != nil {
		t.Fatal(err)
	}
	golden := filepath.Join("testdata", "library.json")
	if *update {
		if err := os.WriteFile(golden, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("the document has changed: look at it, after go test -run TestLibrary -update")
	}
	again, err := openapi.Build(append(services(library(t)), services(library(t))...), o).JSON()
	if err != nil || !bytes.Equal(got, again) {
		t.Errorf("the same services gave another document: %v", err)
	}
}

// TestReferences holds that everything that a document refers to is in it.
func TestReferences(t *testing.T) {
	doc := openapi.Build(services(library(t)), openapi.Options{})
	data, err := doc.JSON()
	if err != nil {
		t.Fatal(err)
	}
	var all any
	if err := json.Unmarshal(data, &all); err != nil {
		t.Fatal(err)
	}
	var look func(v any)
	look = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			if ref, ok := v["$ref"].(string); ok {
				at := all
				for _, key := range strings.Split(strings.TrimPrefix(ref, "#/"), "/") {
					at = at.(map[string]any)[key]
				}
				if at == nil {
					t.Errorf("nothing at %s", ref)
				}
			}
			for _, inner := range v {
				look(inner)
			}
		case []any:
			for _, inner := range v {
				look(inner)
			}
		}
	}
	look(all)
}
