package discoverytest

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/hanse-go/hanse/discovery"
)

// SplitLimits says what a registry does not promise of its split rules, and how to reach it. The zero value promises everything, through
// one handle.
type SplitLimits struct {
	// Peer opens another handle of the registry that s is a handle of, as another process would. Nil: there are no others.
	Peer func(t *testing.T, s discovery.Splitter) discovery.Splitter
	// NoAll says that watching the empty name finds nothing, for the registry cannot list services.
	NoAll bool
}

// RunSplits tests a registry that holds split rules. Each call of open returns a fresh and empty one.
func RunSplits(t *testing.T, open func(t *testing.T) discovery.Splitter, limits SplitLimits) {
	s := &splitSuite{open: open, limits: limits}
	for _, c := range []struct {
		name string
		test func(*testing.T)
	}{
		{"Empty", s.empty},
		{"SetThenWatch", s.setThenWatch},
		{"WatchThenSet", s.watchThenSet},
		{"EveryField", s.everyField},
		{"Services", s.services},
		{"Malformed", s.malformed},
		{"SnapshotsAreTheCallees", s.snapshots},
		{"Peer", s.peer},
	} {
		t.Run(c.name, c.test)
	}
}

type splitSuite struct {
	open   func(t *testing.T) discovery.Splitter
	limits SplitLimits
}

func split(service string, percent float64) discovery.Split {
	return discovery.Split{Service: service, Shares: []discovery.SplitShare{{Version: "v1", Percent: 100 - percent}, {Version: "v2", Percent: percent}}}
}

func set(t *testing.T, s discovery.Splitter, split discovery.Split) {
	t.Helper()
	if err := s.SetSplit(t.Context(), split); err != nil {
		t.Fatal(err)
	}
}

func isSplit(want ...discovery.Split) func([]discovery.Split) bool {
	return func(list []discovery.Split) bool {
		if len(list) != len(want) {
			return false
		}
		for i := range list {
			if list[i].Service != want[i].Service || list[i].String() != want[i].String() {
				return false
			}
		}
		return true
	}
}

func (s *splitSuite) empty(t *testing.T) {
	reg := s.open(t)
	WatchSplits(t, reg, "cart").Until("there is nothing", isSplit())
	set(t, reg, discovery.Split{Service: "cart"}) // to take away what is not there is no error
}

func (s *splitSuite) setThenWatch(t *testing.T) {
	reg := s.open(t)
	set(t, reg, split("cart", 5))
	WatchSplits(t, reg, "cart").Until("it is there", isSplit(split("cart", 5)))
}

func (s *splitSuite) watchThenSet(t *testing.T) {
	reg := s.open(t)
	w := WatchSplits(t, reg, "cart")
	w.Until("there is nothing", isSplit())
	for _, percent := range []float64{5, 50, 100} {
		set(t, reg, split("cart", percent))
		w.Until("it changed", isSplit(split("cart", percent)))
	}
	set(t, reg, discovery.Split{Service: "cart"})
	w.Until("it is gone", isSplit())
	set(t, reg, split("cart", 1))
	w.Until("it is back", isSplit(split("cart", 1)))
}

func (s *splitSuite) everyField(t *testing.T) {
	reg := s.open(t)
	want, err := discovery.ParseSplit([]byte(`{"record":1,"service":"cart","match":[{"header":"x-canary","value":"a \"b\" ü","version":"v2+1"}],` +
		`"shares":[{"version":"v1","percent":99.5},{"version":"v2+1","percent":0.5}],"sticky":"x-user","strict":true,"later":{"x":[1]}}`))
	if err != nil {
		t.Fatal(err)
	}
	set(t, reg, want)
	got := WatchSplits(t, reg, "cart").Until("it is there", isSplit(want))[0]
	a, errA := got.Record()
	b, errB := want.Record()
	if errA != nil || errB != nil || !sameJSON(a, b) {
		t.Errorf("got  %s\nwant %s", a, b)
	}
}

func sameJSON(a, b []byte) bool {
	var x, y any
	return json.Unmarshal(a, &x) == nil && json.Unmarshal(b, &y) == nil && reflect.DeepEqual(x, y)
}

func (s *splitSuite) services(t *testing.T) {
	reg := s.open(t)
	cart, all := WatchSplits(t, reg, "cart"), WatchSplits(t, reg, "")
	set(t, reg, split("catalog", 5))
	set(t, reg, split("cart", 7))
	cart.Until("its own is there", isSplit(split("cart", 7)))
	if s.limits.NoAll {
		return
	}
	all.Until("both are there", isSplit(split("cart", 7), split("catalog", 5)))
	set(t, reg, discovery.Split{Service: "cart"})
	all.Until("one is gone", isSplit(split("catalog", 5)))
}

func (s *splitSuite) malformed(t *testing.T) {
	reg := s.open(t)
	set(t, reg, split("cart", 5))
	wrong := split("cart", 7)
	wrong.Shares[0].Percent = 1
	for _, bad := range []discovery.Split{wrong, {Service: "Cart"}, {}} {
		if err := reg.SetSplit(t.Context(), bad); err == nil {
			t.Errorf("%+v: no error", bad)
		}
	}
	WatchSplits(t, reg, "cart").Until("it is as it was", isSplit(split("cart", 5)))
	if err := reg.WatchSplits(t.Context(), "No Name", func([]discovery.Split) {}); err == nil {
		t.Error("watch of a malformed name: no error")
	}
}

func (s *splitSuite) snapshots(t *testing.T) {
	reg := s.open(t)
	mine := split("cart", 5)
	set(t, reg, mine)
	mine.Shares[0].Version = "mine"
	got := WatchSplits(t, reg, "cart").Until("it is there", isSplit(split("cart", 5)))
	got[0].Shares[0].Version = "changed"
	WatchSplits(t, reg, "cart").Until("it is as it was", isSplit(split("cart", 5)))
}

func (s *splitSuite) peer(t *testing.T) {
	if s.limits.Peer == nil {
		t.Skip("there are no others")
	}
	reg := s.open(t)
	peer := s.limits.Peer(t, reg)
	mine, theirs := WatchSplits(t, reg, "cart"), WatchSplits(t, peer, "cart")
	set(t, reg, split("cart", 5))
	theirs.Until("they see mine", isSplit(split("cart", 5)))
	set(t, peer, split("cart", 7))
	mine.Until("I see theirs", isSplit(split("cart", 7)))
	mine.Stop()
	theirs.Stop()
	WatchSplits(t, peer, "cart").Until("it stays when nobody watches", isSplit(split("cart", 7)))
	set(t, peer, discovery.Split{Service: "cart"})
	WatchSplits(t, reg, "cart").Until("it is gone", isSplit())
}
