//go:build unix

package etcddiscovery_test

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/discovery/discoverytest"
	"github.com/hanse-go/hanse/discovery/etcddiscovery"
)

func TestSplits(t *testing.T) {
	server := startServer(t)
	var systems atomic.Int32
	peer := func() discovery.Splitter {
		return server.registry(etcddiscovery.Options{System: fmt.Sprintf("system-%d", systems.Load())})
	}
	discoverytest.RunSplits(t, func(t *testing.T) discovery.Splitter {
		systems.Add(1)
		return peer()
	}, discoverytest.SplitLimits{Peer: func(*testing.T, discovery.Splitter) discovery.Splitter { return peer() }})
}

// Rules outlive their server's process, and what is written meanwhile is heard of.
func TestSplitsAfterARestart(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	reg := server.registry(short)
	split := func(percent float64) discovery.Split {
		return discovery.Split{Service: "cart", Shares: []discovery.SplitShare{{Version: "v1", Percent: 100 - percent}, {Version: "v2", Percent: percent}}}
	}
	is := func(want string) func([]discovery.Split) bool {
		return func(list []discovery.Split) bool {
			var all []string
			for _, s := range list {
				all = append(all, s.String())
			}
			return strings.Join(all, ", ") == want
		}
	}
	one, all := discoverytest.WatchSplits(t, reg, "cart"), discoverytest.WatchSplits(t, reg, "")
	if err := reg.SetSplit(t.Context(), split(5)); err != nil {
		t.Fatal(err)
	}
	one.Until("it is there", is("v1=95 v2=5"))
	all.Until("it is there", is("v1=95 v2=5"))
	server.kill()
	server.start()
	if err := server.registry(short).SetSplit(t.Context(), split(50)); err != nil {
		t.Fatal(err)
	}
	one.Until("it changed", is("v1=50 v2=50"))
	all.Until("it changed", is("v1=50 v2=50"))
	server.kill()
	server.wipe()
	server.start()
	one.Until("it is lost", is(""))
	all.Until("it is lost", is(""))
	if err := reg.SetSplit(t.Context(), split(1)); err != nil {
		t.Fatal(err)
	}
	one.Until("it is there again", is("v1=99 v2=1"))
	all.Until("it is there again", is("v1=99 v2=1"))
}
