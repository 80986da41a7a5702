package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	connectgo "connectrpc.com/connect"
	"github.com/hanse-go/hanse/bench/wire/echopb"
	"github.com/hanse-go/hanse/gateway"
	"github.com/hanse-go/hanse/rpc"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// TestConnect holds that the servers of the measurement do the same.
func TestConnect(t *testing.T) {
	calls, err := connectCalls()
	if err != nil {
		t.Fatal(err)
	}
	for name, serve := range connectPeers {
		lis, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer lis.Close()
		go serve(lis)
		for _, c := range calls {
			client := c.client()
			if err := c.make(t.Context(), client, lis.Addr().String()); err != nil {
				t.Errorf("%s, %s: %v", name, c.title, err)
			}
			client.CloseIdleConnections()
		}
	}
}

// peerEcho is a service for clients of others: it sends back what it gets, and fails where it is told to.
type peerEcho struct{ echopb.UnimplementedEchoServer }

func (peerEcho) Unary(ctx context.Context, in *echopb.Message) (*echopb.Message, error) {
	md, _ := metadata.FromIncomingContext(ctx)
	if len(md["x-fail"]) > 0 {
		st, err := status.New(codes.FailedPrecondition, "as you like: ä").WithDetails(&errdetails.ErrorInfo{Reason: "asked for"})
		if err != nil {
			return nil, err
		}
		return nil, st.Err()
	}
	if len(md["x-wait"]) > 0 {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	grpc.SetTrailer(ctx, metadata.Pairs("x-tail-bin", "\x00\x01"))
	return &echopb.Message{Body: in.Body}, grpc.SetHeader(ctx, metadata.Pairs("x-head", md["x-key"][0]))
}

func (peerEcho) Chat(stream grpc.BidiStreamingServer[echopb.Message, echopb.Message]) error {
	for {
		in, err := stream.Recv()
		if err == io.EOF {
			return status.Error(codes.OutOfRange, "that was all")
		}
		if err == nil {
			err = stream.Send(in)
		}
		if err != nil {
			return err
		}
	}
}

// TestConnectGo calls the gateway with connect-go's client, by both protocols of browsers, in both codecs, over both versions of HTTP.
func TestConnectGo(t *testing.T) {
	srv := &rpc.Server{Name: "echo"}
	echopb.RegisterEchoServer(srv, peerEcho{})
	srv.Start()
	port := &rpc.Port{Servers: []*rpc.Server{srv}}
	port.HTTP = &gateway.Handler{Backend: port}
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go port.Serve(lis)
	defer func() {
		port.Close()
		srv.Drain(context.Background())
	}()
	for _, http2 := range []bool{false, true} {
		for name, opts := range map[string][]connectgo.ClientOption{
			"Connect":            nil,
			"Connect, JSON":      {connectgo.WithProtoJSON()},
			"Connect, gzip":      {connectgo.WithSendGzip()},
			"gRPC-Web":           {connectgo.WithGRPCWeb()},
			"gRPC-Web, JSON":     {connectgo.WithGRPCWeb(), connectgo.WithProtoJSON()},
			"gRPC-Web with gzip": {connectgo.WithGRPCWeb(), connectgo.WithSendGzip()},
		} {
			if http2 {
				name += ", h2c"
			}
			t.Run(name, func(t *testing.T) {
				client := connectCall{http2: http2}.client()
				defer client.CloseIdleConnections()
				unary := connectgo.NewClient[echopb.Message, echopb.Message](client, "http://"+lis.Addr().String()+echoPath, opts...)
				body := bytes.Repeat([]byte("hanse"), 10_000)
				call := func(ctx context.Context, key string) (*connectgo.Response[echopb.Message], error) {
					req := connectgo.NewRequest(&echopb.Message{Body: body})
					req.Header().Set(key, "value")
					return unary.CallUnary(ctx, req)
				}
				resp, err := call(t.Context(), "X-Key")
				if err != nil {
					t.Fatal(err)
				}
				tail, err := connectgo.DecodeBinaryHeader(resp.Trailer().Get("X-Tail-Bin"))
				if err != nil || !bytes.Equal(resp.Msg.Body, body) || resp.Header().Get("X-Head") != "value" || string(tail) != "\x00\x01" {
					t.Errorf("%d bytes, %v, %v, %v", len(resp.Msg.Body), resp.Header(), resp.Trailer(), err)
				}

				_, err = call(t.Context(), "X-Fail")
				var failed *connectgo.Error
				if !errors.As(err, &failed) || failed.Code() != connectgo.CodeFailedPrecondition || failed.Message() != "as you like: ä" || len(failed.Details()) != 1 {
					t.Fatalf("%v", err)
				}
				if info, err := failed.Details()[0].Value(); err != nil || info.(*errdetails.ErrorInfo).Reason != "asked for" {
					t.Errorf("%v, %v", info, err)
				}

				ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
				defer cancel()
				if _, err = call(ctx, "X-Wait"); connectgo.CodeOf(err) != connectgo.CodeDeadlineExceeded {
					t.Errorf("%v", err)
				}
				if http2 {
					chat(t, client, "http://"+lis.Addr().String()+"/hanse.bench.v1.Echo/Chat", opts)
				}
			})
		}
	}
}

// chat sends and receives in turn.
func chat(t *testing.T, client *http.Client, url string, opts []connectgo.ClientOption) {
	stream := connectgo.NewClient[echopb.Message, echopb.Message](client, url, opts...).CallBidiStream(t.Context())
	for i := range 10 {
		if err := stream.Send(&echopb.Message{Body: make([]byte, i)}); err != nil {
			t.Fatal(err)
		}
		if in, err := stream.Receive(); err != nil || len(in.Body) != i {
			t.Fatalf("%v, %v", in, err)
		}
	}
	if err := stream.CloseRequest(); err != nil {
		t.Error(err)
	}
	if _, err := stream.Receive(); connectgo.CodeOf(err) != connectgo.CodeOutOfRange {
		t.Errorf("the stream ended with %v", err)
	}
	stream.CloseResponse()
}
