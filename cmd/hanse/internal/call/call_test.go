package call_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/bufbuild/protocompile"
	"github.com/hanse-go/hanse/cmd/hanse/internal/call"
	"github.com/hanse-go/hanse/cmd/hanse/internal/ui"
	describe "github.com/hanse-go/hanse/internal/reflection"
	"go.uber.org/goleak"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/reflection"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	reflectionv1alpha "google.golang.org/grpc/reflection/grpc_reflection_v1alpha"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/dynamicpb"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The contracts of the test server. Each method of Echo answers with what it got; Fail fails.
const contracts = `syntax = "proto3";
package test.v1;
import "google/protobuf/timestamp.proto";
import "google/protobuf/duration.proto";
import "google/protobuf/wrappers.proto";
import "google/protobuf/struct.proto";
import "google/protobuf/field_mask.proto";
import "google/protobuf/any.proto";

service Echo {
  rpc Unary(Thing) returns (Thing);
  rpc Down(Thing) returns (stream Thing);
  rpc Up(stream Thing) returns (Thing);
  rpc Both(stream Thing) returns (stream Thing);
  rpc Fail(Thing) returns (Thing);
}
service Other {
  rpc Ask(Empty) returns (Empty);
  rpc Unary(Empty) returns (Empty);
}
message Empty {}
message Thing {
  string name = 1;
  int32 count = 2;
  uint64 big = 3;
  double ratio = 4;
  bool on = 5;
  bytes raw = 6;
  Colour colour = 7;
  Place place = 8;
  repeated string tags = 9;
  repeated Place stops = 10;
  map<string, int32> stock = 11;
  map<int32, Place> by_number = 12;
  google.protobuf.Timestamp at = 13;
  google.protobuf.Duration lasts = 14;
  google.protobuf.Int32Value maybe = 15;
  google.protobuf.Struct extra = 16;
  google.protobuf.Value free = 17;
  google.protobuf.FieldMask mask = 18;
  google.protobuf.Any any = 19;
  repeated int32 numbers = 20;
  google.protobuf.StringValue word = 21;
  oneof choice { string text = 30; Place spot = 31; }
}
message Place { string city = 1; Place near = 2; int32 zip_code = 3; }
enum Colour { COLOUR_UNSPECIFIED = 0; COLOUR_RED = 1; COLOUR_DARK_BLUE = 2; }
`

type server struct {
	conn  *grpc.ClientConn
	files *protoregistry.Files
	thing protoreflect.MessageDescriptor
}

// serve runs a stock grpc-go server with the contracts; with none of the two, reflection is off.
func serve(t *testing.T, v1, v1alpha bool) *server {
	t.Helper()
	compiler := protocompile.Compiler{Resolver: protocompile.WithStandardImports(&protocompile.SourceResolver{
		Accessor: protocompile.SourceAccessorFromMap(map[string]string{"test.proto": contracts})})}
	compiled, err := compiler.Compile(t.Context(), "test.proto")
	if err != nil {
		t.Fatal(err)
	}
	files := &protoregistry.Files{}
	var register func(fd protoreflect.FileDescriptor)
	register = func(fd protoreflect.FileDescriptor) {
		if _, err := files.FindFileByPath(fd.Path()); err == nil {
			return
		}
		for i := range fd.Imports().Len() {
			register(fd.Imports().Get(i).FileDescriptor)
		}
		if err := files.RegisterFile(fd); err != nil {
			t.Fatal(err)
		}
	}
	register(compiled[0])

	s := &server{files: files, thing: compiled[0].Messages().ByName("Thing")}
	srv := grpc.NewServer(grpc.UnknownServiceHandler(s.handle))
	opts := reflection.ServerOptions{Services: known{}, DescriptorResolver: files, ExtensionResolver: new(protoregistry.Types)}
	if v1 {
		reflectionv1.RegisterServerReflectionServer(srv, reflection.NewServerV1(opts))
	}
	if v1alpha {
		reflectionv1alpha.RegisterServerReflectionServer(srv, reflection.NewServer(opts))
	}
	lis := bufconn.Listen(1 << 20)
	served := make(chan error, 1)
	go func() { served <- srv.Serve(lis) }()
	s.conn, err = grpc.NewClient("passthrough:///test", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return lis.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.conn.Close()
		srv.Stop()
		<-served
	})
	return s
}

type known struct{}

func (known) GetServiceInfo() map[string]grpc.ServiceInfo {
	return map[string]grpc.ServiceInfo{"test.v1.Echo": {}, "test.v1.Other": {}, "grpc.health.v1.Health": {}}
}

// handle is all methods of Echo.
func (s *server) handle(_ any, stream grpc.ServerStream) error {
	method, _ := grpc.MethodFromServerStream(stream)
	if !strings.HasPrefix(method, "/test.v1.Echo/") {
		return status.Error(codes.Unimplemented, method)
	}
	if method == "/test.v1.Echo/Fail" {
		st, err := status.New(codes.ResourceExhausted, "too much").WithDetails(
			&errdetails.ErrorInfo{Reason: "QUOTA", Domain: "example.com"})
		if err != nil {
			return err
		}
		return st.Err()
	}
	md, _ := metadata.FromIncomingContext(stream.Context())
	if err := stream.SetHeader(metadata.Pairs("got", strings.Join(md.Get("who"), "+"))); err != nil {
		return err
	}
	stream.SetTrailer(metadata.Pairs("end", "yes"))
	n := 0
	var last *dynamicpb.Message
	for {
		in := dynamicpb.NewMessage(s.thing)
		err := stream.RecvMsg(in)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		n++
		last = in
		switch method {
		case "/test.v1.Echo/Both":
			if err := stream.SendMsg(in); err != nil {
				return err
			}
		case "/test.v1.Echo/Down":
			for range 3 {
				if err := stream.SendMsg(in); err != nil {
					return err
				}
			}
			return nil
		}
	}
	if method == "/test.v1.Echo/Both" {
		return nil
	}
	if method == "/test.v1.Echo/Up" {
		last = dynamicpb.NewMessage(s.thing)
		last.Set(s.thing.Fields().ByName("count"), protoreflect.ValueOfInt32(int32(n)))
	}
	return stream.SendMsg(last)
}

// find looks a method up.
func (s *server) find(t *testing.T, target string, offered ...string) (*call.Method, error) {
	t.Helper()
	tg, err := call.ParseTarget(target, false)
	if err != nil {
		t.Fatal(err)
	}
	r := describe.New(s.conn)
	defer r.Close()
	return call.Find(t.Context(), r, tg, offered)
}

// run calls a method and returns its replies, one a line.
func (s *server) run(t *testing.T, target, in string, args ...string) (string, error) {
	t.Helper()
	m, err := s.find(t, target)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	c := call.Call{Conn: s.conn, Method: m, Args: args, In: strings.NewReader(in), Reply: func(js []byte) error {
		out.Write(append(js, '\n'))
		return nil
	}}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	_, err = c.Run(ctx)
	return out.String(), err
}

func TestKinds(t *testing.T) {
	s := serve(t, true, false)
	tests := []struct {
		name, target, in string
		args             []string
		want             string
	}{
		{name: "unary", target: "x/Echo/Unary", args: []string{"name=Ada", "count=3"}, want: `{"name":"Ada","count":3}`},
		{name: "unary by JSON", target: "x/test.v1.Echo/Unary", args: []string{` {"name":"Ada","stock":{"a":1}}`}, want: `{"name":"Ada","stock":{"a":1}}`},
		{name: "unary without a message", target: "x/Echo/Unary", want: `{}`},
		{name: "unary does not read standard input", target: "x/Echo/Unary", in: `{"name":"Ada"}`, want: `{}`},
		{name: "unary from standard input", target: "x/Echo/Unary", in: `{"name":"Ada"}`, args: []string{"-"}, want: `{"name":"Ada"}`},
		{name: "server stream", target: "x/Down", args: []string{"count=1"}, want: "{\"count\":1}\n{\"count\":1}\n{\"count\":1}"},
		{name: "client stream of arguments", target: "x/Up", args: []string{"{}", `{"name":"b"}`}, want: `{"count":2}`},
		{name: "client stream from standard input", target: "x/Up", in: "{}\n{}{}\n", want: `{"count":3}`},
		{name: "client stream of nothing", target: "x/Up", want: `{}`},
		{name: "both", target: "x/Both", in: `{"count":1} {"count":2}`, want: "{\"count\":1}\n{\"count\":2}"},
		{name: "both of one message", target: "x/Both", args: []string{"count=4"}, want: `{"count":4}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := s.run(t, tt.target, tt.in, tt.args...)
			if err != nil || strings.TrimSpace(got) != tt.want {
				t.Errorf("got %s, %v\nwant %s", got, err, tt.want)
			}
		})
	}
}

func TestFields(t *testing.T) {
	s := serve(t, true, false)
	tests := []struct {
		args string // separated by blanks
		want string // reply, or part of the error
		exit int
	}{
		{args: "big=18446744073709551615 ratio=2.5 on=true raw=aGk=", want: `{"big":"18446744073709551615","ratio":2.5,"on":true,"raw":"aGk="}`},
		{args: "count=-7 ratio=-Infinity on=yes raw=aGk", want: `{"count":-7,"ratio":"-Infinity","on":true,"raw":"aGk="}`},
		{args: "colour=COLOUR_RED", want: `{"colour":"COLOUR_RED"}`},
		{args: "colour=dark-blue", want: `{"colour":"COLOUR_DARK_BLUE"}`},
		{args: "colour=2", want: `{"colour":"COLOUR_DARK_BLUE"}`},
		{args: "name=a=b", want: `{"name":"a=b"}`},
		{args: "name=", want: `{}`},
		{args: "place.city=Lübeck place.near.city=Hamburg place.zip_code=23552", want: `{"place":{"city":"Lübeck","near":{"city":"Hamburg"},"zipCode":23552}}`},
		{args: "place.zipCode=1", want: `{"place":{"zipCode":1}}`},
		{args: `place={"city":"Kiel"}`, want: `{"place":{"city":"Kiel"}}`},
		{args: "tags=a tags=b tags=[c", want: `{"tags":["a","b","[c"]}`},
		{args: `tags=["a","b"] tags=c`, want: `{"tags":["a","b","c"]}`},
		{args: `tags.0=a tags.1=b tags.0=c`, want: `{"tags":["c","b"]}`},
		{args: "numbers=1 numbers=2", want: `{"numbers":[1,2]}`},
		{args: "numbers=[3,4]", want: `{"numbers":[3,4]}`},
		{args: `stops.0.city=A stops.0.zip_code=1 stops.1.city=B stops={"city":"C"}`, want: `{"stops":[{"city":"A","zipCode":1},{"city":"B"},{"city":"C"}]}`},
		{args: "stock.apples=1 stock.pears=2", want: `{"stock":{"apples":1,"pears":2}}`},
		{args: `stock={"a":1}`, want: `{"stock":{"a":1}}`},
		{args: "by_number.7.city=A by_number.7.zip_code=1", want: `{"byNumber":{"7":{"city":"A","zipCode":1}}}`},
		{args: "at=2026-01-31T12:00:00Z lasts=1m30s", want: `{"at":"2026-01-31T12:00:00Z","lasts":"90s"}`},
		{args: "lasts=1.5s maybe=0 word=x", want: `{"lasts":"1.500s","maybe":0,"word":"x"}`},
		{args: `extra={"a":[1,null]} free=text mask=name,place.city`, want: `{"extra":{"a":[1,null]},"free":"text","mask":"name,place.city"}`},
		{args: "free=3", want: `{"free":3}`},
		{args: `any={"@type":"type.googleapis.com/test.v1.Place","city":"X"}`, want: `{"any":{"@type":"type.googleapis.com/test.v1.Place","city":"X"}}`},
		{args: "spot.city=X spot.zip_code=1", want: `{"spot":{"city":"X","zipCode":1}}`},

		{args: "nmae=x", want: `nmae=x: Thing has no field "nmae"; did you mean name?`},
		{args: "place.ctiy=x", want: `place.ctiy=x: Place has no field "ctiy"; did you mean city?`},
		{args: "place.qqqqqqqq=x", want: `Place has no field "qqqqqqqq"; it has city, near and zip_code`},
		{args: `{"place":{"ctiy":"x"}}`, want: `Place has no field "ctiy"; did you mean city?`},
		{args: `{"stops":[{"ctiy":"x"}]}`, want: `Place has no field "ctiy"; did you mean city?`},
		{args: `{"byNumber":{"1":{"ctiy":"x"}}}`, want: `Place has no field "ctiy"; did you mean city?`},
		{args: `place={"ctiy":"x"}`, want: `Place has no field "ctiy"; did you mean city?`},
		{args: `{"name":`, want: `it is no JSON: unexpected end of JSON input`},
		{args: `{"count":"x"}`, want: `the JSON is no Thing: (line 1:10): invalid value for int32 field count: "x"`},
		{args: "count=x", want: `count=x: count is a whole number, which "x" is not`},
		{args: "count=3000000000", want: `which "3000000000" is not: it is out of range`},
		{args: "on=maybe", want: `on is true or false, which "maybe" is not`},
		{args: "raw=***", want: `raw is bytes in base64, which "***" is not`},
		{args: "colour=COLOUR_RDE", want: `colour has no value "COLOUR_RDE"; did you mean COLOUR_RED?`},
		{args: "colour=", want: `colour has no value ""`},
		{args: "place=Kiel", want: `place is a message; write place.FIELD=VALUE, or JSON such as place='{…}'`},
		{args: "name.first=x", want: `name is text and has no fields`},
		{args: "stock=3", want: `stock is a map; write stock.KEY=VALUE, or a JSON object`},
		{args: "by_number.x.city=1", want: `the key is a whole number, which "x" is not`},
		{args: "stops.city=x", want: `stops is a list; write stops=VALUE to append, or stops.0.FIELD=VALUE`},
		{args: "stops.1.city=x", want: `stops has no element 1 yet; the next one is 0`},
		{args: "at=tomorrow", want: `at is a time like 2026-01-31T12:00:00Z`},
		{args: "name=a name=b", want: `name=b: name is set twice`},
		{args: `place.city=a place={"city":"b"}`, want: `place is set twice`},
		{args: `place={"city":"b"} place.city=a`, want: `place has a value already`},
		{args: "text=a spot.city=b", want: `text and spot exclude each other`},
		{args: "spot.city=b text=a", want: `spot and text exclude each other`},
		{args: "name", want: `"name" is neither field=value nor JSON in braces; such as name=… or '{"name": …}'`},
		{args: "=x", want: `"=x" is neither field=value nor JSON in braces`},
		{args: "{} name=x", want: `the message is given as JSON and as field=value; use one of both`},
		{args: "{} {}", want: `Unary takes one message, and there are 2; quote the JSON as one argument`},
	}
	for _, tt := range tests {
		t.Run(tt.args, func(t *testing.T) {
			got, err := s.run(t, "x/Echo/Unary", "", strings.Fields(tt.args)...)
			if strings.HasPrefix(tt.want, "{") {
				if err != nil || strings.TrimSpace(got) != tt.want {
					t.Errorf("got %s, %v\nwant %s", got, err, tt.want)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v\nwant %s", err, tt.want)
			}
			var e *ui.Error
			if !errors.As(err, &e) || e.Exit != ui.ExitUsage {
				t.Errorf("%v is no wrong usage", err)
			}
		})
	}
}

func TestStandardInputMistakes(t *testing.T) {
	s := serve(t, true, false)
	for _, tt := range []struct{ target, in, want string }{
		{"x/Both", `{"count":1} {"cuont":2}`, `message 2 of standard input: Thing has no field "cuont"; did you mean count?`},
		{"x/Up", `{"count":`, `message 1 of standard input: unexpected EOF`},
		{"x/Echo/Unary -", ``, `standard input has no message; Unary takes one`},
		{"x/Echo/Unary -", `{}{}`, `Unary takes one message, and standard input has more`},
	} {
		target, arg, has := strings.Cut(tt.target, " ")
		var args []string
		if has {
			args = append(args, arg)
		}
		if _, err := s.run(t, target, tt.in, args...); err == nil || err.Error() != tt.want {
			t.Errorf("%s < %s: got %v, want %s", tt.target, tt.in, err, tt.want)
		}
	}
}

func TestFind(t *testing.T) {
	s := serve(t, true, true)
	tests := []struct {
		target  string
		offered []string
		want    string // full name, or the error
	}{
		{target: "x/Down", want: "test.v1.Echo.Down"},
		{target: "x/Ask", want: "test.v1.Other.Ask"},
		{target: "x/Other/Unary", want: "test.v1.Other.Unary"},
		{target: "x/test.v1.Other/Unary", want: "test.v1.Other.Unary"},
		{target: "x/Unary", offered: []string{"test.v1.Other"}, want: "test.v1.Other.Unary"},
		{target: "x/Unary", offered: []string{"test.v1.Other", "grpc.health.v1.Health"}, want: "test.v1.Other.Unary"},
		{target: "x/Unary", want: "test.v1.Echo and test.v1.Other have the method Unary; say which: x/test.v1.Echo/Unary"},
		{target: "x/Dwon", want: `no contract of x (test.v1.Echo and test.v1.Other) has the method "Dwon"; did you mean Down?`},
		{target: "x/Echo/Dwon", want: `test.v1.Echo has no method "Dwon"; did you mean Down?`},
		{target: "x/Dwon", offered: []string{"test.v1.Echo"}, want: `test.v1.Echo has no method "Dwon"; did you mean Down?`},
		{target: "x/Zzzzzz", offered: []string{"test.v1.Other"}, want: `test.v1.Other has no method "Zzzzzz"; there are Ask and Unary`},
		{target: "x/Ecko/Down", want: `x has no contract "Ecko"; did you mean Echo?`},
		{target: "x/test.v1.Ecko/Down", want: `x has no contract "test.v1.Ecko"; did you mean test.v1.Echo?`},
	}
	for _, tt := range tests {
		m, err := s.find(t, tt.target, tt.offered...)
		got := ""
		if err != nil {
			got = err.Error()
		} else {
			got = string(m.Desc.FullName())
		}
		if got != tt.want {
			t.Errorf("%s %q: got %s, want %s", tt.target, tt.offered, got, tt.want)
		}
	}
}

func TestMethods(t *testing.T) {
	s := serve(t, true, true)
	r := describe.New(s.conn)
	defer r.Close()
	methods, err := call.Methods(t.Context(), r, call.Target{Service: "x", Contract: "Other"}, nil)
	if err != nil || len(methods) != 2 || methods[0].Name() != "Ask" {
		t.Errorf("got %v, %v", methods, err)
	}
	if methods, err = call.Methods(t.Context(), r, call.Target{Service: "x"}, nil); err != nil || len(methods) != 7 {
		t.Errorf("got %d methods, %v", len(methods), err)
	}
}

func TestReflectionVersions(t *testing.T) {
	if _, err := serve(t, false, true).find(t, "x/Down"); err != nil {
		t.Errorf("v1alpha only: %v", err)
	}
	_, err := serve(t, false, false).find(t, "x/Down")
	if err == nil || !strings.HasPrefix(err.Error(), "x does not tell its contracts: gRPC reflection is off there; ") {
		t.Errorf("without reflection: %v", err)
	}
}

func TestStatus(t *testing.T) {
	s := serve(t, true, false)
	_, err := s.run(t, "x/Fail", "")
	var se *call.StatusError
	if !errors.As(err, &se) {
		t.Fatalf("got %v", err)
	}
	want := "Echo/Fail: ResourceExhausted: too much\n  google.rpc.ErrorInfo {\"reason\":\"QUOTA\",\"domain\":\"example.com\"}"
	if err.Error() != want {
		t.Errorf("got %s\nwant %s", err, want)
	}
	js, err := se.MarshalJSON()
	wantJSON := `{"code":"ResourceExhausted","message":"too much","details":[{"type":"google.rpc.ErrorInfo","value":{"reason":"QUOTA","domain":"example.com"}}]}`
	if err != nil || string(js) != wantJSON {
		t.Errorf("got %s, %v\nwant %s", js, err, wantJSON)
	}
	if status.Code(se) != codes.ResourceExhausted {
		t.Errorf("code %v", status.Code(se))
	}
}

func TestHeaders(t *testing.T) {
	s := serve(t, true, false)
	for _, target := range []string{"x/Echo/Unary", "x/Down"} {
		m, err := s.find(t, target)
		if err != nil {
			t.Fatal(err)
		}
		var header metadata.MD
		c := call.Call{Conn: s.conn, Method: m, Reply: func([]byte) error { return nil }, Header: func(md metadata.MD) { header = md }}
		ctx := metadata.AppendToOutgoingContext(t.Context(), "who", "a", "who", "b")
		trailer, err := c.Run(ctx)
		if err != nil || strings.Join(header.Get("got"), "") != "a+b" || strings.Join(trailer.Get("end"), "") != "yes" {
			t.Errorf("%s: header %v, trailer %v, %v", target, header, trailer, err)
		}
	}
}

func TestDeadline(t *testing.T) {
	s := serve(t, true, false)
	m, err := s.find(t, "x/Both")
	if err != nil {
		t.Fatal(err)
	}
	in, w := io.Pipe() // never says anything
	defer w.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	c := call.Call{Conn: s.conn, Method: m, In: in, Reply: func([]byte) error { return nil }}
	if _, err := c.Run(ctx); status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("got %v", err)
	}
}

func TestParseTarget(t *testing.T) {
	tests := []struct {
		in     string
		direct bool
		want   call.Target
		err    string
	}{
		{in: "greeter", want: call.Target{Service: "greeter"}},
		{in: "greeter/", want: call.Target{Service: "greeter"}},
		{in: "greeter/Hello", want: call.Target{Service: "greeter", Method: "Hello"}},
		{in: "/greeter/Hello", want: call.Target{Service: "greeter", Method: "Hello"}},
		{in: "greeter/greeter.v1.Greeter", want: call.Target{Service: "greeter", Contract: "greeter.v1.Greeter"}},
		{in: "greeter/greeter.v1.Greeter/Hello", want: call.Target{Service: "greeter", Contract: "greeter.v1.Greeter", Method: "Hello"}},
		{in: "greeter/Greeter/Hello", want: call.Target{Service: "greeter", Contract: "Greeter", Method: "Hello"}},
		{in: "greeter.v1.Greeter/Hello", direct: true, want: call.Target{Contract: "greeter.v1.Greeter", Method: "Hello"}},
		{in: "Hello", direct: true, want: call.Target{Method: "Hello"}},
		{in: "greeter.v1.Greeter", direct: true, want: call.Target{Contract: "greeter.v1.Greeter"}},
		{in: "greeter/Hello", direct: true, want: call.Target{Service: "greeter", Method: "Hello"}},
		{in: "Greeter/Hello", direct: true, want: call.Target{Contract: "Greeter", Method: "Hello"}},
		{in: "", err: "names no method"},
		{in: "/", err: "names no method"},
		{in: "a//b", err: "names no method"},
		{in: "a/b/c/d", err: "too many slashes"},
	}
	for _, tt := range tests {
		got, err := call.ParseTarget(tt.in, tt.direct)
		if tt.err == "" && (err != nil || got != tt.want) || tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) {
			t.Errorf("ParseTarget(%q, %v) = %+v, %v; want %+v %s", tt.in, tt.direct, got, err, tt.want, tt.err)
		}
	}
}
