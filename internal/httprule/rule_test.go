package httprule_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/bufbuild/protocompile"
	"github.com/hanse-go/hanse/internal/httprule"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
)

// compile returns the methods of the service in a .proto file.
func compile(t testing.TB, source string) protoreflect.MethodDescriptors {
	t.Helper()
	files := map[string]string{"library.proto": source}
	compiler := protocompile.Compiler{Resolver: protocompile.WithStandardImports(protocompile.CompositeResolver{
		&protocompile.SourceResolver{Accessor: protocompile.SourceAccessorFromMap(files)},
		protocompile.ResolverFunc(func(path string) (protocompile.SearchResult, error) {
			fd, err := protoregistry.GlobalFiles.FindFileByPath(path)
			if err != nil {
				return protocompile.SearchResult{}, err
			}
			return protocompile.SearchResult{Desc: fd}, nil
		}),
	})}
	linked, err := compiler.Compile(context.Background(), "library.proto")
	if err != nil {
		t.Fatal(err)
	}
	return linked[0].Services().Get(0).Methods()
}

const library = `syntax = "proto3";
package library;
import "google/api/annotations.proto";
import "google/protobuf/field_mask.proto";
import "google/protobuf/timestamp.proto";
import "google/protobuf/wrappers.proto";
message Book {
  string name = 1;
  repeated string tags = 2;
  map<string, string> labels = 3;
  google.protobuf.Timestamp when = 4;
  google.protobuf.Int64Value size = 5;
  Book next = 6;
}
service Library {
`

func TestOf(t *testing.T) {
	methods := compile(t, library+`
  rpc None(Book) returns (Book) { option idempotency_level = NO_SIDE_EFFECTS; }
  rpc Get(Book) returns (Book) { option (google.api.http) = {
    get: "/v1/{name=books/*}"
    additional_bindings { get: "/v1/{next.next.name}/{when}/{size}" response_body: "tags" }
    additional_bindings { post: "/v1/books" body: "next" }
  }; }
  rpc Post(Book) returns (Book) { option (google.api.http) = { post: "/v1" body: "*" }; }
  rpc Put(Book) returns (Book) { option (google.api.http) = { put: "/v1" body: "tags" }; }
  rpc Delete(Book) returns (Book) { option (google.api.http) = { delete: "/v1" }; }
  rpc Patch(Book) returns (Book) { option (google.api.http) = { patch: "/v1" }; }
  rpc Custom(Book) returns (Book) { option (google.api.http) = { custom { kind: "BREW" path: "/v1" } body: "*" }; }
  rpc Any(Book) returns (Book) { option (google.api.http) = { custom { kind: "*" path: "/v1" } }; }
}`)
	for name, want := range map[protoreflect.Name]string{
		"None":   "",
		"Get":    "GET /v1/{name=books/*} [name]; GET /v1/{next.next.name}/{when}/{size} [next.next.name when size] -> tags; POST /v1/books [] body next",
		"Post":   "POST /v1 [] body *",
		"Put":    "PUT /v1 [] body tags",
		"Delete": "DELETE /v1 []",
		"Patch":  "PATCH /v1 []",
		"Custom": "BREW /v1 [] body *",
		"Any":    "* /v1 []",
	} {
		method := methods.ByName(name)
		for kind, md := range map[string]protoreflect.MethodDescriptor{
			"compiled": method, "of a known type": remade(t, method, protoregistry.GlobalTypes), "unknown": remade(t, method, new(protoregistry.Types)),
		} {
			rules, err := httprule.Of(md)
			if err != nil {
				t.Errorf("%s, %s: %v", name, kind, err)
			}
			if got := describe(rules); got != want {
				t.Errorf("%s, %s:\n%s\nwant\n%s", name, kind, got, want)
			}
		}
	}
}

// remade is the method of a file that was sent as bytes and read by who knows these extensions.
func remade(t *testing.T, method protoreflect.MethodDescriptor, types *protoregistry.Types) protoreflect.MethodDescriptor {
	t.Helper()
	data, err := proto.Marshal(protodesc.ToFileDescriptorProto(method.ParentFile()))
	if err != nil {
		t.Fatal(err)
	}
	var file descriptorpb.FileDescriptorProto
	if err := (proto.UnmarshalOptions{Resolver: types}).Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	fd, err := protodesc.NewFile(&file, protoregistry.GlobalFiles)
	if err != nil {
		t.Fatal(err)
	}
	return fd.Services().Get(0).Methods().ByName(method.Name())
}

func describe(rules []httprule.Rule) string {
	var all []string
	for _, r := range rules {
		var fields []string
		for _, way := range r.Fields {
			var names []string
			for _, fd := range way {
				names = append(names, string(fd.Name()))
			}
			fields = append(fields, strings.Join(names, "."))
		}
		text := fmt.Sprint(r.Method, " ", r.Template, " ", fields)
		if r.WholeBody {
			text += " body *"
		}
		if r.Body != nil {
			text += " body " + string(r.Body.Name())
		}
		if r.Response != nil {
			text += " -> " + string(r.Response.Name())
		}
		all = append(all, text)
	}
	return strings.Join(all, "; ")
}

func TestMistakes(t *testing.T) {
	for rule, want := range map[string]string{
		`get: "v1"`:                          `library.Library.M: google.api.http: path template "v1": it does not begin with a slash`,
		`body: "*"`:                          "neither of get, put",
		`get: ""`:                            "does not begin with a slash",
		`custom { path: "/v1" }`:             "neither of get, put",
		`custom { kind: "A B" path: "/v1" }`: `kind "A B" is no method`,
		`get: "/{nam}"`:                      `variable nam: library.Book has no field "nam"`,
		`get: "/{next}"`:                     "library.Book.next is a message, library.Book: name a field of it",
		`get: "/{next.nam}"`:                 `variable next.nam: library.Book has no field "nam"`,
		`get: "/{name.x}"`:                   "library.Book.name is no message",
		`get: "/{tags}"`:                     "library.Book.tags is repeated",
		`get: "/{labels}"`:                   "library.Book.labels is a map",
		`get: "/{when.seconds.x}"`:           "google.protobuf.Timestamp.seconds is no message",
		`get: "/v1" body: "*"`:               `body: "*", but a GET request has none`,
		`post: "/v1" body: "nam"`:            `body: library.Book has no field "nam"`,
		`post: "/v1" body: "next.name"`:      `body: library.Book has no field "next.name"`,
		`get: "/v1" response_body: "nam"`:    `response_body: library.Book has no field "nam"`,
		`get: "/v1" additional_bindings { get: "/v2" additional_bindings { get: "/v3" } }`: "list them all in the first one",
	} {
		methods := compile(t, library+`rpc M(Book) returns (Book) { option (google.api.http) = {`+rule+`}; } }`)
		rules, err := httprule.Of(methods.Get(0))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want an error with %s", rule, err, want)
		}
		if strings.Contains(rule, "additional") != (len(rules) == 1) {
			t.Errorf("%s: %d rules", rule, len(rules))
		}
	}
}
