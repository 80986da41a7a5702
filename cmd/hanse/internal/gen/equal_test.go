package gen_test

import (
	"bytes"
	"context"
	"flag"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/hanse-go/hanse/cmd/hanse/internal/gen"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
)

var update = flag.Bool("update", false, "make the golden files anew with the protoc in PATH")

// compilerLine is the one line in which the output may differ from protoc's.
var compilerLine = regexp.MustCompile(`(?m)^// (- |\t)protoc( +)\S+$`)

// TestEqualToProtoc compares with what the real protoc made with the same plugins, byte by byte: golden files that -update makes.
func TestEqualToProtoc(t *testing.T) {
	golden := filepath.Join("testdata", "equal", "golden")
	if *update {
		makeGolden(t, golden)
	}
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join("testdata", "equal"))); err != nil {
		t.Fatal(err)
	}
	os.RemoveAll(filepath.Join(dir, "golden"))
	write(t, dir, "go.mod", "module example.com/equal\n")
	res, err := gen.Run(context.Background(), gen.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	want := tree(t, golden)
	for _, f := range res.Written {
		if strings.HasSuffix(f, "_comments.pb.go") {
			continue // protoc has no such thing
		}
		got, err := os.ReadFile(filepath.Join(dir, f))
		if err != nil {
			t.Fatal(err)
		}
		key := filepath.ToSlash(strings.TrimPrefix(f, "gen"+string(filepath.Separator))) + ".golden"
		if !bytes.Equal(normal(got), normal(want[key])) {
			t.Errorf("%s differs from protoc's", f)
		}
		delete(want, key)
	}
	for f := range want {
		t.Errorf("%s was not made", f)
	}
}

func normal(b []byte) []byte { return compilerLine.ReplaceAll(b, []byte("// ${1}protoc${2}VERSION")) }

// makeGolden runs protoc and the plugins as a user without hanse would.
func makeGolden(t *testing.T, golden string) {
	bin := t.TempDir()
	for _, pkg := range []string{"google.golang.org/protobuf/cmd/protoc-gen-go", "google.golang.org/grpc/cmd/protoc-gen-go-grpc@" + gen.GRPCVersion} {
		run(t, exec.Command("go", "install", pkg), "GOBIN="+bin)
	}
	// The google/api files come as descriptors, for protoc does not have them.
	set := &descriptorpb.FileDescriptorSet{}
	for _, name := range []string{"google/api/http.proto", "google/api/annotations.proto", "google/api/field_behavior.proto"} {
		fd, err := protoregistry.GlobalFiles.FindFileByPath(name)
		if err != nil {
			t.Fatal(err)
		}
		set.File = append(set.File, protodesc.ToFileDescriptorProto(fd))
	}
	protoregistry.GlobalFiles.RangeFilesByPackage("google.protobuf", func(fd protoreflect.FileDescriptor) bool {
		set.File = append(set.File, protodesc.ToFileDescriptorProto(fd))
		return true
	})
	data, err := proto.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	write(t, bin, "set.bin", string(data))
	out := t.TempDir()
	args := []string{"-I", "testdata/equal/proto", "--descriptor_set_in=" + filepath.Join(bin, "set.bin"), "--experimental_allow_proto3_optional",
		"--go_out=" + out, "--go_opt=module=example.com/equal/gen", "--go-grpc_out=" + out, "--go-grpc_opt=module=example.com/equal/gen"}
	for f := range tree(t, "testdata/equal/proto") {
		args = append(args, f)
	}
	run(t, exec.Command("protoc", args...), "PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	os.RemoveAll(golden)
	for f, content := range tree(t, out) {
		write(t, golden, f+".golden", string(content))
	}
}

func run(t *testing.T, cmd *exec.Cmd, env ...string) {
	t.Helper()
	cmd.Env = append(os.Environ(), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", cmd, err, out)
	}
}

// tree reads all files below dir, by slash-separated path.
func tree(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	err := fs.WalkDir(os.DirFS(dir), ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		files[p], err = os.ReadFile(filepath.Join(dir, filepath.FromSlash(p)))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func write(t *testing.T, dir, name, content string) {
	t.Helper()
	file := filepath.Join(dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestCompilerVersion holds that the version in generated code is that of the compiler in go.mod.
func TestCompilerVersion(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("..", "..", "..", "..", "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	required := regexp.MustCompile(`github.com/bufbuild/protocompile (v\S+)`).FindSubmatch(data)
	dir := module(t, "proto/thing/v1/thing.proto", thing)
	mustRun(t, gen.Options{Dir: dir})
	code, err := os.ReadFile(filepath.Join(dir, "proto/thing/v1/thing.pb.go"))
	if err != nil {
		t.Fatal(err)
	}
	if want := "// \tprotoc        " + string(required[1]) + "-hanse\n"; !strings.Contains(string(code), want) {
		t.Errorf("the code does not say %q:\n%s", want, code[:200])
	}
}
