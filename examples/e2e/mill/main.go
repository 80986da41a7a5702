// Command mill is a service whose every call takes a certain time of a processor: what the tests overload.
//
//	MILL_WORK=4ms GOMAXPROCS=1 mill
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/hanse-go/hanse"
	greeterv1 "github.com/hanse-go/hanse/examples/hello/proto/greeter/v1"
)

type mill struct {
	greeterv1.UnimplementedGreeterServer
	turns int // of the loop that one call makes
}

func (m mill) Hello(_ context.Context, req *greeterv1.HelloRequest) (*greeterv1.HelloResponse, error) {
	return &greeterv1.HelloResponse{Greeting: fmt.Sprintf("%s, %x", req.GetName(), grind(m.turns))}, nil
}

func grind(turns int) uint64 {
	x := uint64(88172645463325252)
	for range turns {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
	}
	return x
}

// calibrate returns how many turns take as long as work on an idle processor.
func calibrate(work time.Duration) int {
	best := time.Duration(1 << 62)
	const turns = 1_000_000
	for range 20 {
		start := time.Now()
		if grind(turns) != 0 { // always: the compiler does not know that, and leaves the work in
			best = min(best, time.Since(start))
		}
	}
	return int(turns * work / best)
}

func main() {
	work, err := time.ParseDuration(os.Getenv("MILL_WORK"))
	if err != nil {
		log.Fatalf("MILL_WORK: %v", err)
	}
	svc := &hanse.Service{Name: "mill"}
	greeterv1.RegisterGreeterServer(svc, mill{turns: calibrate(work)})
	svc.Main()
}
