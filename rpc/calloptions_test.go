package rpc

import (
	"context"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os/exec"
	"reflect"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	_ "google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/experimental"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
)

type testCodec struct{}

func (testCodec) Marshal(any) ([]byte, error) { return nil, nil }
func (testCodec) Unmarshal([]byte, any) error { return nil }
func (testCodec) Name() string                { return "Test-Name" }
func (testCodec) String() string              { return "test-string" }

type testCodecV2 struct{}

func (testCodecV2) Marshal(any) (mem.BufferSlice, error) { return nil, nil }
func (testCodecV2) Unmarshal(mem.BufferSlice, any) error { return nil }
func (testCodecV2) Name() string                         { return "Test-V2" }

type noCreds struct{}

func (noCreds) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return nil, nil
}
func (noCreds) RequireTransportSecurity() bool { return false }

var (
	testMD     metadata.MD
	testPeer   peer.Peer
	testCreds  noCreds
	testFinish []error
)

// knownOptions has, for each type of option that package grpc exports or makes, an option and what it must do.
var knownOptions = map[string]struct {
	opt  grpc.CallOption
	want func(o *callOptions) bool
}{
	"EmptyCallOption":                 {grpc.EmptyCallOption{}, isPlain},
	"StaticMethodCallOption":          {grpc.StaticMethod(), isPlain},
	"MaxRetryRPCBufferSizeCallOption": {grpc.MaxRetryRPCBufferSize(1), isPlain},
	"acceptCompressorsCallOption":     {experimental.AcceptCompressors("gzip", "identity"), isPlain},
	"HeaderCallOption":                {grpc.Header(&testMD), func(o *callOptions) bool { return len(o.headers) == 1 && o.headers[0] == &testMD }},
	"TrailerCallOption":               {grpc.Trailer(&testMD), func(o *callOptions) bool { return len(o.trailers) == 1 && o.trailers[0] == &testMD }},
	"PeerCallOption":                  {grpc.Peer(&testPeer), func(o *callOptions) bool { return len(o.peers) == 1 && o.peers[0] == &testPeer }},
	"FailFastCallOption":              {grpc.WaitForReady(true), func(o *callOptions) bool { return *o.waitForReady }},
	"MaxRecvMsgSizeCallOption":        {grpc.MaxCallRecvMsgSize(7), func(o *callOptions) bool { return *o.maxRecv == 7 }},
	"MaxSendMsgSizeCallOption":        {grpc.MaxCallSendMsgSize(8), func(o *callOptions) bool { return *o.maxSend == 8 }},
	"AuthorityOverrideCallOption":     {grpc.CallAuthority("a"), func(o *callOptions) bool { return o.authority == "a" }},
	"PerRPCCredsCallOption":           {grpc.PerRPCCredentials(testCreds), func(o *callOptions) bool { return o.creds == testCreds }},
	"CompressorCallOption":            {grpc.UseCompressor("gzip"), func(o *callOptions) bool { return o.compressor == "gzip" }},
	"ContentSubtypeCallOption":        {grpc.CallContentSubtype("PROTO"), func(o *callOptions) bool { return o.contentSubtype == "proto" && o.plain }},
	"ForceCodecCallOption": {grpc.ForceCodec(testCodec{}), func(o *callOptions) bool {
		return o.codec == bytesCodecAdapter{testCodec{}} && o.contentSubtype == "test-name" && !o.plain
	}},
	"ForceCodecV2CallOption": {grpc.ForceCodecV2(testCodecV2{}), func(o *callOptions) bool {
		return o.codec == testCodecV2{} && o.contentSubtype == "test-v2" && !o.plain
	}},
	//lint:ignore SA1019 callers may still use it
	"CustomCodecCallOption": {grpc.CallCustomCodec(testCodec{}), func(o *callOptions) bool {
		return o.codec == bytesCodecAdapter{testCodec{}} && !o.plain
	}},
	"OnFinishCallOption": {grpc.OnFinish(func(err error) { testFinish = append(testFinish, err) }), func(o *callOptions) bool {
		testFinish = nil
		o.finish(fs.ErrExist)
		return slices.Equal(testFinish, []error{fs.ErrExist}) && len(o.orig) == 0
	}},
}

// isPlain reports whether the options are those of a call without any.
func isPlain(o *callOptions) bool {
	c := *o
	c.orig = nil
	return reflect.DeepEqual(c, callOptions{format: format{encoding.GetCodecV2(proto.Name), true}})
}

func TestEveryOptionOfGRPC(t *testing.T) {
	for name, tt := range knownOptions {
		t.Run(name, func(t *testing.T) {
			if got := reflect.TypeOf(tt.opt).Name(); got != name {
				t.Fatalf("the table has a %s under the name %s", got, name)
			}
			o, err := parseCallOptions([]grpc.CallOption{tt.opt})
			if err != nil {
				t.Fatal(err)
			}
			if !tt.want(o) {
				t.Errorf("got %+v", o)
			}
			forGRPC := []grpc.CallOption{tt.opt}
			switch name {
			case "OnFinishCallOption", "FailFastCallOption", "MaxRetryRPCBufferSizeCallOption": // a Conn does all of their work
				forGRPC = nil
			}
			if !reflect.DeepEqual(o.orig, forGRPC) {
				t.Errorf("grpc-go gets %v", o.orig)
			}
		})
	}
	if have, want := slices.Sorted(maps.Keys(knownOptions)), optionTypesOfGRPC(t); !slices.Equal(have, want) {
		t.Errorf("package grpc has the options\n%q\nbut these are known:\n%q", want, have)
	}
}

// optionTypesOfGRPC reads the names of the types that have the methods of a grpc.CallOption from grpc's source.
func optionTypesOfGRPC(t *testing.T) []string {
	t.Helper()
	dir, err := exec.Command("go", "list", "-f", "{{.Dir}}", "google.golang.org/grpc").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	//lint:ignore SA1019 build tags do not matter here
	pkgs, err := parser.ParseDir(token.NewFileSet(), strings.TrimSpace(string(dir)), func(f fs.FileInfo) bool {
		return !strings.HasSuffix(f.Name(), "_test.go")
	}, 0)
	if err != nil {
		t.Fatal(err)
	}
	options := map[string]bool{}
	embeds := map[string][]string{}
	ast.Inspect(pkgs["grpc"], func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			if n.Name.Name == "before" && n.Recv != nil {
				if id, ok := n.Recv.List[0].Type.(*ast.Ident); ok {
					options[id.Name] = true
				}
			}
		case *ast.TypeSpec:
			if s, ok := n.Type.(*ast.StructType); ok {
				for _, f := range s.Fields.List {
					if id, ok := f.Type.(*ast.Ident); ok && f.Names == nil {
						embeds[n.Name.Name] = append(embeds[n.Name.Name], id.Name)
					}
				}
			}
		}
		return true
	})
	for name, embedded := range embeds {
		if slices.ContainsFunc(embedded, func(e string) bool { return options[e] }) {
			options[name] = true
		}
	}
	if len(options) < 15 {
		t.Fatalf("found only %v", options)
	}
	return slices.Sorted(maps.Keys(options))
}

type (
	withData   struct{ grpc.EmptyCallOption }
	withHeader struct {
		Note string
		grpc.HeaderCallOption
	}
	header    = grpc.HeaderCallOption
	hidden    struct{ header } // embedded under a name that is not exported
	deep      struct{ *hidden }
	withAny   struct{ grpc.CallOption }
	twoDepths struct {
		deep
		grpc.MaxSendMsgSizeCallOption // shallower: its methods are promoted
	}
)

func TestOptionsOfOtherPackages(t *testing.T) {
	var md metadata.MD
	opt := grpc.HeaderCallOption{HeaderAddr: &md}
	for name, tt := range map[string]struct {
		opt  grpc.CallOption
		want func(o *callOptions) bool
	}{
		"ignored":           {withData{}, isPlain},
		"pointer":           {&withHeader{HeaderCallOption: opt}, hasHeader(&md)},
		"value":             {withHeader{HeaderCallOption: opt}, hasHeader(&md)},
		"not exported":      {hidden{opt}, hasHeader(&md)},
		"two levels":        {deep{&hidden{opt}}, hasHeader(&md)},
		"by interface":      {withAny{opt}, hasHeader(&md)},
		"twice":             {withAny{withAny{&withHeader{HeaderCallOption: opt}}}, hasHeader(&md)},
		"shallowest counts": {twoDepths{deep{&hidden{opt}}, grpc.MaxSendMsgSizeCallOption{MaxSendMsgSize: 3}}, func(o *callOptions) bool { return len(o.headers) == 0 && *o.maxSend == 3 }},
	} {
		t.Run(name, func(t *testing.T) {
			o, err := parseCallOptions([]grpc.CallOption{tt.opt})
			if err != nil {
				t.Fatal(err)
			}
			if !tt.want(o) {
				t.Errorf("got %+v", o)
			}
		})
	}
}

func hasHeader(md *metadata.MD) func(o *callOptions) bool {
	return func(o *callOptions) bool { return slices.Equal(o.headers, []*metadata.MD{md}) }
}

func TestBadOptions(t *testing.T) {
	for name, tt := range map[string]struct {
		opt  grpc.CallOption
		code codes.Code
		msg  string
	}{
		"nil":                {nil, codes.Internal, "nil"},
		"nil inside":         {withAny{}, codes.Internal, "nil"},
		"unknown codec":      {grpc.CallContentSubtype("nope"), codes.Internal, "no codec registered for content-subtype nope"},
		"unknown compressor": {grpc.UseCompressor("nope"), codes.Internal, `"nope"`},
		"unknown acceptance": {experimental.AcceptCompressors("nope"), codes.InvalidArgument, `"nope"`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parseCallOptions([]grpc.CallOption{tt.opt})
			if status.Code(err) != tt.code || !strings.Contains(err.Error(), tt.msg) {
				t.Errorf("got %v, want %v with %q", err, tt.code, tt.msg)
			}
		})
	}
}

// An option of a grpc release to come is one that no type switch here names.
func TestUnknownOptionOfGRPC(t *testing.T) {
	_, err := (&callOptions{}).applyOther(grpc.StaticMethod())
	if status.Code(err) != codes.Internal || !strings.Contains(err.Error(), "grpc.StaticMethodCallOption") {
		t.Errorf("got %v", err)
	}
}

func TestLastOptionCounts(t *testing.T) {
	o, err := parseCallOptions([]grpc.CallOption{grpc.WaitForReady(true), grpc.MaxCallRecvMsgSize(1), grpc.WaitForReady(false), grpc.MaxCallRecvMsgSize(2)})
	if err != nil || *o.waitForReady || *o.maxRecv != 2 {
		t.Errorf("got %+v, %v", o, err)
	}
}

func TestUsualOptionsAreShared(t *testing.T) {
	for _, opts := range [][]grpc.CallOption{nil, {grpc.StaticMethod()}} {
		if n := testing.AllocsPerRun(100, func() { parseCallOptions(opts) }); n != 0 {
			t.Errorf("%v: %v allocations", opts, n)
		}
	}
}
