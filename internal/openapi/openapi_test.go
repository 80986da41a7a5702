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
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/dynamicpb"

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
	golden(t, "library.json", got)
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

// instances are messages in protobuf's JSON form, some of which the schemas must refuse. Module internal/openapi/validator holds the
// schemas in testdata/library.json to them.
var instances = []struct {
	Message string
	Text    string // as protobuf's text form; "" takes JSON as it is
	JSON    string
}{
	{Message: "Everything"},
	{Message: "Everything", Text: `double: 1.5 float: 2 int32: -3 int64: -9223372036854775808 uint32: 4294967295 uint64: 18446744073709551615
		sint32: 1 sint64: 2 fixed32: 3 fixed64: 4 sfixed32: 5 sfixed64: 6 bool: true string: "s" bytes: "\x00\xff"
		any { [type.googleapis.com/library.v1.Paper] { pages: 3 } } duration { seconds: 1 nanos: 500000000 }
		struct { fields { key: "a" value { number_value: 1 } } } value { list_value { values { bool_value: true } } }
		list { values { null_value: NULL_VALUE } } null: NULL_VALUE wrapped_int64 { value: 5 } wrapped_bytes { value: "x" } empty {}
		by_int { key: -1 value { title: "t" } } by_uint { key: 2 value: GENRE_HISTORY } by_bool { key: true value: "b" }
		optional_string: "" times { seconds: 1 } snake_case_name: "x" renamed: "y"`},
	{Message: "Book", Text: `title: "t" authors { name: "a" teacher { name: "b" } } paper { pages: 3 } references { title: "u" } labels { key: "k" value: "v" }`},
	{Message: "Book", Text: `title: "t" ebook { bytes: 5 } published { seconds: 1700000000 }`},
	{Message: "Change", Text: `added { title: "t" } librarian: "l" choice: "c"`},
	{Message: "ListBooksRequest", Text: `lent { value: true } read_mask { paths: "title" } filter { author: "x" and { author: "y" } }`},

	{Message: "Book", JSON: `{"title": ""}`},
	{Message: "Book", JSON: `{}`},
	{Message: "Book", JSON: `{"title": "t", "paper": {}, "ebook": {}}`},
	{Message: "Book", JSON: `{"title": "t", "copies": "many"}`},
	{Message: "Book", JSON: `{"title": "t", "copies": {}}`},
	{Message: "Book", JSON: `{"title": "t", "genre": "GENRE_COOKING"}`},
	{Message: "Book", JSON: `{"title": "t", "authors": {"name": "a"}}`},
	{Message: "Book", JSON: `{"title": "t", "labels": {"k": 1}}`},
	{Message: "Change", JSON: `{"added": {"title": "t"}, "removed": "r"}`},
	{Message: "Everything", JSON: `{"uint32": -1}`},
	{Message: "Everything", JSON: `{"duration": "1 second"}`},
	{Message: "Everything", JSON: `{"byInt": {"x": {"title": "t"}}}`},
	{Message: "Everything", JSON: `{"int32": 1.5}`},
	{Message: "Everything", JSON: `{"bool": "true"}`},
	{Message: "Everything", JSON: `{"null": "NULL_VALUE"}`},
}

// TestInstances keeps the messages for module internal/openapi/validator.
func TestInstances(t *testing.T) {
	file := library(t)
	types := dynamicpb.NewTypes(registry(t, file))
	type instance struct {
		Schema string          `json:"schema"`
		Valid  bool            `json:"valid"`
		JSON   json.RawMessage `json:"json"`
	}
	var all []instance
	for _, i := range instances {
		value := json.RawMessage(i.JSON)
		if i.JSON == "" {
			m := dynamicpb.NewMessage(file.Messages().ByName(protoreflect.Name(i.Message)))
			if err := (prototext.UnmarshalOptions{Resolver: types}).Unmarshal([]byte(i.Text), m); err != nil {
				t.Fatalf("%s: %v", i.Text, err)
			}
			data, err := protojson.MarshalOptions{Resolver: types}.Marshal(m)
			if err != nil {
				t.Fatal(err)
			}
			value = data
		}
		all = append(all, instance{"library.v1." + i.Message, i.JSON == "", value})
	}
	got, err := json.MarshalIndent(all, "", "\t") // it also makes the spaces equal, which protojson varies
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "instances.json", append(got, '\n'))
}

// registry returns a file, and all that it imports, as a registry.
func registry(t *testing.T, file protoreflect.FileDescriptor) *protoregistry.Files {
	files := new(protoregistry.Files)
	var add func(f protoreflect.FileDescriptor)
	add = func(f protoreflect.FileDescriptor) {
		if _, err := files.FindFileByPath(f.Path()); err == nil {
			return
		}
		if err := files.RegisterFile(f); err != nil {
			t.Fatal(err)
		}
		for i := range f.Imports().Len() {
			add(f.Imports().Get(i).FileDescriptor)
		}
	}
	add(file)
	return files
}

// golden compares with a file in testdata.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is not what it was: look at it after go test -update", file)
	}
}
