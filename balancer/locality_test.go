package balancer_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hanse-go/hanse/balancer"
	"github.com/hanse-go/hanse/discovery"
)

// at returns a candidate at a place, of a weight.
func at(id, host, zone string, weight int) *balancer.Candidate {
	return &balancer.Candidate{Instance: discovery.Instance{ID: id, Host: host, Zone: zone, Weight: weight}}
}

// chosen tells how often each of the candidates is chosen in n calls that end at once.
func chosen(policy balancer.Policy, from balancer.Locality, list []*balancer.Candidate, n int) map[string]float64 {
	tiers, chooser := from.Tiers(list), policy.NewChooser()
	shares := make(map[string]float64)
	for range n {
		shares[chooser.Choose(context.Background(), "/m", "", tiers).Instance.ID] += 1 / float64(n)
	}
	return shares
}

func TestLocality(t *testing.T) {
	here := balancer.Locality{Host: "h", Zone: "z"}
	for _, test := range []struct {
		name string
		from balancer.Locality
		list []*balancer.Candidate
		want map[string]float64
	}{
		{"own host", here, []*balancer.Candidate{at("a", "g", "z", 1), at("b", "h", "z", 1), at("c", "h", "z", 1)}, map[string]float64{"b": 0.5, "c": 0.5}},
		{"own zone", here, []*balancer.Candidate{at("a", "g", "z", 1), at("b", "f", "y", 1)}, map[string]float64{"a": 1}},
		{"far away", here, []*balancer.Candidate{at("a", "g", "y", 1), at("b", "f", "", 1)}, map[string]float64{"a": 0.5, "b": 0.5}},
		{"nowhere", balancer.Locality{}, []*balancer.Candidate{at("a", "", "", 1), at("b", "h", "z", 1)}, map[string]float64{"a": 0.5, "b": 0.5}},
		{"host before zone", here, []*balancer.Candidate{at("a", "g", "z", 9), at("b", "h", "z", 1), at("c", "f", "y", 9)}, map[string]float64{"b": 1}},
		{"nearly its share", here, []*balancer.Candidate{at("a", "", "z", 4), at("b", "", "y", 5), at("c", "", "x", 5)}, map[string]float64{"a": 1}},
		// A third of the calls comes from here, and 1 of 9 parts of the capacity is here: 1.25 * 3/9 of them stay.
		{"too little capacity", here, []*balancer.Candidate{at("a", "", "z", 1), at("b", "", "y", 4), at("c", "", "x", 4)}, map[string]float64{"a": 0.417, "b": 0.292, "c": 0.292}},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := chosen(balancer.Policy{}, test.from, test.list, 20000)
			for _, c := range test.list {
				id := c.Instance.ID
				if d := got[id] - test.want[id]; d > 0.02 || d < -0.02 {
					t.Errorf("shares %v, want %v", got, test.want)
					break
				}
			}
		})
	}
	got := chosen(balancer.Policy{NoLocality: true}, here, []*balancer.Candidate{at("a", "h", "z", 1), at("b", "f", "y", 1)}, 2000)
	if got["b"] < 0.4 {
		t.Errorf("NoLocality: shares %v", got)
	}
	got = chosen(balancer.Policy{Picker: func() balancer.Picker { return new(balancer.ConsistentHash) }}, here, []*balancer.Candidate{at("a", "h", "z", 1), at("b", "f", "y", 1)}, 2000)
	if got["b"] < 0.4 {
		t.Errorf("consistent hash: shares %v", got)
	}
}

// Calls leave a zone whose instances have too much to do, and come back.
func TestCallsSpillOver(t *testing.T) {
	for _, near := range []balancer.Locality{{Host: "h"}, {Zone: "z"}} {
		synctest.Test(t, func(t *testing.T) {
			const ms = time.Millisecond
			here, there := newServer("here", 0, 5*ms), newServer("there", 0, 6*ms)
			here.Instance.Host, here.Instance.Zone = "h", "z"
			there.Instance.Zone = "y"
			servers := []*server{here, there}
			tiers, chooser := near.Tiers(candidates(servers)), balancer.Policy{}.NewChooser()
			spread := chooserPicker{chooser, tiers}
			between(t, "quiet", load(spread, servers, 8, 500, ms), 1, 0, 0)
			here.latency = func(int) time.Duration { return time.Second } // overloaded
			between(t, "overload", openLoad(spread, servers, 4000, ms), 1, 0.9, 1)
			here.latency = func(int) time.Duration { return 5 * ms }
			load(spread, servers, 8, 2000, 10*ms)
			between(t, "after it", load(spread, servers, 8, 500, ms), 1, 0, 0)
		})
	}
}

// chooserPicker lets a chooser be loaded as a picker is.
type chooserPicker struct {
	*balancer.Chooser
	tiers *balancer.Tiers
}

func (p chooserPicker) Pick([]*balancer.Candidate) *balancer.Candidate {
	return p.Choose(context.Background(), "/m", "", p.tiers)
}

func TestWarmUp(t *testing.T) {
	for name, newPicker := range map[string]func() balancer.Picker{
		"P2C":        nil,
		"RoundRobin": func() balancer.Picker { return new(balancer.RoundRobin) },
		"Weighted":   func() balancer.Picker { return new(balancer.Weighted) },
		"Random":     func() balancer.Picker { return new(balancer.Random) },
	} {
		synctest.Test(t, func(t *testing.T) {
			old := []*balancer.Candidate{at("a", "", "", 1), at("b", "", "", 1), at("c", "", "", 1)}
			fresh := at("new", "", "", 1)
			fresh.Born = time.Now()
			list := append(old, fresh)
			policy := balancer.Policy{Picker: newPicker, WarmUp: 10 * time.Second}
			for _, step := range []struct{ least, most float64 }{{0.01, 0.06}, {0.05, 0.12}, {0.09, 0.18}, {0.14, 0.24}, {0.17, 0.27}, {0.22, 0.28}} {
				if share := chosen(policy, balancer.Locality{}, list, 10000)["new"]; share < step.least || share > step.most {
					t.Errorf("%s: after %v the new one gets %.3f, want %.2f to %.2f", name, time.Since(fresh.Born), share, step.least, step.most)
				}
				time.Sleep(2 * time.Second)
			}
			if share := chosen(policy, balancer.Locality{}, []*balancer.Candidate{fresh, at("d", "", "", 1)}, 10000)["new"]; share < 0.47 {
				t.Errorf("%s: warm: %.3f", name, share)
			}
			// When all are new they share as ever.
			for _, c := range list {
				c.Born = time.Now()
			}
			if share := chosen(policy, balancer.Locality{}, list, 10000)["new"]; share < 0.22 || share > 0.28 {
				t.Errorf("%s: all are new: %.3f", name, share)
			}
		})
	}
}

func TestFilter(t *testing.T) {
	inst := discovery.Instance{Version: "v2", Metadata: map[string]string{"colour": "green", "empty": ""}}
	for _, test := range []struct {
		filter balancer.Filter
		want   bool
		text   string
	}{
		{balancer.Filter{}, true, ""},
		{balancer.Filter{Version: "v2"}, true, "version=v2"},
		{balancer.Filter{Version: "v1"}, false, "version=v1"},
		{balancer.Filter{Labels: map[string]string{"colour": "green"}}, true, "colour=green"},
		{balancer.Filter{Labels: map[string]string{"colour": "green", "size": "1"}}, false, "colour=green size=1"},
		{balancer.Filter{Labels: map[string]string{"size": ""}}, false, "size="},
		{balancer.Filter{Labels: map[string]string{"empty": ""}}, true, "empty="},
		{balancer.Filter{Version: "v2", Labels: map[string]string{"colour": "red"}}, false, "version=v2 colour=red"},
	} {
		if got := test.filter.Admits(&inst); got != test.want {
			t.Errorf("%q: %t", test.text, got)
		}
		if got := test.filter.String(); got != test.text {
			t.Errorf("%q, want %q", got, test.text)
		}
		if got := test.filter.IsZero(); got != (test.text == "") {
			t.Errorf("%q: zero %t", test.text, got)
		}
	}
}

// A chooser keeps the turns of each version apart, and forgets those of versions that are long gone.
func TestChooserByVersion(t *testing.T) {
	made := 0
	c := balancer.Policy{Picker: func() balancer.Picker { made++; return new(balancer.RoundRobin) }}.NewChooser()
	one := balancer.Locality{}.Tiers([]*balancer.Candidate{at("a", "", "", 1), at("b", "", "", 1)})
	two := balancer.Locality{}.Tiers([]*balancer.Candidate{at("c", "", "", 1), at("d", "", "", 1)})
	var got string
	for range 4 {
		for _, v := range []string{"v1", "v2"} {
			from := map[string]*balancer.Tiers{"v1": one, "v2": two}[v]
			got += c.Choose(t.Context(), "/m", v, from).Instance.ID
		}
	}
	if got != "acbdacbd" {
		t.Error(got)
	}
	before := made
	for i := range 200 {
		c.Choose(t.Context(), "/m", fmt.Sprint("v", i%10), one)
	}
	if made != before+3*8 { // v1 and v2 were there
		t.Errorf("%d pickers made", made-before)
	}
	for i := range 200 {
		c.Choose(t.Context(), "/m", fmt.Sprint("w", i), one)
	}
	if (balancer.Policy{}).NewChooser().Choose(t.Context(), "/m", "", new(balancer.Tiers)) != nil {
		t.Error("chosen among none")
	}
}
