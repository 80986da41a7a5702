package comments_test

import (
	"context"
	"strings"
	"testing"

	"github.com/bufbuild/protocompile"
	"github.com/bufbuild/protocompile/protoutil"
	"github.com/hanse-go/hanse/internal/comments"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
)

const source = `syntax = "proto3";
package t;
// S serves.
//
//   indented
service S {
  /* Block
   * of lines. */
  rpc M(A) returns (A); // behind
  rpc N(A) returns (A); // N is behind.
  // buf:lint:ignore X
  rpc O(A) returns (A);
  // (-- not
  // told --) P is told. (-- open
  rpc P(A) returns (A);
}

// Detached.

message A {
  // Field.
  string f = 1;
  oneof o { // One of.
    // Inner field.
    B b = 2;
  }
  message B {
    // Enum.
    enum E {
      // Zero.
      E_ZERO = 0;
    }
  }
}
`

var want = map[protoreflect.FullName]string{
	"t.S":     "S serves.\n\n  indented",
	"t.S.M":   "Block\nof lines.",
	"t.S.N":   "N is behind.",
	"t.S.O":   "",
	"t.S.P":   "P is told. (-- open",
	"t.A":     "",
	"t.A.f":   "Field.",
	"t.A.o":   "One of.",
	"t.A.b":   "Inner field.",
	"t.A.B":   "",
	"t.A.B.E": "Enum.",
}

func compile(t *testing.T, text string) protoreflect.FileDescriptor {
	t.Helper()
	c := protocompile.Compiler{
		Resolver:       &protocompile.SourceResolver{Accessor: protocompile.SourceAccessorFromMap(map[string]string{"t.proto": text})},
		SourceInfoMode: protocompile.SourceInfoStandard,
	}
	files, err := c.Compile(context.Background(), "t.proto")
	if err != nil {
		t.Fatal(err)
	}
	return files[0]
}

// bare returns the file as generated code has it, and a registry with it and with its companion.
func bare(t *testing.T, compiled protoreflect.FileDescriptor) (protoreflect.FileDescriptor, *protoregistry.Files) {
	t.Helper()
	full := protoutil.ProtoFromFileDescriptor(compiled)
	companion, ok := comments.Pack(full)
	if !ok {
		t.Fatal("no comments")
	}
	stripped := proto.CloneOf(full)
	stripped.SourceCodeInfo = nil
	// Over the wire, as reflection would send them.
	set := &descriptorpb.FileDescriptorSet{}
	data, err := proto.Marshal(&descriptorpb.FileDescriptorSet{File: []*descriptorpb.FileDescriptorProto{stripped, companion}})
	if err != nil {
		t.Fatal(err)
	}
	if err := proto.Unmarshal(data, set); err != nil {
		t.Fatal(err)
	}
	files, err := protodesc.NewFiles(set)
	if err != nil {
		t.Fatal(err)
	}
	d, err := files.FindFileByPath("t.proto")
	if err != nil {
		t.Fatal(err)
	}
	return d, files
}

func TestOf(t *testing.T) {
	compiled := compile(t, source)
	generated, files := bare(t, compiled)
	for name, file := range map[string]protoreflect.FileDescriptor{"compiled": compiled, "generated": generated} {
		r := &comments.Reader{Files: files}
		for what, want := range want {
			if got := r.Of(find(t, file, what)); got != want {
				t.Errorf("%s: %s: %q, want %q", name, what, got, want)
			}
		}
		value := file.Messages().Get(0).Messages().Get(0).Enums().Get(0).Values().Get(0)
		if got := r.Of(value); got != "Zero." {
			t.Errorf("%s: a value: %q", name, got)
		}
	}
}

func find(t *testing.T, file protoreflect.FileDescriptor, name protoreflect.FullName) protoreflect.Descriptor {
	t.Helper()
	var files protoregistry.Files
	if err := files.RegisterFile(file); err != nil {
		t.Fatal(err)
	}
	d, err := files.FindDescriptorByName(name)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestInfo holds that the comments can be given back to the file, for reflection.
func TestInfo(t *testing.T) {
	generated, files := bare(t, compile(t, source))
	full := protodesc.ToFileDescriptorProto(generated)
	full.SourceCodeInfo = (&comments.Reader{Files: files}).Info(generated)
	again, err := protodesc.NewFile(full, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := new(comments.Reader).Of(find(t, again, "t.S.N")); got != "N is behind." {
		t.Errorf("%q", got)
	}
}

// TestNothing holds that what has no comments, or a companion that is something else, has none.
func TestNothing(t *testing.T) {
	plain := compile(t, strings.NewReplacer("//", "/*", "\n", "*/\n").Replace("syntax = \"proto3\"; message A {}"))
	if _, ok := comments.Pack(protoutil.ProtoFromFileDescriptor(plain)); ok {
		t.Error("comments of a file without any")
	}
	generated, files := bare(t, compile(t, source))
	companion, err := files.FindFileByPath(comments.Companion("t.proto"))
	if err != nil {
		t.Fatal(err)
	}
	for name, unknown := range map[string]string{"nothing": "", "cut off": string(companion.Options().ProtoReflect().GetUnknown()[:9]), "other field": "\x08\x01", "no tag": "\xff"} {
		options := &descriptorpb.FileOptions{}
		options.ProtoReflect().SetUnknown([]byte(unknown))
		other, err := protodesc.NewFile(&descriptorpb.FileDescriptorProto{Name: proto.String(companion.Path()), Options: options}, nil)
		if err != nil {
			t.Fatal(err)
		}
		var files protoregistry.Files
		if err := files.RegisterFile(other); err != nil {
			t.Fatal(err)
		}
		if got := (&comments.Reader{Files: &files}).Of(find(t, generated, "t.S")); got != "" {
			t.Errorf("%s: %q", name, got)
		}
	}
	if got := new(comments.Reader).Of(find(t, generated, "t.S")); got != "" {
		t.Errorf("without a companion: %q", got)
	}
}
