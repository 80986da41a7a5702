package hanse

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hanse-go/hanse/balancer"
	"github.com/hanse-go/hanse/identity"
)

func TestSettings(t *testing.T) {
	for _, tt := range []struct {
		name string
		env  map[string]string
		app  *App
		want func(v *values) bool
		err  string
	}{
		{name: "services", env: map[string]string{"HANSE_SERVICES": "cart, checkout,"},
			want: func(v *values) bool { return slices.Equal(v.services, []string{"cart", "checkout"}) }},
		{name: "addr", env: map[string]string{"HANSE_ADDR": "127.0.0.1:1 cart=[::1]:2"}, app: &App{Addrs: map[string]string{"other": ":3"}},
			want: func(v *values) bool {
				return v.app.Addr == "127.0.0.1:1" && maps.Equal(v.app.Addrs, map[string]string{"cart": "[::1]:2", "other": ":3"})
			}},
		{name: "bad port", env: map[string]string{"HANSE_ADDR": "localhost:99999"}, err: `"99999" is no port: want a number from 0 to 65535`},
		{name: "bad addr", env: map[string]string{"HANSE_ADDR": "8443"}, err: `HANSE_ADDR=8443: "8443" is no HOST:PORT`},
		{name: "bad port", env: map[string]string{"HANSE_ADDR": ":65536"}, err: "want a number from 0 to 65535"},
		{name: "registry", env: map[string]string{"HANSE_REGISTRY": "static:cart=a:1 local:"},
			want: func(v *values) bool { return slices.Equal(v.registries, []string{"static:cart=a:1", "local:"}) }},
		{name: "target", env: map[string]string{"HANSE_TARGET": "cart=dns:///cart:1 db=unix:///db"},
			want: func(v *values) bool {
				return maps.Equal(v.app.Targets, map[string]string{"cart": "dns:///cart:1", "db": "unix:///db"})
			}},
		{name: "bad target", env: map[string]string{"HANSE_TARGET": "cart"}, err: "want SERVICE=TARGET"},
		{name: "bad target's name", env: map[string]string{"HANSE_TARGET": "Cart=x"}, err: "cannot be the name of a service"},
		{name: "balancer", env: map[string]string{"HANSE_BALANCER": "random cart=version=v2 version=v3,hash:x"}, err: `HANSE_BALANCER=random cart=version=v2 version=v3,hash:x: balancer: "version=v3,hash:x": unknown setting "hash:x"`},
		{name: "balancer", env: map[string]string{"HANSE_BALANCER": "version=v3 cart=hash:x"}, app: &App{Balancing: map[string]balancer.Policy{"db": {}}},
			want: func(v *values) bool {
				_, db := v.app.Balancing["db"]
				cart := v.app.Balancing["cart"].Picker
				return db && len(v.app.Balancing) == 3 && cart != nil && cart().(*balancer.ConsistentHash).Key == "x" && v.app.Balancing[""].Filter.Version == "v3"
			}},
		{name: "zone", env: map[string]string{"HANSE_ZONE": "eu-1"}, want: func(v *values) bool { return v.app.Zone == "eu-1" }},
		{name: "weight", env: map[string]string{"HANSE_WEIGHT": "3"}, want: func(v *values) bool { return v.app.Weight == 3 }},
		{name: "bad weight", env: map[string]string{"HANSE_WEIGHT": "0"}, err: "at least 1"},
		{name: "label", env: map[string]string{"HANSE_LABEL": "a=1 b="}, want: func(v *values) bool { return maps.Equal(v.app.Labels, map[string]string{"a": "1", "b": ""}) }},
		{name: "bad label", env: map[string]string{"HANSE_LABEL": "a"}, err: "want KEY=VALUE"},
		{name: "own label", env: map[string]string{"HANSE_LABEL": "http=x"}, err: "Hanse's own"},
		{name: "path", env: map[string]string{"HANSE_PATH": "unix"}, want: func(v *values) bool { return v.app.Path == "unix" }},
		{name: "bad path", env: map[string]string{"HANSE_PATH": "udp"}, err: "want inprocess, unix or tcp"},
		{name: "wire", env: map[string]string{"HANSE_WIRE": "grpc-go"}, want: func(v *values) bool { return v.app.wireName == "grpc-go" }},
		{name: "backplane", env: map[string]string{"HANSE_BACKPLANE": "nats://secret@a"}, want: func(v *values) bool { return v.app.Backplane == NATS("nats://secret@a") && !v.noBackplane }},
		{name: "no backplane", env: map[string]string{"HANSE_BACKPLANE": "off"}, app: &App{Backplane: NATS("nats://a")},
			want: func(v *values) bool { return v.app.Backplane == nil && v.noBackplane }},
		{name: "bad wire", env: map[string]string{"HANSE_WIRE": "smoke"}, err: "want hanse or grpc-go"},
		{name: "identity", env: map[string]string{"HANSE_IDENTITY": "/run/tls/{service}"}, want: func(v *values) bool {
			return v.files.Dir == "/run/tls/{service}" && v.app.Identity == v.files
		}},
		{name: "no identity", env: map[string]string{"HANSE_IDENTITY": "off"}, app: &App{Identity: new(identity.Files)},
			want: func(v *values) bool { return v.app.Identity == nil && v.noIdentity }},
		{name: "bad identity", env: map[string]string{"HANSE_IDENTITY": "cert=x"}, err: "both cert= and ca= are needed"},
		{name: "plain HTTP", env: map[string]string{"HANSE_PLAIN_HTTP": "false"}, want: func(v *values) bool { return !*v.app.PlainHTTP }},
		{name: "bad plain HTTP", env: map[string]string{"HANSE_PLAIN_HTTP": "maybe"}, err: "want true or false"},
		{name: "log level", env: map[string]string{"HANSE_LOG_LEVEL": "debug"}, want: func(v *values) bool { return slices.Equal(v.logLevels, []string{"debug"}) }},
		{name: "log levels", env: map[string]string{"HANSE_LOG_LEVEL": "cart=debug,warn"}, want: func(v *values) bool { return slices.Equal(v.logLevels, []string{"cart=debug,warn"}) }},
		{name: "bad log level", env: map[string]string{"HANSE_LOG_LEVEL": "loud"}, err: `no level "loud"`},
		{name: "log format", env: map[string]string{"HANSE_LOG_FORMAT": "json"}, want: func(v *values) bool { return v.logFormat == "json" }},
		{name: "bad log format", env: map[string]string{"HANSE_LOG_FORMAT": "xml"}, err: "want text or json"},
		{name: "drain timeout", env: map[string]string{"HANSE_DRAIN_TIMEOUT": "5s"}, want: func(v *values) bool { return v.app.DrainTimeout == 5*time.Second }},
		{name: "no drain timeout", env: map[string]string{"HANSE_DRAIN_TIMEOUT": "-1"}, want: func(v *values) bool { return v.app.DrainTimeout == -1 }},
		{name: "bad drain timeout", env: map[string]string{"HANSE_DRAIN_TIMEOUT": "5"}, err: "want a duration"},
		{name: "reflection", env: map[string]string{"HANSE_REFLECTION": "false"}, want: func(v *values) bool { return !*v.app.Reflection }},
		{name: "no gateway", env: map[string]string{"HANSE_GATEWAY": "false"}, want: func(v *values) bool { return v.app.NoGateway }},
		{name: "gateway", app: &App{NoGateway: true}, env: map[string]string{"HANSE_GATEWAY": "true"}, want: func(v *values) bool { return !v.app.NoGateway }},
		{name: "bad gateway", env: map[string]string{"HANSE_GATEWAY": "maybe"}, err: "want true or false"},
		{name: "hosts", app: &App{Hosts: []string{"old.example"}}, env: map[string]string{"HANSE_HOSTS": "shop.example, b.example"},
			want: func(v *values) bool { return slices.Equal(v.app.Hosts, []string{"shop.example", "b.example"}) }},
		{name: "docs", env: map[string]string{"HANSE_DOCS": "true"}, want: func(v *values) bool { return v.app.Docs }},
		{name: "bad docs", env: map[string]string{"HANSE_DOCS": "maybe"}, err: "want true or false"},
		{name: "bad reflection", env: map[string]string{"HANSE_REFLECTION": "maybe"}, err: "want true or false"},
		{name: "list", env: map[string]string{"HANSE_LIST_SERVICES": "1"}, want: func(v *values) bool { return v.list == "names" }},
		{name: "list as JSON", env: map[string]string{"HANSE_LIST_SERVICES": "json"}, want: func(v *values) bool { return v.list == "json" }},
		{name: "bad list", env: map[string]string{"HANSE_LIST_SERVICES": "xml"}, err: "want nothing, or json"},
		{name: "text", env: map[string]string{"HANSE_ADVERTISE": "a:1", "HANSE_ADMIN_ADDR": "off", "HANSE_SYSTEM": "shop", "HANSE_CONFIG": "shop.yaml"},
			want: func(v *values) bool {
				return v.app.Advertise == "a:1" && v.app.AdminAddr == "off" && v.app.System == "shop" && v.app.ConfigFile == "shop.yaml"
			}},
		{name: "fields stay", app: &App{Addr: ":1", System: "shop"}, env: map[string]string{"HANSE_ADDR": ""},
			want: func(v *values) bool { return v.app.Addr == ":1" && v.app.System == "shop" }},
		{name: "all mistakes at once", env: map[string]string{"HANSE_ADDR": "x", "HANSE_PATH": "y"}, err: "HANSE_PATH=y"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.app == nil {
				tt.app = new(App)
			}
			fields, before := tt.app.Addrs, maps.Clone(tt.app.Addrs)
			v := &values{app: tt.app}
			err := v.fromEnv(func(name string) string { return tt.env[name] })
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Errorf("error %v, want %q", err, tt.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if !tt.want(v) {
				t.Errorf("got %+v, %+v", v, v.app)
			}
			if !maps.Equal(fields, before) {
				t.Error("the program's own map was changed")
			}
		})
	}
}

func TestUnknownVariables(t *testing.T) {
	for _, tt := range []struct {
		environ string
		want    string
	}{
		{"HANSE_ADDR=:1 HANSE_LIFELINE=3 HANSE_SOURCE=/src HANSE_CONTEXT=prod HANSE_CONTEXTS=/home/ada/contexts.yaml PATH=x GREETER_TIMES=2", ""},
		{"HANSE_SERVICE=cart", "the variable HANSE_SERVICE is unknown and counts for nothing: did you mean HANSE_SERVICES?"},
		{"HANSE_LOGLEVEL=debug", "the variable HANSE_LOGLEVEL is unknown and counts for nothing: did you mean HANSE_LOG_LEVEL?"},
		{"HANSE_COLOUR=red", "the variable HANSE_COLOUR is unknown and counts for nothing: --help lists those that count"},
		{"HANSE_SERVICE=", ""}, // as good as none
		{"HANSE_MAIL_SENDER=me", ""},
		{"HANSE_HUB_SERVICE_HOST=10.0.0.1 HANSE_HUB_PORT_4222_TCP=tcp://10.0.0.1:4222 KUBERNETES_SERVICE_HOST=10.0.0.2", ""},
	} {
		v := &values{app: new(App), offered: []string{"cart", "hanse-mail"}}
		if got := strings.Join(v.unknownVariables(strings.Fields(tt.environ)), "\n"); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.environ, got, tt.want)
		}
	}
}

// TestFlagsReplace holds that a repeatable flag replaces what its variable said, and does not add to it.
func TestFlagsReplace(t *testing.T) {
	v := &values{app: new(App)}
	env := map[string]string{"HANSE_REGISTRY": "local:", "HANSE_SERVICES": "cart"}
	if err := v.fromEnv(func(name string) string { return env[name] }); err != nil {
		t.Fatal(err)
	}
	for _, s := range settings() {
		f := &settingFlag{setting: s, values: v}
		switch s.flag {
		case "registry":
			f.Set("static:a=b:1")
			f.Set("dns:///{service}:1")
		case "services":
			f.Set("checkout")
		}
	}
	if want := []string{"static:a=b:1", "dns:///{service}:1"}; !slices.Equal(v.registries, want) {
		t.Errorf("registries %q, want %q", v.registries, want)
	}
	if want := []string{"checkout"}; !slices.Equal(v.services, want) {
		t.Errorf("services %q, want %q", v.services, want)
	}
}

// TestSettingsAreComplete holds that everything people can set with a flag, tools can set with a variable of the same name.
func TestSettingsAreComplete(t *testing.T) {
	for _, s := range settings() {
		want := "HANSE_" + strings.ToUpper(strings.ReplaceAll(s.flag, "-", "_"))
		if s.flag == "set" { // each setting has a variable of its own
			want = ""
		}
		if s.env != want {
			t.Errorf("--%s has the variable %q, want %q", s.flag, s.env, want)
		}
		if s.help == "" || s.group == "" || s.apply == nil {
			t.Errorf("--%s lacks something: %+v", s.flag, s)
		}
	}
}
