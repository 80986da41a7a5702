package protovalidate_test

import (
	"context"
	"io"
	"net"
	"strings"
	"testing"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"github.com/hanse-go/hanse/rpc"
	"github.com/hanse-go/hanse/rpc/protovalidate"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"
)

// serve runs a server whose methods echo messages of the type, and notes each that a handler gets.
func serve(t *testing.T, desc protoreflect.MessageDescriptor, got *[]string) *rpc.Conn {
	t.Helper()
	var valid protovalidate.Validator
	srv := &rpc.Server{
		UnaryInterceptors:  []grpc.UnaryServerInterceptor{valid.UnaryInterceptor},
		StreamInterceptors: []grpc.StreamServerInterceptor{valid.StreamInterceptor},
	}
	srv.RegisterService(&grpc.ServiceDesc{
		ServiceName: "orders.Orders", HandlerType: (*any)(nil),
		Methods: []grpc.MethodDesc{{MethodName: "Put", Handler: func(_ any, ctx context.Context, dec func(any) error, around grpc.UnaryServerInterceptor) (any, error) {
			in := dynamicpb.NewMessage(desc)
			if err := dec(in); err != nil {
				return nil, err
			}
			return around(ctx, in, &grpc.UnaryServerInfo{}, func(context.Context, any) (any, error) {
				*got = append(*got, "put")
				return in, nil
			})
		}}},
		Streams: []grpc.StreamDesc{{StreamName: "Chat", ClientStreams: true, ServerStreams: true, Handler: func(_ any, s grpc.ServerStream) error {
			for {
				in := dynamicpb.NewMessage(desc)
				if err := s.RecvMsg(in); err != nil {
					return nil // whatever it is
				}
				*got = append(*got, "chat")
				if err := s.SendMsg(in); err != nil {
					return err
				}
			}
		}}},
	}, struct{}{})
	srv.Start()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := &rpc.Port{Servers: []*rpc.Server{srv}}
	served := make(chan error, 1)
	go func() { served <- port.Serve(lis) }()
	conn, err := rpc.Dial(lis.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		conn.Close()
		srv.Stop()
		port.Close()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return conn
}

// order reads a message from JSON.
func order(t *testing.T, desc protoreflect.MessageDescriptor, text string) *dynamicpb.Message {
	t.Helper()
	m := dynamicpb.NewMessage(desc)
	if err := protojson.Unmarshal([]byte(text), m); err != nil {
		t.Fatal(err)
	}
	return m
}

const valid = `{"name": "abc", "code": "ABC", "data": "AQ=="}`

func TestUnary(t *testing.T) {
	var got []string
	desc := message(t, "Order")
	conn := serve(t, desc, &got)
	put := func(text string) error {
		return conn.Invoke(t.Context(), "/orders.Orders/Put", order(t, desc, text), dynamicpb.NewMessage(desc))
	}
	if err := put(valid); err != nil {
		t.Error(err)
	}
	err := put(`{"name": "a", "code": "ABC", "data": "AQ==", "tags": ["x", "y", ""]}`)
	st := status.Convert(err)
	if st.Code() != codes.InvalidArgument || !strings.Contains(st.Message(), "name: ") {
		t.Errorf("status %v", err)
	}
	var fields, rules []string
	for _, d := range st.Details() {
		switch d := d.(type) {
		case *errdetails.BadRequest:
			for _, v := range d.FieldViolations {
				if v.Description == "" {
					t.Errorf("nothing is said about %s", v.Field)
				}
				fields = append(fields, v.Field)
			}
		case *validate.Violations:
			for _, v := range d.Violations {
				rules = append(rules, v.GetRuleId())
			}
		default:
			t.Errorf("a detail is a %T", d)
		}
	}
	if f, r := strings.Join(fields, " "), strings.Join(rules, " "); f != "name tags tags[2]" || r != "string.min_len repeated.max_items string.min_len" {
		t.Errorf("violations of %s, by %s", f, r)
	}
	if len(got) != 1 {
		t.Errorf("handlers got %q", got)
	}

	// What a client makes long is cut.
	many := `{"name": "abc", "code": "ABC", "data": "AQ==", "notes": {"too long 0": ""`
	for i := range 200 {
		many += `, "too long ` + strings.Repeat("x", i) + `": "bad"`
	}
	st = status.Convert(put(many + "}}"))
	if st.Code() != codes.InvalidArgument || len(st.Message()) > 2100 || len(st.Details()[0].(*errdetails.BadRequest).FieldViolations) != 16 {
		t.Errorf("a status of %d bytes: %v", len(st.Message()), st.Code())
	}
}

func TestStream(t *testing.T) {
	var got []string
	desc := message(t, "Order")
	conn := serve(t, desc, &got)
	s, err := conn.NewStream(t.Context(), &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, "/orders.Orders/Chat")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.SendMsg(order(t, desc, valid)); err != nil {
		t.Fatal(err)
	}
	if err := s.RecvMsg(dynamicpb.NewMessage(desc)); err != nil {
		t.Fatal(err)
	}
	if err := s.SendMsg(order(t, desc, `{}`)); err != nil && err != io.EOF {
		t.Fatal(err)
	}
	if err := s.RecvMsg(dynamicpb.NewMessage(desc)); status.Code(err) != codes.InvalidArgument {
		t.Errorf("after an invalid message: %v", err)
	}
	if len(got) != 1 {
		t.Errorf("handlers got %q", got)
	}
}

// A rule that makes no sense is a mistake of the server.
func TestBrokenRule(t *testing.T) {
	var got []string
	desc := message(t, "Broken")
	conn := serve(t, desc, &got)
	err := conn.Invoke(t.Context(), "/orders.Orders/Put", dynamicpb.NewMessage(desc), dynamicpb.NewMessage(desc))
	if status.Code(err) != codes.Internal || !strings.Contains(err.Error(), "the rules of orders.Broken cannot be evaluated") || got != nil {
		t.Errorf("%v, %q", err, got)
	}
}
