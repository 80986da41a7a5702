package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/hanse-go/hanse/bench/sample"
	"github.com/hanse-go/hanse/rpc"
	"google.golang.org/grpc"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/protobuf/proto"
)

type benchmarkService struct {
	testpb.UnimplementedBenchmarkServiceServer
}

func (benchmarkService) UnaryCall(_ context.Context, in *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
	return &testpb.SimpleResponse{Payload: in.GetPayload()}, nil
}

// direct is the least that a call through a stub can cost when neither side may see the other's messages: a copy each way.
type direct struct{ impl testpb.BenchmarkServiceServer }

func (d direct) Invoke(ctx context.Context, _ string, args, reply any, _ ...grpc.CallOption) error {
	out, err := d.impl.UnaryCall(ctx, proto.Clone(args.(proto.Message)).(*testpb.SimpleRequest))
	if err != nil {
		return err
	}
	proto.Reset(reply.(proto.Message))
	proto.Merge(reply.(proto.Message), out)
	return nil
}

func (direct) NewStream(context.Context, *grpc.StreamDesc, string, ...grpc.CallOption) (grpc.ClientStream, error) {
	return nil, errors.New("no streams")
}

func inProcess(ctx context.Context, env *environment) (*section, error) {
	srv := &rpc.Server{Name: "bench"}
	testpb.RegisterBenchmarkServiceServer(srv, benchmarkService{})
	if err := srv.Err(); err != nil {
		return nil, err
	}
	srv.Start()
	client := &rpc.Client{Local: map[string]*rpc.Server{"bench": srv}}
	defer client.Close()
	conn := rpc.NewConn("bench")
	if err := conn.Bind(client); err != nil {
		return nil, err
	}
	defer conn.Close()

	rounds, calls := 31, 40_000
	if env.quick {
		rounds, calls = 3, 2_000
	}
	sec := &section{
		intro: fmt.Sprintf("Unary calls through the same stub, one at a time, each under `context.WithTimeout`; %d rounds of %d calls, interleaved. "+
			"*Direct* is a plain Go call of the handler with a copy of the request and of the reply, which isolation needs anyway.", rounds, calls),
		header: []string{"payload", "direct", "in process", "in process / direct", "allocations: direct", "in process"},
	}
	for _, size := range []int{100, 1 << 10} {
		a := testpb.NewBenchmarkServiceClient(direct{benchmarkService{}})
		b := testpb.NewBenchmarkServiceClient(conn)
		var ratios, as, bs []float64
		var allocA, allocB float64
		for range rounds {
			ta, na, err := unary(ctx, a, size, calls)
			if err != nil {
				return nil, err
			}
			tb, nb, err := unary(ctx, b, size, calls)
			if err != nil {
				return nil, err
			}
			ratios = append(ratios, tb/ta)
			as, bs = append(as, ta), append(bs, tb)
			allocA, allocB = na, nb
		}
		_, ma, _ := sample.Quartiles(as)
		_, mb, _ := sample.Quartiles(bs)
		sec.add(fmt.Sprintf("%d B", size), fmt.Sprintf("%.0f ns", ma), fmt.Sprintf("%.0f ns", mb), ratio(ratios), fmt.Sprintf("%.1f", allocA), fmt.Sprintf("%.1f", allocB))
	}
	return sec, nil
}

// unary returns nanoseconds and allocations for one call.
func unary(ctx context.Context, c testpb.BenchmarkServiceClient, size, calls int) (ns, allocs float64, err error) {
	in := &testpb.SimpleRequest{Payload: &testpb.Payload{Body: make([]byte, size)}}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	begin := time.Now()
	for range calls {
		ctx, cancel := context.WithTimeout(ctx, time.Minute)
		_, err := c.UnaryCall(ctx, in)
		cancel()
		if err != nil {
			return 0, 0, err
		}
	}
	took := time.Since(begin)
	runtime.ReadMemStats(&after)
	return float64(took.Nanoseconds()) / float64(calls), float64(after.Mallocs-before.Mallocs) / float64(calls), nil
}
