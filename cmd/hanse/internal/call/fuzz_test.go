package call_test

import (
	"context"
	"strings"
	"testing"

	"github.com/bufbuild/protocompile"
	"github.com/hanse-go/hanse/cmd/hanse/internal/call"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"
)

// keeper is a connection that keeps what it is to send.
type keeper struct{ sent proto.Message }

func (k *keeper) Invoke(_ context.Context, _ string, args, _ any, _ ...grpc.CallOption) error {
	k.sent = args.(proto.Message)
	return nil
}

func (k *keeper) NewStream(context.Context, *grpc.StreamDesc, string, ...grpc.CallOption) (grpc.ClientStream, error) {
	panic("a unary method was called")
}

// FuzzField sets fields from two arguments: nothing may panic, and what is accepted is a message that can be sent and shown.
func FuzzField(f *testing.F) {
	compiler := protocompile.Compiler{Resolver: protocompile.WithStandardImports(&protocompile.SourceResolver{
		Accessor: protocompile.SourceAccessorFromMap(map[string]string{"test.proto": contracts})})}
	files, err := compiler.Compile(context.Background(), "test.proto")
	if err != nil {
		f.Fatal(err)
	}
	method := files[0].Services().ByName("Echo").Methods().ByName("Unary")
	for _, args := range [][2]string{
		{"name=Ada", "count=3"}, {"place.near.city=x", "place.city=y"}, {"stops.0.city=a", "stops.0.near.city=b"},
		{"stock.a=1", `stock={"b":2}`}, {"by_number.7.city=x", "by_number.-1.zip_code=9"}, {"tags=[\"a\"]", "tags.0=b"},
		{"at=2026-01-31T12:00:00Z", "lasts=1m30s"}, {"lasts=9999999h", "maybe=-1"}, {`extra={"a":[1]}`, "free=null"},
		{"mask=a,b.c", `any={"@type":"type.googleapis.com/test.v1.Place"}`}, {"raw=aGk=", "ratio=NaN"}, {"text=a", "spot={}"},
		{`{"name":"x"}`, ""}, {"place.near.near.near.city=x", "numbers=1"}, {"word=\xff", "a.b.c=d"}, {"tags.999999999=x", "=="},
		{"numbers.0=1", "numbers=[2]"}, {"place={}", "colour=dark_blue"}, {"at=", "free="}, {"extra={", "any={}"},
	} {
		f.Add(args[0], args[1])
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		var args []string
		for _, arg := range []string{a, b} {
			if arg != "" && arg != "-" {
				args = append(args, arg)
			}
		}
		k := &keeper{}
		shown := ""
		c := call.Call{Conn: k, Method: &call.Method{Desc: method}, Args: args, In: strings.NewReader(""), Reply: func(js []byte) error {
			shown = string(js)
			return nil
		}}
		if _, err := c.Run(context.Background()); err != nil {
			return
		}
		if shown != "{}" {
			t.Fatalf("the empty reply is shown as %q", shown)
		}
		data, err := proto.Marshal(k.sent)
		if err != nil {
			t.Fatalf("%q cannot be sent: %v", args, err)
		}
		back := dynamicpb.NewMessage(method.Input())
		if err := proto.Unmarshal(data, back); err != nil {
			t.Fatalf("%q cannot be received: %v", args, err)
		}
		if !hasNaN(k.sent.ProtoReflect()) && !proto.Equal(k.sent, back) {
			t.Fatalf("%q arrives as %v", args, back)
		}
		if _, err := protojson.Marshal(k.sent); err != nil && !strings.Contains(a+b, "any") && !strings.Contains(a+b, "free") {
			t.Fatalf("%q cannot be shown: %v", args, err)
		}
	})
}

// hasNaN reports whether a message has a number that is not equal to itself.
func hasNaN(m protoreflect.Message) bool {
	v := m.Get(m.Descriptor().Fields().ByName("ratio")).Float()
	return v != v
}
