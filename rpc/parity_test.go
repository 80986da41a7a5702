package rpc_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/hanse-go/hanse/rpc"
	pb "github.com/hanse-go/hanse/rpc/internal/paritypb"
	"github.com/hanse-go/hanse/telemetry"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"
)

// The parity suite: every case states one outcome, and has it on every path and towards every peer, between servers and clients that
// were made by hand and between services that hanse assembled. The last column has nothing of ours: it keeps the cases honest, for what
// grpc-go does between its own client and server is the meaning of gRPC in Go.

// parityCases is the table. Each file parity_*_test.go has the cases of one subject.
var parityCases = slices.Concat(callCases, contextCases, metadataCases, statusCases, streamCases, messageCases, limitCases, interceptorCases, validateCases)

// parityCase is one row.
type parityCase struct {
	name string
	run  func(t *testing.T, c *column)
	// Why grpc-go on that side cannot have the case; empty: it can.
	needsServer, needsClient string
}

func TestParity(t *testing.T) {
	for _, tt := range parityCases {
		t.Run(tt.name, func(t *testing.T) {
			for _, col := range columns {
				if !col.ourServer && tt.needsServer != "" || !col.ourClient && tt.needsClient != "" {
					continue
				}
				t.Run(col.name, func(t *testing.T) { tt.run(t, &col) })
			}
		})
	}
}

// setup is what a case asks of both sides.
type setup struct {
	handlers
	server side
	client clientSide

	wire         rpc.Wire // of our sides; nil: the default
	noValidation bool

	instance string    // of our server, when it is not the one that the registry knows
	log      io.Writer // of our server; nil: the test's
}

type side struct {
	unary            []grpc.UnaryServerInterceptor
	stream           []grpc.StreamServerInterceptor
	stats            []stats.Handler
	maxRecv, maxSend int // 0: the default, -1: none
	telemetry        *telemetry.Service
}

type clientSide struct {
	unary            []grpc.UnaryClientInterceptor
	stream           []grpc.StreamClientInterceptor
	stats            []stats.Handler
	maxRecv, maxSend int
	telemetry        *telemetry.Service
}

// calls is the client of a case.
type calls struct {
	pb.ParityClient
	conn grpc.ClientConnInterface
}

// handlers is a server of which each case says only what it needs. What is nil echoes.
type handlers struct {
	pb.UnimplementedParityServer
	unary    func(ctx context.Context, in *pb.Request) (*pb.Reply, error)
	download func(in *pb.Request, s grpc.ServerStreamingServer[pb.Reply]) error
	upload   func(s grpc.ClientStreamingServer[pb.Request, pb.Reply]) error
	chat     func(s grpc.BidiStreamingServer[pb.Request, pb.Reply]) error
	legacy   func(ctx context.Context, in *pb.LegacyRequest) (*pb.LegacyReply, error)
	opaque   func(ctx context.Context, in *pb.OpaqueRequest) (*pb.OpaqueReply, error)
	checked  func(method string) // told that a handler runs, or has a message
}

func echo(in *pb.Request) *pb.Reply {
	return &pb.Reply{Text: in.Text, Data: in.Data, List: in.List, Map: in.Map, Count: in.Count, Child: in.Child}
}

func (h *handlers) Unary(ctx context.Context, in *pb.Request) (*pb.Reply, error) {
	if h.unary == nil {
		return echo(in), nil
	}
	return h.unary(ctx, in)
}

func (h *handlers) Checked(_ context.Context, in *pb.CheckedRequest) (*pb.Reply, error) {
	h.checked("unary")
	return &pb.Reply{Text: in.ShipTo}, nil
}

func (h *handlers) CheckedDownload(in *pb.CheckedRequest, s grpc.ServerStreamingServer[pb.Reply]) error {
	h.checked("download")
	return s.Send(&pb.Reply{Text: in.ShipTo})
}

func (h *handlers) CheckedUpload(s grpc.ClientStreamingServer[pb.CheckedRequest, pb.Reply]) error {
	for {
		if _, err := s.Recv(); err == io.EOF {
			return s.SendAndClose(&pb.Reply{})
		} else if err != nil {
			return err
		}
		h.checked("upload")
	}
}

// CheckedChat takes any error for the end.
func (h *handlers) CheckedChat(s grpc.BidiStreamingServer[pb.CheckedRequest, pb.Reply]) error {
	for {
		in, err := s.Recv()
		if err != nil {
			if _, again := s.Recv(); again != err {
				return status.Errorf(codes.Internal, "%v, and then %v", err, again)
			}
			return nil
		}
		h.checked("chat")
		if err := s.Send(&pb.Reply{Text: in.ShipTo}); err != nil {
			return err
		}
	}
}

// Download sends as many replies as the request counts, numbered from 0.
func (h *handlers) Download(in *pb.Request, s grpc.ServerStreamingServer[pb.Reply]) error {
	if h.download != nil {
		return h.download(in, s)
	}
	for i := range in.Count {
		reply := echo(in)
		reply.Count = i
		if err := s.Send(reply); err != nil {
			return err
		}
	}
	return nil
}

// Upload lists the texts of all requests.
func (h *handlers) Upload(s grpc.ClientStreamingServer[pb.Request, pb.Reply]) error {
	if h.upload != nil {
		return h.upload(s)
	}
	reply := &pb.Reply{}
	for {
		in, err := s.Recv()
		if err == io.EOF {
			return s.SendAndClose(reply)
		}
		if err != nil {
			return err
		}
		reply.Count++
		reply.List = append(reply.List, in.Text)
	}
}

func (h *handlers) Chat(s grpc.BidiStreamingServer[pb.Request, pb.Reply]) error {
	if h.chat != nil {
		return h.chat(s)
	}
	for {
		in, err := s.Recv()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if err := s.Send(echo(in)); err != nil {
			return err
		}
	}
}

func (h *handlers) Legacy(ctx context.Context, in *pb.LegacyRequest) (*pb.LegacyReply, error) {
	if h.legacy == nil {
		return &pb.LegacyReply{Name: in.Name, Note: in.Note}, nil
	}
	return h.legacy(ctx, in)
}

func (h *handlers) Opaque(ctx context.Context, in *pb.OpaqueRequest) (*pb.OpaqueReply, error) {
	if h.opaque != nil {
		return h.opaque(ctx, in)
	}
	return pb.OpaqueReply_builder{Text: new(in.GetText()), Count: in.GetCount(), Children: in.GetChildren()}.Build(), nil
}

// patience is far more than any step of a case takes, and ends one that hangs.
const patience = 30 * time.Second

// soon returns a context that ends a hanging case.
func soon(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// receive waits for what a handler has to tell.
func receive[T any](t *testing.T, c <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatalf("no %s within %v", what, patience)
		panic("unreachable")
	}
}

func wantCode(t *testing.T, err error, want codes.Code) {
	t.Helper()
	if got := status.Code(err); got != want {
		t.Errorf("code = %v (%v), want %v", got, err, want)
	}
}

func wantStatus(t *testing.T, err error, code codes.Code, message string) {
	t.Helper()
	if s, ok := status.FromError(err); !ok || s.Code() != code || s.Message() != message {
		t.Errorf("error = %v, want %v with %q", err, code, message)
	}
}

// column is one path, or one pair of peers.
type column struct {
	name                 string
	ourServer, ourClient bool
	path                 rpc.Path
	instance             string // the server's; empty: whatever it is
	assembled            bool   // by hanse, which makes servers and clients as it sees fit
	start                func(t *testing.T, s setup) grpc.ClientConnInterface
}

// cardinality is the code of a call with the wrong number of messages, which one side found out. The specification says Unimplemented;
// grpc-go is known not to follow it.
func cardinality(ours bool) codes.Code {
	if ours {
		return codes.Unimplemented
	}
	return codes.Internal
}

func (c *column) serve(t *testing.T, s setup) calls {
	t.Helper()
	conn := c.start(t, s)
	return calls{pb.NewParityClient(conn), conn}
}

// logger is the logger of a case's server.
func (s *setup) logger(t *testing.T) *slog.Logger {
	if s.log != nil {
		return slog.New(slog.NewTextHandler(s.log, nil))
	}
	return slog.New(slog.NewTextHandler(t.Output(), nil))
}

func listen(t *testing.T, network, address string) net.Listener {
	t.Helper()
	lis, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	return lis
}
