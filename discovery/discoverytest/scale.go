package discoverytest

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/hanse-go/hanse/discovery"
)

// full is an instance with all that one of Hanse's own announces.
func full(service, id string) discovery.Instance {
	return discovery.Instance{
		Service: service, ID: id, State: discovery.Ready, Version: "v1.2.3", Host: "0123456789abcdef", Zone: "eu-1", PID: 4711,
		Endpoints: []string{"unix:///run/user/1000/hanse/0123456789abcdef.sock", "tcp://10.0.0.7:8443"}, Admin: "10.0.0.7:9000",
		Contracts: []discovery.Contract{{Name: "shop.cart.v1.CartService", Hash: "0123456789abcdef"}},
	}
}

// startFull starts a server with 10,000 instances of 200 services: service-0 to service-199.
func startFull(t testing.TB, engine Engine) Server {
	t.Helper()
	server := engine.New(t)
	server.Start()
	for s := range 200 {
		records := make(map[string]string)
		for i := range 50 {
			inst := full(fmt.Sprintf("service-%d", s), fmt.Sprintf("s%d-%02d", s, i))
			record, err := inst.Record()
			if err != nil {
				t.Fatal(err)
			}
			records["instances/"+inst.Service+"/"+inst.ID] = string(record)
		}
		server.Put(records)
	}
	return server
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}

// RunScale tests that a client that uses five services of 200 holds memory for five, and hears of nothing else.
func RunScale(t *testing.T, engine Engine) {
	server := startFull(t, engine)
	reg := server.Open(Handle{})
	watch := func(service string, n int) *Watcher[discovery.Instance] {
		w := Watch(t, reg, service)
		w.Until("all are there", func(l []discovery.Instance) bool { return len(l) == n })
		return w
	}
	watch("none", 0) // makes the connection, which has buffers
	before := heap()
	var watchers []*Watcher[discovery.Instance]
	for s := range 5 {
		watchers = append(watchers, watch(fmt.Sprintf("service-%d", s), 50))
	}
	five := int64(heap()) - int64(before)
	t.Logf("five services with 250 instances: %d KiB", five>>10)
	if five > 1<<20 {
		t.Errorf("a client of five services holds %d KiB for them", five>>10)
	}
	for s := 90; s < 100; s++ {
		server.Delete(fmt.Sprintf("instances/service-%d", s))
	}
	lease := Register(t, reg, full("service-0", "new"))
	watchers[0].Until("the new one is the next that is heard", func(l []discovery.Instance) bool {
		if len(l) != 51 {
			t.Errorf("service-0 had a snapshot of %d for nothing", len(l))
		}
		return true
	})
	if err := lease.Close(); err != nil {
		t.Fatal(err)
	}
	for _, w := range watchers {
		w.Stop()
	}
	watch("", 10000-10*50).Stop()
}

// BenchmarkChange measures how long it takes until 1,000 clients, each with a connection and a handle of its own, have heard of a change to a
// service with 50 instances, among 200.
func BenchmarkChange(b *testing.B, engine Engine) {
	const clients = 1000
	server := startFull(b, engine)
	owner, err := server.Open(Handle{}).Register(b.Context(), full("service-0", "owner"))
	if err != nil {
		b.Fatal(err)
	}
	defer owner.Close()
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	heard, ready := make(chan string, clients*4), make(chan struct{}, 1)
	for range clients {
		reg := server.Open(Handle{})
		wg.Go(func() {
			last := "none"
			_ = reg.Watch(ctx, "service-0", func(l []discovery.Instance) {
				if last == "none" {
					last = ""
					ready <- struct{}{}
				}
				for _, inst := range l {
					if inst.ID == "owner" && inst.Metadata["change"] != last {
						last = inst.Metadata["change"]
						heard <- last
					}
				}
			})
		})
		<-ready // all at once would wait for this machine, not for the engine
	}
	change := func(name string) {
		inst := full("service-0", "owner")
		inst.Metadata = map[string]string{"change": name}
		if err := owner.Update(ctx, inst); err != nil {
			b.Fatal(err)
		}
		for n := 0; n < clients; {
			if <-heard == name {
				n++
			}
		}
	}
	change("first")
	n := 0
	var worst time.Duration
	for b.Loop() {
		began := time.Now()
		change(fmt.Sprint(n))
		worst = max(worst, time.Since(began))
		n++
	}
	b.ReportMetric(float64(worst.Milliseconds()), "worst-ms")
}
