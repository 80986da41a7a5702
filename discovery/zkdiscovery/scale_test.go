//go:build unix

package zkdiscovery_test

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"
	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/discovery/discoverytest"
	"github.com/hanse-go/hanse/discovery/zkdiscovery"
)

// full is an instance with all that one of Hanse's own announces.
func full(service, id string) discovery.Instance {
	return discovery.Instance{
		Service: service, ID: id, State: discovery.Ready, Version: "v1.2.3", Host: "0123456789abcdef", Zone: "eu-1", PID: 4711,
		Endpoints: []string{"unix:///run/user/1000/hanse/0123456789abcdef.sock", "tcp://10.0.0.7:8443"}, Admin: "10.0.0.7:9000",
		Contracts: []discovery.Contract{{Name: "shop.cart.v1.CartService", Hash: "0123456789abcdef"}},
	}
}

// fill puts 10,000 instances of 200 services into ZooKeeper: service-0 to service-199.
func fill(t testing.TB, conn *zk.Conn) {
	t.Helper()
	create := func(node string, data []byte) any {
		return &zk.CreateRequest{Path: node, Data: data, Acl: zk.WorldACL(zk.PermAll)}
	}
	if _, err := conn.Multi(create("/hanse", nil), create("/hanse/default", nil), create("/hanse/default/ids", nil), create("/hanse/default/instances", nil)); err != nil {
		t.Fatal(err)
	}
	for s := range 200 {
		service := fmt.Sprintf("service-%d", s)
		creates := []any{create("/hanse/default/instances/"+service, nil)}
		for i := range 50 {
			inst := full(service, fmt.Sprintf("s%d-%02d", s, i))
			record, err := inst.Record()
			if err != nil {
				t.Fatal(err)
			}
			creates = append(creates, create("/hanse/default/instances/"+service+"/"+inst.ID, record))
		}
		if _, err := conn.Multi(creates...); err != nil {
			t.Fatal(err)
		}
	}
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}

// A client that uses five services of 200 holds memory for five, and hears of nothing else.
func TestHoldsWhatIsWatched(t *testing.T) {
	server := startServer(t)
	conn := server.conn()
	fill(t, conn)
	reg := server.registry(zkdiscovery.Options{})
	watch := func(service string, n int) *discoverytest.Watcher[discovery.Instance] {
		w := discoverytest.Watch(t, reg, service)
		w.Until("all are there", func(l []discovery.Instance) bool { return len(l) == n })
		return w
	}
	watch("none", 0) // makes the connection, which has buffers of 2 MB
	before := heap()
	var watchers []*discoverytest.Watcher[discovery.Instance]
	for s := range 5 {
		watchers = append(watchers, watch(fmt.Sprintf("service-%d", s), 50))
	}
	five := int64(heap()) - int64(before)
	t.Logf("five services with 250 instances: %d KiB", five>>10)
	if five > 1<<20 {
		t.Errorf("a client of five services holds %d KiB for them", five>>10)
	}
	for s := 90; s < 100; s++ {
		deleteAll(t, conn, fmt.Sprintf("/hanse/default/instances/service-%d", s))
	}
	lease := register(t, reg, full("service-0", "new"))
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

// BenchmarkChange is how long it takes until 1,000 clients, each with a session of its own, have heard of a change to a
// service with 50 instances, among 200.
func BenchmarkChange(b *testing.B) {
	const clients = 1000
	server := startServer(b)
	fill(b, server.conn())
	owner, err := server.registry(zkdiscovery.Options{}).Register(b.Context(), full("service-0", "owner"))
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
		reg := server.registry(zkdiscovery.Options{})
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
		<-ready // all at once would wait for this machine, not for ZooKeeper
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
