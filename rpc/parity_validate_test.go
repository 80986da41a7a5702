package rpc_test

import (
	"context"
	"io"
	"strings"
	"testing"

	"github.com/hanse-go/hanse/resilience"
	"github.com/hanse-go/hanse/rpc"
	pb "github.com/hanse-go/hanse/rpc/internal/paritypb"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// checksNothing is why a server of grpc-go cannot have these cases.
const checksNothing = "it does not validate"

var validateCases = []parityCase{
	{name: "an invalid request", run: invalidRequest, needsServer: checksNothing},
	{name: "invalid messages in a stream", run: invalidInStream, needsServer: checksNothing},
	{name: "the errors of Validate", run: validateErrors, needsServer: checksNothing},
	{name: "interceptors come before validation", run: validateLast, needsServer: checksNothing},
	{name: "an invalid request takes no idempotency key", run: validateKeyed, needsServer: checksNothing},
	{name: "no validation", run: validateNot},
}

// calledChecked counts what the handlers of checked requests are given.
func calledChecked(tr *trace) handlers {
	return handlers{checked: func(method string) { tr.add("%s", method) }}
}

func invalidRequest(t *testing.T, c *column) {
	var tr trace
	calls := c.serve(t, setup{handlers: calledChecked(&tr)})
	if _, err := calls.Checked(soon(t), &pb.CheckedRequest{ShipTo: "Lübeck"}); err != nil {
		t.Error(err)
	}
	_, err := calls.Checked(soon(t), &pb.CheckedRequest{Parts: []*pb.CheckedRequest{{ShipTo: "Visby"}, {}}})
	wantStatus(t, err, codes.InvalidArgument, "invalid CheckedRequest.ShipTo: is needed")
	wantViolations(t, err, "ship_to: is needed", "parts[1].ship_to: is needed")

	s, err := calls.CheckedDownload(soon(t), &pb.CheckedRequest{})
	if err == nil {
		_, err = s.Recv()
	}
	wantStatus(t, err, codes.InvalidArgument, "invalid CheckedRequest.ShipTo: is needed")
	wantViolations(t, err, "ship_to: is needed")
	tr.want(t, "unary")
}

// wantViolations wants the fields that the details of err name.
func wantViolations(t *testing.T, err error, want ...string) {
	t.Helper()
	var got []string
	for _, d := range status.Convert(err).Details() {
		bad, ok := d.(*errdetails.BadRequest)
		if !ok {
			t.Fatalf("a detail is a %T", d)
		}
		for _, v := range bad.FieldViolations {
			got = append(got, v.Field+": "+v.Description)
		}
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("violations %q, want %q", got, want)
	}
}

func invalidInStream(t *testing.T, c *column) {
	var tr trace
	calls := c.serve(t, setup{handlers: calledChecked(&tr)})
	up, err := calls.CheckedUpload(soon(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, to := range []string{"Riga", ""} {
		if err := up.Send(&pb.CheckedRequest{ShipTo: to}); err != nil {
			t.Fatal(err)
		}
	}
	_, err = up.CloseAndRecv()
	wantStatus(t, err, codes.InvalidArgument, "invalid CheckedRequest.ShipTo: is needed")
	wantViolations(t, err, "ship_to: is needed")

	chat, err := calls.CheckedChat(soon(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := chat.Send(&pb.CheckedRequest{ShipTo: "Danzig"}); err != nil {
		t.Fatal(err)
	}
	if reply, err := chat.Recv(); err != nil || reply.Text != "Danzig" {
		t.Fatal(reply, err)
	}
	if err := chat.Send(&pb.CheckedRequest{}); err != nil {
		t.Fatal(err)
	}
	_, err = chat.Recv() // though the handler returns nil
	wantStatus(t, err, codes.InvalidArgument, "invalid CheckedRequest.ShipTo: is needed")
	tr.want(t, "upload", "chat")
}

func validateErrors(t *testing.T, c *column) {
	calls := c.serve(t, setup{})
	_, err := calls.Checked(soon(t), &pb.CheckedRequest{Refusal: "plain"})
	wantStatus(t, err, codes.InvalidArgument, "no")
	wantViolations(t, err)
	_, err = calls.Checked(soon(t), &pb.CheckedRequest{Refusal: "status"})
	wantStatus(t, err, codes.FailedPrecondition, "refused: rpc error: code = FailedPrecondition desc = not today")
	_, err = calls.Checked(soon(t), &pb.CheckedRequest{Refusal: "joined"})
	wantStatus(t, err, codes.InvalidArgument, "invalid CheckedRequest.ShipTo: is far\nsomething else")
	wantViolations(t, err, "ship_to: is far")

	// What a client makes long is cut.
	wide, deep := &pb.CheckedRequest{ShipTo: "Reval"}, &pb.CheckedRequest{}
	for range 200 {
		wide.Parts = append(wide.Parts, &pb.CheckedRequest{})
		deep = &pb.CheckedRequest{ShipTo: "Reval", Parts: []*pb.CheckedRequest{deep}}
	}
	for in, want := range map[*pb.CheckedRequest]int{wide: 16, deep: 1} {
		_, err = calls.Checked(soon(t), in)
		wantCode(t, err, codes.InvalidArgument)
		bad, _ := status.Convert(err).Details()[0].(*errdetails.BadRequest)
		if n := len(bad.GetFieldViolations()); n != want {
			t.Errorf("%d violations, want %d", n, want)
		}
		for _, v := range bad.GetFieldViolations() {
			if len(v.Field) > 140 {
				t.Errorf("a field of %d bytes", len(v.Field))
			}
		}
	}
	_, err = calls.Checked(soon(t), &pb.CheckedRequest{Refusal: strings.Repeat("ä", 3000)})
	if n := len(status.Convert(err).Message()); n < 2000 || n > 2060 {
		t.Errorf("a message of %d bytes", n)
	}
}

// validateLast holds that an interceptor may refuse a call before what is wrong with it is told, may repair a request, and sees the error.
func validateLast(t *testing.T, c *column) {
	tr := new(trace)
	repair := func(m any) {
		if in, ok := m.(*pb.CheckedRequest); ok && in.ShipTo == "" && in.Refusal == "" {
			in.ShipTo = "Hamburg"
		}
	}
	calls := c.serve(t, setup{
		handlers: calledChecked(tr),
		server: side{
			unary: []grpc.UnaryServerInterceptor{func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
				if md, _ := metadata.FromIncomingContext(ctx); len(md.Get("stranger")) > 0 {
					return nil, status.Error(codes.Unauthenticated, "who are you?")
				}
				repair(req)
				reply, err := next(ctx, req)
				tr.add("%v", status.Code(err))
				return reply, err
			}},
			stream: []grpc.StreamServerInterceptor{func(srv any, s grpc.ServerStream, _ *grpc.StreamServerInfo, next grpc.StreamHandler) error {
				err := next(srv, &repairing{s, repair})
				tr.add("%v", status.Code(err))
				return err
			}},
		},
	})
	_, err := calls.Checked(metadata.AppendToOutgoingContext(soon(t), "stranger", "1"), &pb.CheckedRequest{Refusal: "plain"})
	wantStatus(t, err, codes.Unauthenticated, "who are you?")
	if reply, err := calls.Checked(soon(t), &pb.CheckedRequest{}); err != nil || reply.Text != "Hamburg" {
		t.Error(reply, err)
	}
	_, err = calls.Checked(soon(t), &pb.CheckedRequest{Refusal: "plain"})
	wantStatus(t, err, codes.InvalidArgument, "no")

	s, err := calls.CheckedDownload(soon(t), &pb.CheckedRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if reply, err := s.Recv(); err != nil || reply.Text != "Hamburg" {
		t.Error(reply, err)
	}
	if _, err := s.Recv(); err != io.EOF {
		t.Error(err)
	}
	if s, err = calls.CheckedDownload(soon(t), &pb.CheckedRequest{Refusal: "plain"}); err == nil {
		_, err = s.Recv()
	}
	wantStatus(t, err, codes.InvalidArgument, "no")
	tr.want(t, "unary", "OK", "InvalidArgument", "download", "OK", "InvalidArgument")
}

type repairing struct {
	grpc.ServerStream
	repair func(any)
}

func (s *repairing) RecvMsg(m any) error {
	err := s.ServerStream.RecvMsg(m)
	s.repair(m)
	return err
}

func validateKeyed(t *testing.T, c *column) {
	tr := new(trace)
	calls := c.serve(t, setup{handlers: calledChecked(tr)})
	ctx := metadata.AppendToOutgoingContext(soon(t), resilience.IdempotencyKey, "k1")
	for range 2 {
		_, err := calls.Checked(ctx, &pb.CheckedRequest{})
		wantStatus(t, err, codes.InvalidArgument, "invalid CheckedRequest.ShipTo: is needed")
	}
	for range 2 {
		if _, err := calls.Checked(ctx, &pb.CheckedRequest{ShipTo: "Bergen"}); err != nil {
			t.Error(err)
		}
	}
	tr.want(t, "unary")
}

func validateNot(t *testing.T, c *column) {
	tr := new(trace)
	calls := c.serve(t, setup{handlers: calledChecked(tr), noValidation: true})
	if _, err := calls.Checked(soon(t), &pb.CheckedRequest{}); err != nil {
		t.Error(err)
	}
	up, err := calls.CheckedUpload(soon(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := up.Send(&pb.CheckedRequest{}); err != nil {
		t.Fatal(err)
	}
	if _, err := up.CloseAndRecv(); err != nil {
		t.Error(err)
	}
	tr.want(t, "unary", "upload")
}

// A method whose types the program has not registered: each of its messages is asked.
func TestValidateUnknownType(t *testing.T) {
	srv := &rpc.Server{}
	srv.RegisterService(&grpc.ServiceDesc{
		ServiceName: "test.Unregistered", HandlerType: (*any)(nil),
		Methods: []grpc.MethodDesc{{MethodName: "Get", Handler: func(_ any, ctx context.Context, dec func(any) error, around grpc.UnaryServerInterceptor) (any, error) {
			in := new(pb.CheckedRequest)
			if err := dec(in); err != nil {
				return nil, err
			}
			return around(ctx, in, &grpc.UnaryServerInfo{FullMethod: "/test.Unregistered/Get"}, func(context.Context, any) (any, error) {
				return &pb.Reply{}, nil
			})
		}}},
	}, struct{}{})
	conn := inProcessConn(t, srv, &benchEcho{})
	invoke := func(in *pb.CheckedRequest) error {
		return conn.Invoke(soon(t), "/test.Unregistered/Get", in, &pb.Reply{})
	}
	if err := invoke(&pb.CheckedRequest{ShipTo: "Wismar"}); err != nil {
		t.Error(err)
	}
	wantStatus(t, invoke(&pb.CheckedRequest{}), codes.InvalidArgument, "invalid CheckedRequest.ShipTo: is needed")
}

// A method whose type has no Validate has nothing around its handler, and one that has has what NoValidation leaves away.
func TestValidateCostsNothing(t *testing.T) {
	for _, off := range []bool{false, true} {
		around := map[string]bool{}
		note := func(name string, in any) grpc.MethodDesc {
			return grpc.MethodDesc{MethodName: name, Handler: func(_ any, _ context.Context, dec func(any) error, interceptor grpc.UnaryServerInterceptor) (any, error) {
				around[name] = interceptor != nil
				return &pb.Reply{}, dec(in)
			}}
		}
		srv := &rpc.Server{NoValidation: off}
		srv.RegisterService(&grpc.ServiceDesc{ServiceName: "hanse.parity.v1.Parity", HandlerType: (*any)(nil), Methods: []grpc.MethodDesc{
			note("Unary", &pb.Request{}), note("Checked", &pb.CheckedRequest{}),
		}}, struct{}{})
		srv.Start()
		t.Cleanup(srv.Stop)
		client := &rpc.Client{Local: map[string]*rpc.Server{"parity": srv}}
		conn := rpc.NewConn("parity")
		if err := conn.Bind(client); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close(); client.Close() })
		calls := pb.NewParityClient(conn)
		if _, err := calls.Unary(soon(t), &pb.Request{}); err != nil {
			t.Fatal(err)
		}
		if _, err := calls.Checked(soon(t), &pb.CheckedRequest{}); err != nil {
			t.Fatal(err)
		}
		if around["Unary"] || around["Checked"] == off {
			t.Errorf("with NoValidation %v there is something around: %v", off, around)
		}
	}
}

// BenchmarkValidate is a call in process whose request has no Validate, one whose request has, and that one where nothing is checked. The
// first must cost what it costs with NoValidation.
func BenchmarkValidate(b *testing.B) {
	for _, off := range []bool{false, true} {
		name := map[bool]string{false: "on", true: "off"}[off]
		conn := inProcessConn(b, &rpc.Server{NoValidation: off}, benchEcho{})
		client := pb.NewParityClient(conn)
		b.Run("without Validate/"+name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := client.Unary(b.Context(), &pb.Request{Text: "Stade"}); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("with Validate/"+name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := client.Checked(b.Context(), &pb.CheckedRequest{ShipTo: "Stade"}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
