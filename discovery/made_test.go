package discovery_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/discovery/discoverytest"
)

// The registries that are made of others, or of text.

func TestStatic(t *testing.T) {
	discoverytest.RunReadOnly(t, func(_ *testing.T, services map[string][]string) discovery.Registry {
		return discovery.Static(services)
	}, discoverytest.Limits{})
	err := discovery.Static{"cart": {"cart"}}.Watch(t.Context(), "cart", func([]discovery.Instance) {})
	if err == nil || !strings.Contains(err.Error(), `service cart: endpoint "cart"`) {
		t.Errorf("malformed address: %v", err)
	}
}

func TestFirstIsARegistrar(t *testing.T) {
	discoverytest.Run(t, func(t *testing.T) discovery.Registrar {
		return discovery.First(new(discovery.Memory), discovery.Static{"static": {"127.0.0.1:1"}}, new(discovery.Memory)).(discovery.Registrar)
	}, discoverytest.Limits{NoAll: true}) // for what is static is there too
	discoverytest.RunReadOnly(t, func(_ *testing.T, services map[string][]string) discovery.Registry {
		return discovery.First(discovery.Static(nil), discovery.Static(services), discovery.Static{"cart": {"127.0.0.9:1"}})
	}, discoverytest.Limits{})
}

func TestFirstWins(t *testing.T) {
	var mem discovery.Memory
	reg := discovery.First(&mem, discovery.Static{"cart": {"10.0.0.1:1"}, "catalog": {"10.0.0.2:1"}})
	cart, all := discoverytest.Watch(t, reg, "cart"), discoverytest.Watch(t, reg, "")
	cart.Until("cart is static", endpoints("tcp://10.0.0.1:1"))
	spoil := all.Until("both are static", endpoints("tcp://10.0.0.1:1", "tcp://10.0.0.2:1"))
	spoil[1].Endpoints[0] = "spoiled" // the callee's own: the next snapshot has it as it was
	lease, err := mem.Register(t.Context(), discovery.Instance{Service: "cart", ID: "c1", State: discovery.Ready, Endpoints: []string{"tcp://10.0.0.3:1"}})
	if err != nil {
		t.Fatal(err)
	}
	cart.Until("the announced one wins", endpoints("tcp://10.0.0.3:1"))
	all.Until("the announced one wins", endpoints("tcp://10.0.0.3:1", "tcp://10.0.0.2:1"))
	if err := lease.Close(); err != nil {
		t.Fatal(err)
	}
	cart.Until("cart is static again", endpoints("tcp://10.0.0.1:1"))
}

// slowRegistry says nothing until it may.
type slowRegistry struct {
	may  chan struct{}
	list discovery.Static
}

func (r slowRegistry) Watch(ctx context.Context, service string, notify func([]discovery.Instance)) error {
	select {
	case <-r.may:
	case <-ctx.Done():
		return nil
	}
	return r.list.Watch(ctx, service, notify)
}

// A later registry must not get calls because an earlier one is slow to speak.
func TestFirstWaitsForTheFirst(t *testing.T) {
	slow := slowRegistry{may: make(chan struct{}), list: discovery.Static{"cart": {"10.0.0.1:1"}}}
	spoke := make(chan struct{})
	second := spokenRegistry{discovery.Static{"cart": {"10.0.0.2:1"}}, spoke}
	w := discoverytest.Watch(t, discovery.First(slow, second), "cart")
	<-spoke
	close(slow.may)
	if first := w.First(); !endpoints("tcp://10.0.0.1:1")(first) {
		t.Errorf("first snapshot: %v, want that of the first registry", first)
	}
}

// spokenRegistry tells when its first notification is over.
type spokenRegistry struct {
	discovery.Static
	spoke chan struct{}
}

func (r spokenRegistry) Watch(ctx context.Context, service string, notify func([]discovery.Instance)) error {
	return r.Static.Watch(ctx, service, func(l []discovery.Instance) { notify(l); close(r.spoke) })
}

// brokenRegistrar fails in all that it is asked for.
type brokenRegistrar struct{}

var errBroken = errors.New("broken")

func (brokenRegistrar) Watch(context.Context, string, func([]discovery.Instance)) error {
	return errBroken
}
func (brokenRegistrar) Scope() discovery.Scope { return discovery.ScopeNetwork }
func (brokenRegistrar) Register(context.Context, discovery.Instance) (discovery.Lease, error) {
	return nil, errBroken
}

func TestFirstOfABrokenOne(t *testing.T) {
	var mem discovery.Memory
	reg := discovery.First(&mem, brokenRegistrar{}).(discovery.Registrar)
	if scope := reg.Scope(); scope != discovery.ScopeNetwork {
		t.Errorf("scope %v, want the widest", scope)
	}
	if _, err := reg.Register(t.Context(), discovery.Instance{Service: "cart", ID: "c1", State: discovery.Ready}); !errors.Is(err, errBroken) {
		t.Errorf("Register: %v, want that of the broken one", err)
	}
	if list := discoverytest.Watch(t, &mem, "").First(); len(list) != 0 {
		t.Errorf("announced in one of two: %v", list)
	}
	if err := reg.Watch(t.Context(), "cart", func([]discovery.Instance) {}); !errors.Is(err, errBroken) {
		t.Errorf("Watch: %v, want that of the broken one", err)
	}
}

func TestFirstOfFew(t *testing.T) {
	if list := discoverytest.Watch(t, discovery.First(), "cart").First(); len(list) != 0 {
		t.Errorf("First of none: %v", list)
	}
	if _, ok := discovery.First(discovery.Static{}, discovery.Static{}).(discovery.Registrar); ok {
		t.Error("First of no Registrar is one")
	}
	var mem discovery.Memory
	if discovery.First(&mem) != discovery.Registry(&mem) {
		t.Error("First of one is another")
	}
}

func TestTargets(t *testing.T) {
	targets := func(t *testing.T, targets map[string]string, base discovery.Registry) discovery.Registry {
		t.Helper()
		reg, err := discovery.Targets(targets, base)
		if err != nil {
			t.Fatal(err)
		}
		return reg
	}
	discoverytest.Run(t, func(t *testing.T) discovery.Registrar {
		return targets(t, map[string]string{"other": "10.0.0.9:1"}, new(discovery.Memory)).(discovery.Registrar)
	}, discoverytest.Limits{NoAll: true}) // for the target is there too
	discoverytest.RunReadOnly(t, func(t *testing.T, services map[string][]string) discovery.Registry {
		return targets(t, map[string]string{"catalog": services["catalog"][0]}, discovery.Static{"cart": services["cart"], "catalog": {"10.0.0.9:1"}})
	}, discoverytest.Limits{})

	if reg := targets(t, nil, discovery.Static{}); fmt.Sprint(reg) != "static:" {
		t.Errorf("no targets: %v, want base itself", reg)
	}
	w := discoverytest.Watch(t, targets(t, map[string]string{"cart": "10.0.0.1:1,10.0.0.2:2"}, nil), "")
	w.Until("the target is there", endpoints("tcp://10.0.0.1:1", "tcp://10.0.0.2:2"))
	for _, c := range []struct{ name, target, want string }{
		{"Cart", "10.0.0.1:1", `"Cart"`},
		{"cart", "10.0.0.1", `target of cart: "10.0.0.1"`},
	} {
		if _, err := discovery.Targets(map[string]string{c.name: c.target}, nil); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s=%s: %v, want an error with %s", c.name, c.target, err, c.want)
		}
	}
}

func TestParseTarget(t *testing.T) {
	for target, want := range map[string]string{
		"10.0.0.1:80":             "tcp://10.0.0.1:80",
		"cart.example.com:80":     "tcp://cart.example.com:80",
		"localhost:80":            "tcp://localhost:80",
		"[::1]:80":                "tcp://[::1]:80",
		":80":                     "tcp://localhost:80",
		"tcp://10.0.0.1:80":       "tcp://10.0.0.1:80",
		"10.0.0.1:80, a:81":       "tcp://10.0.0.1:80 tcp://a:81",
		"a:80,b:81":               "tcp://a:80 tcp://b:81",
		"static:10.0.0.1:80,a:81": "tcp://10.0.0.1:80 tcp://a:81",
		"unix:///run/cart.sock":   "unix:///run/cart.sock",
		"unix:/run/cart.sock":     "unix:///run/cart.sock",
		"dns:///127.0.0.1:80":     "tcp://127.0.0.1:80",
		"dns:127.0.0.1:80":        "tcp://127.0.0.1:80",
	} {
		t.Run(target, func(t *testing.T) {
			reg, err := discovery.ParseTarget(target)
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{"cart", "", "any name"} {
				discoverytest.Watch(t, reg, name).Until("it is "+want, endpoints(strings.Fields(want)...))
			}
		})
	}
	for target, want := range map[string]string{
		"":                   "not host:port",
		"cart":               "not host:port",
		"cart:":              "unknown scheme",
		"cart:0":             "1 to 65535",
		"cart:99999":         "1 to 65535",
		"unix:cart.sock":     "must be absolute",
		"unix://cart.sock":   "must be absolute",
		"dns://cart:80":      "three slashes",
		"dns:///cart":        "not host:port",
		"dns:///_grpc:80":    "SRV",
		"dns://a:b/cart:80":  "from 1 to 65535",
		"dsn:///cart:80":     `did you mean "dns"`,
		"etcd://cart:80/x":   "unknown scheme",
		"static:":            "not host:port",
		"http://cart:80/x/y": "unknown scheme",
	} {
		if _, err := discovery.ParseTarget(target); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want an error with %q", target, err, want)
		}
	}
}

func TestParse(t *testing.T) {
	schemes := discovery.Schemes{"etcd": func(url string) (discovery.Registry, error) {
		return discovery.Static{"from": {url}}, nil
	}}
	for url, want := range map[string]string{
		"local:":                               "local:default",
		"local:shop":                           "local:shop",
		"local:/srv/registry":                  "local:/srv/registry",
		"local:///srv/registry/":               "local:/srv/registry",
		"memory:":                              "memory:",
		"static:cart=a:1,catalog=b:2,cart=c:3": "static:cart=a:1,cart=c:3,catalog=b:2",
		"static:cart=unix:///run/x.sock":       "static:cart=unix:///run/x.sock",
		"dns:///{service}.svc:8443":            "dns:///{service}.svc:8443",
		"dns://10.0.0.2/{service}.svc:8443":    "dns://10.0.0.2:53/{service}.svc:8443",
		"dns://[::1]/{service}.svc:8443":       "dns://[::1]:53/{service}.svc:8443",
		"dns://[::1]:54/{service}.svc:8443":    "dns://[::1]:54/{service}.svc:8443",
		"dns:///_grpc._tcp.{service}.svc":      "dns:///_grpc._tcp.{service}.svc",
		"etcd://host:2379/x":                   "static:from=etcd://host:2379/x",
	} {
		if reg, err := discovery.Parse(url, schemes); err != nil || fmt.Sprint(reg) != want {
			t.Errorf("%s: %v, %v; want %s", url, reg, err, want)
		}
	}
	for url, want := range map[string]string{
		"":                         "known are dns, etcd, local, memory, static",
		"locl:":                    "did you mean local:?",
		"edcd://x":                 "did you mean etcd:?",
		"consul://x":               `unknown scheme "consul"`,
		"local:a b":                "want up to 64 letters",
		"local:a/b":                "absolute path",
		"memory:x":                 "nothing more",
		"static:":                  "SERVICE=ADDRESS",
		"static:cart":              "SERVICE=ADDRESS",
		"static:Cart=a:1":          `"Cart"`,
		"static:cart=a":            `service cart: endpoint "a"`,
		"dns:///cart:80":           "{service}",
		"dns:///{service}":         "not host:port",
		"dns://{service}.svc:8443": "three slashes",
	} {
		if _, err := discovery.Parse(url, schemes); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want an error with %q", url, err, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"local:shop", "static:cart=a:1,b=[::1]:2", "dns:///{service}.svc:8443", "unix:///x", "a:1,b:2", "dns://[::1/x:1", "tcp://h:1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if reg, err := discovery.Parse(s, nil); (reg == nil) == (err == nil) {
			t.Errorf("Parse(%q) = %v, %v", s, reg, err)
		}
		reg, err := discovery.ParseTarget(s)
		if (reg == nil) == (err == nil) {
			t.Errorf("ParseTarget(%q) = %v, %v", s, reg, err)
		}
		if _, dns := reg.(*discovery.DNS); err == nil && !dns {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if err := reg.Watch(ctx, "cart", func([]discovery.Instance) { cancel() }); err != nil {
				t.Errorf("ParseTarget(%q) is good, but %v", s, err)
			}
		}
	})
}

func ExampleParseTarget() {
	registry, err := discovery.ParseTarget("10.0.0.7:8443,10.0.0.8:8443")
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	err = registry.Watch(ctx, "cart", func(instances []discovery.Instance) {
		for _, inst := range instances {
			fmt.Println(inst.Endpoints[0])
		}
		cancel()
	})
	if err != nil {
		fmt.Println(err)
	}
	// Output:
	// tcp://10.0.0.7:8443
	// tcp://10.0.0.8:8443
}
