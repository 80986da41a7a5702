package suites

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
)

// TestGRPCJS runs the interoperability cases against grpc-js, which is made of Node's HTTP/2 and none of Go's, in both roles.
func TestGRPCJS(t *testing.T) {
	node := nodeWithPackages(t)
	descriptors := writeDescriptors(t)
	for _, tls := range []bool{false, true} {
		t.Run("our server, "+wireName(tls), func(t *testing.T) {
			t.Parallel()
			s := newScore(t, "grpc-js: our server, its client, "+wireName(tls))
			_, addr := startOurs(t, tls)
			args := []string{"testdata/grpc-js/client.js", addr, descriptors}
			if tls {
				cert, _ := certificate(t)
				args = append(args, cert, certName)
			}
			out, err := command(t, node, args...)
			lines := caseLines(out)
			for name, line := range lines {
				s.run(t, name, func(t *testing.T) {
					if !strings.HasPrefix(line, "PASS") {
						t.Error(line)
					}
				})
			}
			if err != nil && !strings.Contains(out, "FAIL ") {
				t.Errorf("%v\n%s", err, out)
			}
		})
		t.Run("our client, "+wireName(tls), func(t *testing.T) {
			t.Parallel()
			s := newScore(t, "grpc-js: its server, our client, "+wireName(tls))
			args := []string{"testdata/grpc-js/server.js", descriptors}
			if tls {
				cert, key := certificate(t)
				args = append(args, cert, key)
			}
			_, addr := start(t, `listening on (\S+)`, node, args...)
			runOurs(t, s, addr, tls, concat(required, optional, own))
		})
	}
}

// TestMixedCompression calls a server on Node's HTTP/2 that compresses one message of a stream and not the other.
func TestMixedCompression(t *testing.T) {
	node := nodeWithPackages(t)
	s := newScore(t, "node: mixed compression, our client, h2c")
	_, addr := start(t, `listening on (\S+)`, node, "testdata/grpc-js/mixed.js", writeDescriptors(t))
	runOurs(t, s, addr, false, choosing)
}

// nodeWithPackages returns the path of node, where the packages are too.
func nodeWithPackages(t *testing.T) string {
	t.Helper()
	node := installed(t, "node", "install Node.js with npm (Debian: nodejs, npm)")
	if _, err := os.Stat(filepath.Join(tools, "node_modules", "@grpc", "grpc-js")); err != nil {
		missing(t, "@grpc/grpc-js", "tools/conformance/fetch brings it where there is npm (Debian: npm)")
	}
	return node
}

// writeDescriptors writes the descriptors of grpc.testing.TestService to a file and returns its path.
func writeDescriptors(t *testing.T) string {
	t.Helper()
	set := &descriptorpb.FileDescriptorSet{}
	seen := map[string]bool{}
	var add func(protoreflect.FileDescriptor)
	add = func(f protoreflect.FileDescriptor) {
		if seen[f.Path()] {
			return
		}
		seen[f.Path()] = true
		for i := range f.Imports().Len() {
			add(f.Imports().Get(i).FileDescriptor)
		}
		set.File = append(set.File, protodesc.ToFileDescriptorProto(f))
	}
	add(testpb.File_grpc_testing_test_proto)
	data, err := proto.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "test.protoset")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
