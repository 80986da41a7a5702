package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/rpc"
	testpb "google.golang.org/grpc/interop/grpc_testing"
)

// workingService works as long as a request says, and returns what it was sent.
type workingService struct {
	testpb.UnimplementedBenchmarkServiceServer
}

func (workingService) UnaryCall(_ context.Context, in *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
	sum := [32]byte{}
	for range in.GetResponseSize() { // about a third of a microsecond each
		sum = sha256.Sum256(sum[:])
	}
	copy(in.GetPayload().GetBody(), sum[:])
	return &testpb.SimpleResponse{Payload: in.GetPayload()}, nil
}

// serveCalls is the process of a service.
func serveCalls(string) error {
	srv := &rpc.Server{Name: "bench"}
	testpb.RegisterBenchmarkServiceServer(srv, workingService{})
	srv.Start()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	port := &rpc.Port{Servers: []*rpc.Server{srv}}
	go port.Serve(lis)
	defer port.Close()
	fmt.Println(lis.Addr())
	return eachLine(func(string) string { return "" })
}

// callLoad is what a caller is asked for: calls a second, each with that much work, at times that chance chooses by the seed.
type callLoad struct {
	Rate    float64
	Seconds float64
	Work    int32
	Seed    uint64
}

// callTimes is what a caller saw: of calls that succeeded, from when they were due.
type callTimes struct {
	Calls, Failed int
	P50, P99      time.Duration
	Error         string // of one that failed
}

// makeCalls is the process of a caller.
func makeCalls(address string) error {
	client := &rpc.Client{Registry: discovery.Static{"bench": {"tcp://" + address}}}
	defer client.Close()
	conn := rpc.NewConn("bench")
	if err := conn.Bind(client); err != nil {
		return err
	}
	defer conn.Close()
	stub := testpb.NewBenchmarkServiceClient(conn)
	sleep := pacer()
	return eachLine(func(line string) string {
		var load callLoad
		if err := json.Unmarshal([]byte(line), &load); err != nil {
			return err.Error()
		}
		text, _ := json.Marshal(paced(context.Background(), stub, load, sleep))
		return string(text)
	})
}

// mostOpen is how many calls may be open at a time; what is due beyond that fails.
const mostOpen = 1000

// paced makes calls when they are due, whatever the answers take. The time between two is that of independent callers (exponential).
func paced(ctx context.Context, stub testpb.BenchmarkServiceClient, load callLoad, sleep func(time.Duration)) callTimes {
	rnd := rand.New(rand.NewPCG(load.Seed, 7))
	n := int(load.Rate * load.Seconds)
	took := make([]time.Duration, n) // 0: it failed
	errs := make([]error, n)
	open := make(chan struct{}, mostOpen)
	var wg sync.WaitGroup
	due := time.Now()
	for i := range n {
		due = due.Add(time.Duration(rnd.ExpFloat64() / load.Rate * 1e9))
		for wait := time.Until(due); wait > 0; wait = time.Until(due) {
			sleep(wait)
		}
		select {
		case open <- struct{}{}:
		default:
			errs[i] = fmt.Errorf("%d calls are open", mostOpen)
			continue
		}
		due := due
		wg.Go(func() {
			in := &testpb.SimpleRequest{ResponseSize: load.Work, Payload: &testpb.Payload{Body: make([]byte, 100)}}
			if _, errs[i] = stub.UnaryCall(ctx, in); errs[i] == nil {
				took[i] = time.Since(due)
			}
			<-open
		})
	}
	wg.Wait()
	r := callTimes{}
	for _, err := range errs {
		if err != nil {
			r.Failed++
			r.Error = err.Error()
		}
	}
	took = slices.DeleteFunc(took, func(d time.Duration) bool { return d == 0 })
	slices.Sort(took)
	if r.Calls = len(took); r.Calls > 0 {
		r.P50, r.P99 = percentile(took, 0.5), percentile(took, 0.99)
	}
	return r
}
