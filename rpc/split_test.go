package rpc_test

import (
	"context"
	"net"
	"net/url"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hanse-go/hanse/balancer"
	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/rpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
)

// versions runs instances of "echo" named by their versions, announced in a registry that holds rules.
func versions(t *testing.T, w *town, registry *discovery.Memory, names ...string) (leases []discovery.Lease) {
	t.Helper()
	for _, name := range names {
		_, inst := w.instance(t, name)
		inst.Version = name
		lease, err := registry.Register(t.Context(), inst)
		if err != nil {
			t.Fatal(err)
		}
		leases = append(leases, lease)
	}
	return leases
}

func setSplit(t *testing.T, registry *discovery.Memory, split discovery.Split) {
	t.Helper()
	split.Service = "echo"
	if err := registry.SetSplit(t.Context(), split); err != nil {
		t.Fatal(err)
	}
	synctest.Wait()
}

func percent(version string, percent float64) discovery.SplitShare {
	return discovery.SplitShare{Version: version, Percent: percent}
}

func TestSplitIsFollowedLive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w town
		var registry discovery.Memory
		leases := versions(t, &w, &registry, "v1", "v2", "v3")
		setSplit(t, &registry, discovery.Split{Shares: []discovery.SplitShare{percent("v1", 90), percent("v2", 10)}})
		conn := bound(t, w.client(&registry, nil))
		connected(t, conn, "v1")
		synctest.Wait()
		expect := func(what string, ctx context.Context, want map[string]int) {
			t.Helper()
			got := servedBy(t, ctx, conn, 1000)
			for _, v := range []string{"v1", "v2", "v3"} {
				if d := got[v] - want[v]; d < -60 || d > 60 || want[v] == 0 && got[v] != 0 {
					t.Errorf("%s: %v, want %v", what, got, want)
				}
			}
		}
		tester := metadata.AppendToOutgoingContext(t.Context(), "x-canary", "1")
		expect("90:10", t.Context(), map[string]int{"v1": 900, "v2": 100})
		expect("90:10, no rule for the header", tester, map[string]int{"v1": 900, "v2": 100})
		setSplit(t, &registry, discovery.Split{
			Match:  []discovery.SplitMatch{{Header: "x-canary", Value: "1", Version: "v3"}},
			Shares: []discovery.SplitShare{percent("v1", 50), percent("v2", 50)},
		})
		expect("50:50", t.Context(), map[string]int{"v1": 500, "v2": 500})
		expect("by header", tester, map[string]int{"v3": 1000})
		stream, err := chatEcho(tester, conn)
		if err != nil {
			t.Fatal(err)
		}
		exchange(t, stream, "v3")
		stream.CloseSend()

		leases[2].Close() // who has no instance is passed over
		synctest.Wait()
		expect("by header, without v3", tester, map[string]int{"v1": 500, "v2": 500})
		leases[1].Close()
		synctest.Wait()
		expect("without v2", t.Context(), map[string]int{"v1": 1000})
		versions(t, &w, &registry, "v4")
		setSplit(t, &registry, discovery.Split{})
		got := servedBy(t, t.Context(), conn, 1000)
		if got["v4"] < 400 || got["v1"] < 400 {
			t.Errorf("without rules: %v", got)
		}
		w.close(conn)
	})
}

func TestStrictSplit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w town
		var registry discovery.Memory
		versions(t, &w, &registry, "v1")
		setSplit(t, &registry, discovery.Split{
			Match: []discovery.SplitMatch{{Header: "x-canary", Version: "v2"}}, Shares: []discovery.SplitShare{percent("v1", 100)}, Strict: true,
		})
		conn := bound(t, w.client(&registry, nil))
		connected(t, conn, "v1")
		tester := metadata.AppendToOutgoingContext(t.Context(), "x-canary", "1")
		start := time.Now()
		_, err := callEcho(tester, conn, addMethod, "x")
		wantError(t, err, codes.Unavailable, `"echo"`, "version v2", "no instance has", "hanse split echo --off")
		if took := time.Since(start); took > time.Second {
			t.Errorf("it took %v", took)
		}
		leases := versions(t, &w, &registry, "v2")
		synctest.Wait()
		if got := servedBy(t, tester, conn, 10); got["v2"] != 10 {
			t.Errorf("%v", got)
		}
		if got := servedBy(t, t.Context(), conn, 10); got["v1"] != 10 {
			t.Errorf("%v", got)
		}
		w.servers[1].Stop() // it refuses calls, and is still in the registry
		_, err = callEcho(tester, conn, addMethod, "x")
		wantError(t, err, codes.Unavailable)
		leases[0].Close()
		synctest.Wait()
		_, err = callEcho(tester, conn, addMethod, "x")
		wantError(t, err, codes.Unavailable, "no instance has")
		w.close(conn)
	})
}

// A version without a share gets no call, not even the first one of a caller that is connected to it first.
func TestSplitHoldsFromTheFirstCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w town
		var registry discovery.Memory
		setSplit(t, &registry, discovery.Split{Shares: []discovery.SplitShare{percent("v1", 100), percent("v2", 0)}})
		versions(t, &w, &registry, "v1", "v2")
		slow := &slowRules{Memory: &registry, wait: make(chan struct{})}
		client := w.client(slow, nil)
		client.Transports = []rpc.Transport{slowTo{memory{w.net.Host("caller")}, "v1:1"}}
		conn := bound(t, client)
		time.AfterFunc(time.Second, func() { close(slow.wait) })
		if got := servedBy(t, t.Context(), conn, 10); got["v1"] != 10 {
			t.Errorf("%v", got)
		}
		w.close(conn)
	})
}

// slowRules is a registry that tells of instances at once and of rules later.
type slowRules struct {
	*discovery.Memory
	wait chan struct{}
}

func (s *slowRules) WatchSplits(ctx context.Context, service string, notify func([]discovery.Split)) error {
	select {
	case <-s.wait:
	case <-ctx.Done():
		return nil
	}
	return s.Memory.WatchSplits(ctx, service, notify)
}

// slowTo takes a second to connect to one address.
type slowTo struct {
	memory
	addr string
}

func (s slowTo) Dial(ctx context.Context, endpoint *url.URL) (net.Conn, error) {
	if endpoint.Host == s.addr {
		time.Sleep(time.Second)
	}
	return s.memory.Dial(ctx, endpoint)
}

// Who asks for a version by a filter gets it, whatever the rules say; calls of a contract that a version lacks go to one that has it.
func TestSplitAmongThoseThatCan(t *testing.T) {
	a, b := newStock(t, "a"), newStock(t, "b")
	one, two := a.instance(), b.instance()
	one.Version, two.Version = "v1", "v2"
	one.Contracts = []discovery.Contract{{Name: "shop.v1.Old"}}
	two.Contracts = []discovery.Contract{{Name: echoContract}}
	var registry discovery.Memory
	for _, inst := range []discovery.Instance{one, two} {
		lease, err := registry.Register(t.Context(), inst)
		if err != nil {
			t.Fatal(err)
		}
		defer lease.Close()
	}
	rules := discovery.Split{Service: "echo", Shares: []discovery.SplitShare{percent("v1", 100), percent("v2", 0)}}
	if err := registry.SetSplit(t.Context(), rules); err != nil {
		t.Fatal(err)
	}
	conn := bound(t, &rpc.Client{Registry: &registry})
	if got := servedBy(t, t.Context(), conn, 10); got["b"] != 10 {
		t.Errorf("%v", got)
	}
	filtered := boundWith(t, &rpc.Client{Registry: &registry}, rpc.WithBalancing(balancer.Policy{Filter: balancer.Filter{Version: "v2"}}))
	if got := servedBy(t, t.Context(), filtered, 10); got["b"] != 10 {
		t.Errorf("%v", got)
	}
}
