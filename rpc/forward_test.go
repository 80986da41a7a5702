package rpc_test

import (
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"

	"github.com/hanse-go/hanse/balancer"
	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/identity"
	"github.com/hanse-go/hanse/rpc"
	pb "github.com/hanse-go/hanse/rpc/internal/paritypb"
	"github.com/hanse-go/hanse/telemetry"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// unforwarded are the cases that are about one connection, which a call that is passed on does not have, with the reason.
var unforwarded = map[string]string{
	"the authority of one call":                            "who passes calls on has an authority of its own",
	"a codec of the program":                               "only the proto encoding is passed on",
	"invalid UTF-8 in a stream":                            "a stream that its caller gives up at once need not arrive",
	"an invalid request takes no idempotency key":          "to who passes calls on, that it is invalid is an answer like others",
	"a unary call without request, contract, to grpc-go":   "it is refused on the way, by a server of ours",
	"a unary call with two requests, contract, to grpc-go": "it is refused on the way, by a server of ours",
	"a unary call without request, kind, to grpc-go":       "it is refused on the way, by a server of ours",
	"a unary call with two requests, kind, to grpc-go":     "it is refused on the way, by a server of ours",
}

// TestForwardParity runs the table through a Forwarder: what is called by it, and by its caller, cannot tell, whatever their kind.
func TestForwardParity(t *testing.T) {
	paths := []column{
		{name: "contract, ours", ourServer: true, ourClient: true, path: rpc.TCP, instance: instance, start: forwardedTo(overTCP, byContract)},
		{name: "stream, ours", ourServer: true, ourClient: true, path: rpc.TCP, instance: instance, start: forwardedTo(overTCP, byStream)},
		{name: "kind, ours", ourServer: true, ourClient: true, path: rpc.TCP, instance: instance, start: forwardedTo(overTCP, byKind)},
		{name: "contract, to grpc-go", ourClient: true, start: forwardedTo(toStock, byContract)},
		{name: "stream, to grpc-go", ourClient: true, start: forwardedTo(toStock, byStream)},
		{name: "kind, to grpc-go", ourClient: true, start: forwardedTo(toStock, byKind)},
	}
	for _, tt := range parityCases {
		t.Run(tt.name, func(t *testing.T) {
			if why := unforwarded[tt.name]; why != "" {
				t.Skip(why)
			}
			for _, col := range paths {
				if !col.ourServer && tt.needsServer != "" || !col.ourClient && tt.needsClient != "" {
					continue
				}
				t.Run(col.name, func(t *testing.T) {
					if why := unforwarded[tt.name+", "+col.name]; why != "" {
						t.Skip(why)
					}
					tt.run(t, &col)
				})
			}
		})
	}
}

// forwarding serves the calls that f passes on.
type forwarding func(srv *rpc.Server, f *rpc.Forwarder)

func byContract(srv *rpc.Server, f *rpc.Forwarder) {
	srv.RegisterService(f.Contract(parityContract()), f)
}

func byStream(srv *rpc.Server, f *rpc.Forwarder) { srv.Unknown = f.Stream }

// byKind knows of each method no more than whether it is unary.
func byKind(srv *rpc.Server, f *rpc.Forwarder) {
	srv.Unknown = func(impl any, stream grpc.ServerStream) error {
		method, _ := grpc.MethodFromServerStream(stream)
		m := parityContract().Methods().ByName(protoreflect.Name(method[strings.LastIndexByte(method, '/')+1:]))
		if m != nil && !m.IsStreamingClient() && !m.IsStreamingServer() {
			return f.Unary(impl, stream)
		}
		return f.Stream(impl, stream)
	}
}

func parityContract() protoreflect.ServiceDescriptor {
	return pb.File_rpc_internal_paritypb_parity_proto.Services().ByName("Parity")
}

// forwardedTo puts a server that knows no message between the caller and the server of the case.
func forwardedTo(start func(*testing.T, setup) grpc.ClientConnInterface, how forwarding) func(*testing.T, setup) grpc.ClientConnInterface {
	return func(t *testing.T, s setup) grpc.ClientConnInterface {
		behind := s
		behind.client = clientSide{maxRecv: -1, maxSend: -1}
		endpoint := forwarder(t, start(t, behind).(*rpc.Conn), how, instance)
		return ourClient(t, &s, &rpc.Client{Registry: announced(t, "tcp://"+endpoint)})
	}
}

// forwarder serves what is behind conn, and returns where.
func forwarder(t *testing.T, conn *rpc.Conn, how forwarding, instance string) (addr string) {
	f := &rpc.Forwarder{Conn: conn}
	srv := &rpc.Server{Name: "parity", Instance: instance, MaxRecvMsgSize: -1, MaxSendMsgSize: -1, Logger: (&setup{}).logger(t)}
	how(srv, f)
	srv.Start()
	t.Cleanup(srv.Stop)
	lis := listen(t, "tcp", "127.0.0.1:0")
	port := &rpc.Port{Servers: []*rpc.Server{srv}, Logger: (&setup{}).logger(t)}
	done := make(chan error, 1)
	go func() { done <- port.Serve(lis) }()
	t.Cleanup(func() {
		port.Close()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return lis.Addr().String()
}

// A call that could not be passed on goes to another instance that passes calls on.
func TestForwardNotProcessed(t *testing.T) {
	for name, how := range map[string]forwarding{"contract": byContract, "stream": byStream, "kind": byKind} {
		var m discovery.Memory
		closed := listen(t, "tcp", "127.0.0.1:0")
		closed.Close()
		good := stockServer(t, &setup{})
		for i, behind := range []string{closed.Addr().String(), good} {
			conn, err := rpc.Dial(behind)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { conn.Close() })
			endpoint := forwarder(t, conn, how, fmt.Sprintf("parity-%d", i))
			lease, err := m.Register(t.Context(), discovery.Instance{Service: "parity", ID: fmt.Sprintf("parity-%d", i), State: discovery.Ready, Endpoints: []string{"tcp://" + endpoint}})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { lease.Close() })
		}
		client := pb.NewParityClient(ourClient(t, &setup{}, &rpc.Client{Registry: &m, Balancing: balancer.Policies{"": {Picker: func() balancer.Picker { return new(balancer.RoundRobin) }}}}))
		for range 8 {
			if _, err := client.Unary(soon(t), &pb.Request{Text: "x"}); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			s, err := client.Download(soon(t), &pb.Request{Count: 1})
			if err == nil {
				_, err = s.Recv()
			}
			if err != nil {
				t.Fatalf("%s: stream: %v", name, err)
			}
		}
	}
}

// Rules cannot name what Unknown serves.
func TestUnknownUnderRules(t *testing.T) {
	called := false
	srv := &rpc.Server{Name: "parity", Unknown: func(any, grpc.ServerStream) error { called = true; return nil }, Allow: []identity.Rule{{}}, Logger: slog.New(slog.DiscardHandler)}
	if err := srv.Err(); err == nil || !strings.Contains(err.Error(), "Unknown") {
		t.Errorf("Err is %v", err)
	}
	srv.Start()
	defer srv.Stop()
	conn := ourClient(t, &setup{}, &rpc.Client{Local: map[string]*rpc.Server{"parity": srv}})
	_, err := pb.NewParityClient(conn).Unary(soon(t), &pb.Request{})
	wantCode(t, err, codes.Unimplemented)
	if called {
		t.Error("a method that no rule can name was called")
	}
}

// TestForwardTelemetry holds that calls that are passed on are told of as what they are, on both sides.
func TestForwardTelemetry(t *testing.T) {
	for name, tt := range map[string]struct {
		how  forwarding
		once bool // a stream with one message is told of as one, too
	}{"contract": {byContract, true}, "stream": {byStream, false}} {
		t.Run(name, func(t *testing.T) {
			r := tell(t, nil)
			behind := setup{client: clientSide{telemetry: r.Service("door", "v1", "i1")}}
			conn := overTCP(t, behind).(*rpc.Conn)
			addr := forwarder(t, conn, func(srv *rpc.Server, f *rpc.Forwarder) {
				srv.Telemetry = r.Service("door", "v1", "i1")
				tt.how(srv, f)
			}, instance)
			c := pb.NewParityClient(ourClient(t, &setup{}, &rpc.Client{Registry: announced(t, "tcp://"+addr)}))
			ctx := soon(t)
			if _, err := c.Unary(ctx, &pb.Request{}); err != nil {
				t.Fatal(err)
			}
			download := func(messages int32) {
				s, err := c.Download(ctx, &pb.Request{Count: messages})
				if err != nil {
					t.Fatal(err)
				}
				for err == nil {
					_, err = s.Recv()
				}
				if err != io.EOF {
					t.Fatal(err)
				}
			}
			ended := 2
			check := func(what, method, stream string) {
				t.Helper()
				spans := r.Wait(t, ended)[ended-2:]
				for _, s := range spans {
					if !strings.HasSuffix(s.Name, "/"+method) || s.Attributes[telemetry.StreamKey] != stream {
						t.Errorf("%s: %s, %s: stream is %q, want %q", what, s.Name, s.Kind, s.Attributes[telemetry.StreamKey], stream)
					}
				}
				ended += 2
			}
			check("unary", "Unary", "")
			download(1)
			check("with one message", "Download", map[bool]string{true: "true"}[tt.once])
			download(3)
			check("with three", "Download", "true")
			download(1)
			check("after that", "Download", "true")
		})
	}
}
