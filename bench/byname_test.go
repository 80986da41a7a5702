package main

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	connectgo "connectrpc.com/connect"
	"github.com/hanse-go/hanse"
	"github.com/hanse-go/hanse/bench/wire/echopb"
	"github.com/hanse-go/hanse/hansetest"
	"github.com/hanse-go/hanse/rpc"
)

// namedEcho is an instance that says its name.
type namedEcho struct {
	peerEcho
	name string
}

func (e namedEcho) Unary(context.Context, *echopb.Message) (*echopb.Message, error) {
	return &echopb.Message{Body: []byte(e.name)}, nil
}

func echoNamed(name string) *hanse.Service {
	svc := &hanse.Service{Name: "echo"}
	echopb.RegisterEchoServer(svc, namedEcho{name: name})
	return svc
}

// answers counts calls by caller and instance, and wakes who waits for some.
type answers struct {
	mu      sync.Mutex
	changed sync.Cond
	by      map[string]map[string]int
	failed  bool
}

func (a *answers) add(who, instance string, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err != nil {
		a.failed = true
	} else {
		a.by[who][instance]++
	}
	a.changed.Broadcast()
}

// await returns when each caller was answered by each of the instances once more, or when a call failed.
func (a *answers) await(t *testing.T, instances ...string) {
	t.Helper()
	late := false
	timer := time.AfterFunc(20*time.Second, func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		late = true
		a.changed.Broadcast()
	})
	defer timer.Stop()
	a.mu.Lock()
	defer a.mu.Unlock()
	for who, by := range a.by {
		for _, name := range instances {
			for from := by[name]; by[name] == from && !a.failed; a.changed.Wait() {
				if late {
					t.Fatalf("%s is not answered by instance %s: %v", who, name, a.by)
				}
			}
		}
	}
}

// TestConnectGoByName gives connect-go's client the names of services: it finds the instances, uses all of them, and loses no call while
// they are replaced one after the other.
func TestConnectGoByName(t *testing.T) {
	caller := &hanse.Service{Name: "caller"}
	var outside *hanse.App // the first app is the test's own, which runs no service
	sys := hansetest.Options{Path: rpc.TCP, App: func(a *hanse.App) {
		if outside == nil {
			outside = a
		}
	}}.Run(t, caller, echoNamed("1"), echoNamed("2"))

	const url = "http://echo/hanse.bench.v1.Echo/"
	clients := map[string]*http.Client{
		"Service": {Transport: caller.HTTPTransport()},
		"App":     {Transport: outside.HTTPTransport()},
	}
	protocols := map[string][]connectgo.ClientOption{
		"Connect":       nil,
		"Connect, JSON": {connectgo.WithProtoJSON()},
		"gRPC-Web":      {connectgo.WithGRPCWeb()},
		"gRPC":          {connectgo.WithGRPC()},
	}
	got := &answers{by: map[string]map[string]int{}}
	got.changed.L = &got.mu
	for from := range clients {
		for protocol := range protocols {
			got.by[from+", "+protocol] = map[string]int{}
		}
	}
	var callers sync.WaitGroup
	ended := make(chan struct{})
	stop := sync.OnceFunc(func() { close(ended); callers.Wait() })
	defer stop()
	for from, client := range clients {
		for protocol, opts := range protocols {
			callers.Go(func() {
				who := from + ", " + protocol
				echo := connectgo.NewClient[echopb.Message, echopb.Message](client, url+"Unary", opts...)
				for {
					select {
					case <-ended:
						return
					default:
					}
					resp, err := echo.CallUnary(t.Context(), connectgo.NewRequest(&echopb.Message{Body: []byte("who?")}))
					if err != nil {
						t.Errorf("%s: %v", who, err)
						got.add(who, "", err)
						return
					}
					got.add(who, string(resp.Msg.Body), nil)
				}
			})
		}
	}
	got.await(t, "1", "2")
	for _, name := range []string{"3", "4"} {
		old := sys.Instances("echo")[0]
		sys.Start(echoNamed(name))
		got.await(t, name)
		old.Stop()
	}
	got.await(t, "3", "4")
	stop()
	for _, who := range slices.Sorted(maps.Keys(got.by)) {
		t.Logf("%s was answered by %v", who, got.by[who])
	}

	for _, client := range clients {
		for _, opts := range protocols {
			chat(t, client, url+"Chat", opts)
		}
	}
}
