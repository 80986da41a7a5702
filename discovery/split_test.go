package discovery_test

import (
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/discovery/discoverytest"
)

func canary(service string, percent float64) discovery.Split {
	return discovery.Split{Service: service, Shares: []discovery.SplitShare{{Version: "v1", Percent: 100 - percent}, {Version: "v2", Percent: percent}}}
}

func TestSplitters(t *testing.T) {
	t.Run("memory", func(t *testing.T) {
		discoverytest.RunSplits(t, func(*testing.T) discovery.Splitter { return new(discovery.Memory) }, discoverytest.SplitLimits{})
	})
	t.Run("local", func(t *testing.T) {
		discoverytest.RunSplits(t, func(t *testing.T) discovery.Splitter {
			return &discovery.Local{Dir: filepath.Join(t.TempDir(), "registry")}
		}, discoverytest.SplitLimits{
			Peer: func(t *testing.T, s discovery.Splitter) discovery.Splitter {
				return &discovery.Local{Dir: s.(*discovery.Local).Dir}
			},
		})
	})
	t.Run("first", func(t *testing.T) {
		discoverytest.RunSplits(t, func(t *testing.T) discovery.Splitter {
			return discovery.First(discovery.Static{"cart": {"127.0.0.1:1"}}, new(discovery.Memory), new(discovery.Memory)).(discovery.Splitter)
		}, discoverytest.SplitLimits{})
	})
	t.Run("targets", func(t *testing.T) {
		discoverytest.RunSplits(t, func(t *testing.T) discovery.Splitter {
			r, err := discovery.Targets(map[string]string{"other": "127.0.0.1:1"}, new(discovery.Memory))
			if err != nil {
				t.Fatal(err)
			}
			return r.(discovery.Splitter)
		}, discoverytest.SplitLimits{})
	})
}

func TestSplitRecord(t *testing.T) {
	split := discovery.Split{
		Service: "cart", Sticky: "x-user", Strict: true,
		Match:  []discovery.SplitMatch{{Header: "x-canary", Value: "1", Version: "v2"}, {Header: "x-any", Version: "v3"}},
		Shares: []discovery.SplitShare{{Version: "v1", Percent: 99.9}, {Version: "v2", Percent: 0.1}},
	}
	data, err := split.Record()
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"record":1,"service":"cart","match":[{"header":"x-canary","value":"1","version":"v2"},{"header":"x-any","version":"v3"}],` +
		`"shares":[{"version":"v1","percent":99.9},{"version":"v2","percent":0.1}],"sticky":"x-user","strict":true}`
	if string(data) != want {
		t.Errorf("got  %s\nwant %s", data, want)
	}
	if got, err := discovery.ParseSplit(data); err != nil || !reflect.DeepEqual(got, split) {
		t.Errorf("%+v, %v", got, err)
	}
	if got := split.String(); got != "x-canary=1:v2 x-any:v3 v1=99.9 v2=0.1 sticky by x-user strict" {
		t.Error(got)
	}
	if got := split.Versions(); !reflect.DeepEqual(got, []string{"v1", "v2", "v3"}) {
		t.Error(got)
	}
}

func TestSplitRecordKeepsUnknownFields(t *testing.T) {
	split, err := discovery.ParseSplit([]byte(`{"record":1,"service":"cart","shares":[{"version":"v1","percent":100}],"mirror":"v3"}`))
	if err != nil {
		t.Fatal(err)
	}
	split = split.Clone()
	split.Shares = canary("", 5).Shares
	data, err := split.Record()
	var got map[string]any
	if err != nil || json.Unmarshal(data, &got) != nil || got["mirror"] != "v3" || len(got) != 4 {
		t.Errorf("%s, %v", data, err)
	}
	if _, err := discovery.ParseSplit([]byte(`{"record":2,"service":"cart"}`)); !errors.Is(err, discovery.ErrRecordVersion) {
		t.Error(err)
	}
}

func TestSplitMistakes(t *testing.T) {
	share := func(version string, percent float64) discovery.SplitShare {
		return discovery.SplitShare{Version: version, Percent: percent}
	}
	for _, test := range []struct {
		split discovery.Split
		want  string
	}{
		{discovery.Split{Service: "Cart"}, "Cart"},
		{discovery.Split{Service: "cart", Shares: []discovery.SplitShare{share("v1", 90), share("v2", 9)}}, "add up to 99, not to 100"},
		{discovery.Split{Service: "cart", Shares: []discovery.SplitShare{share("v1", 50), share("v1", 50)}}, "v1 has two shares"},
		{discovery.Split{Service: "cart", Shares: []discovery.SplitShare{share("v1", 110), share("v2", -10)}}, "110 of v1"},
		{discovery.Split{Service: "cart", Shares: []discovery.SplitShare{share("", 100)}}, "no version"},
		{discovery.Split{Service: "cart", Match: []discovery.SplitMatch{{Header: "x"}}}, "no version"},
		{discovery.Split{Service: "cart", Match: []discovery.SplitMatch{{Version: "v1"}}}, "empty"},
		{discovery.Split{Service: "cart", Match: []discovery.SplitMatch{{Header: "X", Version: "v1"}}}, "small letters"},
		{discovery.Split{Service: "cart", Match: []discovery.SplitMatch{{Header: "grpc-x", Version: "v1"}}}, "grpc-"},
		{discovery.Split{Service: "cart", Sticky: "x-bin"}, "-bin"},
	} {
		if err := test.split.Validate(); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%+v: %v, want %q", test.split, err, test.want)
		}
		if err := new(discovery.Memory).SetSplit(t.Context(), test.split); err == nil {
			t.Errorf("%+v was set", test.split)
		}
	}
	for text, want := range map[string]string{
		"x-canary=1:v2": "x-canary=1:v2", "X-Canary:v2": "x-canary:v2", "x=a=b:v2": "x=a=b:v2", "x=http://h:v2": "x=http://h:v2",
		"x": "want KEY=VALUE:VERSION", "x=1:": "no version", "=1:v2": "empty", "x y:v2": "small letters",
	} {
		m, err := discovery.ParseSplitMatch(text)
		if err != nil {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %s", text, err, want)
			}
		} else if m.String() != want {
			t.Errorf("%s: %v, want %s", text, m, want)
		}
	}
}

func TestNoPlaceForSplits(t *testing.T) {
	static := discovery.Static{"cart": {"127.0.0.1:1"}}
	if _, ok := discovery.Registry(static).(discovery.Splitter); ok {
		t.Error("static addresses hold rules")
	}
	registry := discovery.First(static, discovery.Static{}).(discovery.Splitter)
	if err := registry.SetSplit(t.Context(), canary("cart", 5)); !errors.Is(err, errors.ErrUnsupported) || !strings.Contains(err.Error(), "static:cart=") {
		t.Error(err)
	}
	discoverytest.WatchSplits(t, registry, "cart").Until("nothing", func(s []discovery.Split) bool { return len(s) == 0 })

	// The first that has rules says what they are.
	a, b := new(discovery.Memory), new(discovery.Memory)
	both := discovery.First(a, static, b).(discovery.Splitter)
	w := discoverytest.WatchSplits(t, both, "cart")
	for _, step := range []struct {
		in   *discovery.Memory
		set  discovery.Split
		want float64
	}{{b, canary("cart", 5), 5}, {a, canary("cart", 7), 7}, {b, canary("cart", 9), 7}, {a, discovery.Split{Service: "cart"}, 9}} {
		if err := step.in.SetSplit(t.Context(), step.set); err != nil {
			t.Fatal(err)
		}
		w.Until("the right one", func(s []discovery.Split) bool { return len(s) == 1 && s[0].Shares[1].Percent == step.want })
	}

	// A caller that says where a service is asks nobody.
	targets, err := discovery.Targets(map[string]string{"cart": "127.0.0.1:1"}, b)
	if err != nil {
		t.Fatal(err)
	}
	none := func(s []discovery.Split) bool { return len(s) == 0 }
	discoverytest.WatchSplits(t, targets.(discovery.Splitter), "cart").Until("nothing", none)
	discoverytest.WatchSplits(t, targets.(discovery.Splitter), "").Until("nothing", none)
}

// Rules that cannot be understood change nothing; those that are gone count no more.
func TestLocalSplitFiles(t *testing.T) {
	var log syncBuffer
	local := &discovery.Local{Dir: filepath.Join(t.TempDir(), "registry"), Logger: slog.New(slog.NewTextHandler(&log, nil))}
	w := discoverytest.WatchSplits(t, local, "")
	if err := local.SetSplit(t.Context(), canary("cart", 5)); err != nil {
		t.Fatal(err)
	}
	w.Until("set", func(s []discovery.Split) bool { return len(s) == 1 })
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(local.Dir, "splits", name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("cart.json", `{"record":9}`)
	write("README", "x")
	write("catalog.json", `{"record":1,"service":"shop","shares":[{"version":"v1","percent":100}]}`)
	write("shop.json", `{"record":1,"service":"shop","shares":[{"version":"v1","percent":100}]}`)
	if got := w.Until("the others", func(s []discovery.Split) bool { return len(s) == 2 && s[1].Service == "shop" }); got[0].Shares[1].Percent != 5 {
		t.Errorf("%v", got)
	}
	for _, want := range []string{"cart.json", "newer version", "catalog.json", "split of shop"} {
		if text := log.String(); !strings.Contains(text, want) {
			t.Errorf("the log lacks %q: %s", want, text)
		}
	}
	if err := os.Remove(filepath.Join(local.Dir, "splits", "cart.json")); err != nil {
		t.Fatal(err)
	}
	w.Until("gone", func(s []discovery.Split) bool { return len(s) == 1 })
	if list, err := os.ReadDir(filepath.Join(local.Dir, "splits")); err != nil || len(list) != 3 {
		t.Errorf("litter: %v, %v", list, err)
	}
}

func FuzzParseSplit(f *testing.F) {
	f.Add([]byte(`{"record":1,"service":"cart","shares":[{"version":"v1","percent":100}],"x":1}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		split, err := discovery.ParseSplit(data)
		if err != nil {
			return
		}
		again, err := split.Record()
		if err != nil {
			t.Fatal(err)
		}
		if same, err := discovery.ParseSplit(again); err != nil || same.String() != split.String() {
			t.Errorf("%s became %s: %v", data, again, err)
		}
	})
}
