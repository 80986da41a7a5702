package hansetest_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hanse-go/hanse"
	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/hansetest"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
)

// version is a service that answers with its version.
func version(v string) *hanse.Service {
	s := &hanse.Service{Name: "cart", Version: v}
	testpb.RegisterTestServiceServer(s, &greeter{name: v, wait: 2 * time.Millisecond})
	return s
}

// A canary: 10 % of the calls, then half of them, then all, under load and while the old version goes. No call fails, and each part of the
// load is shared as the rules of its time say.
func TestCanary(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shares := func(v1, v2 float64) discovery.Split {
			return discovery.Split{
				Service: "cart", Sticky: "x-user",
				Match:  []discovery.SplitMatch{{Header: "x-canary", Value: "1", Version: "v2"}},
				Shares: []discovery.SplitShare{{Version: "v1", Percent: v1}, {Version: "v2", Percent: v2}},
			}
		}
		sys := hansetest.Run(t, version("v1"), version("v1"), version("v1"))
		sys.SetSplit(shares(100, 0)) // nothing goes to what will be deployed
		sys.Start(version("v2"))
		client := testpb.NewTestServiceClient(sys.Conn("cart"))
		tester := metadata.AppendToOutgoingContext(t.Context(), "x-canary", "1")

		const callers, calls = 20, 100
		ruled := true // caller 0 is a tester
		load := func(during func()) map[string]int {
			t.Helper()
			var mu sync.Mutex
			counts := make(map[string]int)
			var wg sync.WaitGroup
			for caller := range callers {
				wg.Go(func() {
					for n := range calls {
						ctx, want := t.Context(), ""
						if ruled && caller == 0 {
							ctx, want = tester, "v2"
						}
						ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
						out, err := client.UnaryCall(ctx, &testpb.SimpleRequest{})
						cancel()
						switch {
						case err != nil:
							t.Errorf("caller %d, call %d: %v", caller, n, err)
						case want != "" && out.Username != want:
							t.Errorf("the tester was served by %s", out.Username)
						case caller > 0:
							mu.Lock()
							counts[out.Username]++
							mu.Unlock()
						}
						time.Sleep(time.Millisecond)
					}
				})
			}
			if during != nil {
				time.Sleep(100 * time.Millisecond)
				during()
			}
			wg.Wait()
			return counts
		}
		expect := func(what string, counts map[string]int, least, most float64) {
			t.Helper()
			total := counts["v1"] + counts["v2"]
			if share := float64(counts["v2"]) / float64(total); total != (callers-1)*calls || share < least || share > most {
				t.Errorf("%s: %v, want a share of v2 of %.2f to %.2f", what, counts, least, most)
			}
		}
		expect("before", load(nil), 0, 0)
		sys.SetSplit(shares(90, 10))
		synctest.Wait()
		expect("canary", load(nil), 0.07, 0.13)
		expect("changed under load", load(func() { sys.SetSplit(shares(50, 50)) }), 0.25, 0.5)
		expect("half", load(nil), 0.44, 0.56)
		expect("all, while the old ones stop", load(func() {
			sys.SetSplit(shares(0, 100))
			for _, old := range sys.Instances("cart")[:2] {
				old.Stop()
			}
		}), 0.6, 1)
		expect("after", load(nil), 1, 1)
		sys.SetSplit(discovery.Split{Service: "cart"})
		synctest.Wait()
		ruled = false
		expect("without rules", load(nil), 0.4, 0.6)
	})
}
