package config_test

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hanse-go/hanse/config"
)

type db struct {
	URL      string
	Password config.Secret
	MaxConns int `default:"4" desc:"open connections"`
}

type limits struct {
	PerMinute int `default:"60"`
	Burst     int
}

type common struct{ Region string }

type settings struct {
	common
	MaxItems int           `default:"50" desc:"items in one cart"`
	TTL      time.Duration `default:"24h"`
	Open     bool
	Rate     float64
	Names    []string
	Ports    [2]uint16
	Weights  map[string]int
	Limits   map[string]limits
	Rules    []limits
	DB       db
	Fallback *db
	Retries  *int
	Bind     netip.Addr
	Level    slog.Level
	Since    time.Time
	Extra    any
	Renamed  string `yaml:"called"`
	Tokens   []config.Secret
	Skipped  chan int `yaml:"-"`
	_        func()   // unexported fields are ignored
}

// load fills a settings from a file with this content, an environment and flags.
func load(t *testing.T, file string, env, flags map[string]string) (settings, *config.Loader, error) {
	t.Helper()
	l := loader(t, file, env, flags)
	var cfg settings
	err := l.Load("cart", &cfg)
	return cfg, l, err
}

func loader(t *testing.T, file string, env, flags map[string]string) *config.Loader {
	t.Helper()
	l := &config.Loader{Flags: flags, Env: func(name string) (string, bool) { v, ok := env[name]; return v, ok }}
	if file != "" {
		t.Chdir(t.TempDir())
		l.File = "shop.yaml"
		write(t, l.File, file)
	}
	return l
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestLayers(t *testing.T) {
	file := "cart:\n  max-items: 10\n  ttl: 1h\n  db:\n    url: file\n    max-conns: 7\n"
	env := map[string]string{"CART_TTL": "2h", "CART_DB_MAX_CONNS": "8", "CART_OPEN": "", "CART_FALLBACK_URL": "env"}
	flags := map[string]string{"cart.db.max-conns": "9"}
	cfg := settings{Rate: 0.5}
	l := loader(t, file, env, flags)
	if err := l.Load("cart", &cfg); err != nil {
		t.Fatal(err)
	}
	if cfg.MaxItems != 10 || cfg.TTL != 2*time.Hour || cfg.DB.URL != "file" || cfg.DB.MaxConns != 9 || cfg.Rate != 0.5 {
		t.Errorf("got %+v", cfg)
	}
	if cfg.Fallback == nil || cfg.Fallback.URL != "env" || cfg.Fallback.MaxConns != 4 {
		t.Errorf("fallback = %+v", cfg.Fallback)
	}
	for path, want := range map[string]string{
		"cart.max-items":          "shop.yaml:2:14",
		"cart.ttl":                "env CART_TTL",
		"cart.db.max-conns":       "flag cart.db.max-conns",
		"cart.db.url":             "shop.yaml:5:10",
		"cart.rate":               "default",
		"cart.open":               "default",
		"cart.fallback.url":       "env CART_FALLBACK_URL",
		"cart.fallback.max-conns": "default",
	} {
		if got, ok := l.Source(path); !ok || got.String() != want {
			t.Errorf("source of %s = %v, %v; want %s", path, got, ok, want)
		}
	}
	if _, ok := l.Source("cart.nothing"); ok {
		t.Error("a path that does not exist has a source")
	}
	values := l.Values("cart")
	if values[1].Path != "cart.max-items" || values[1].Text != "10" || values[1].Desc != "items in one cart" || values[1].Env != "CART_MAX_ITEMS" {
		t.Errorf("values[1] = %+v", values[1])
	}
}

func TestDefaultKeepsWhatTheStructHeld(t *testing.T) {
	cfg := settings{MaxItems: 3}
	if err := new(config.Loader).Load("cart", &cfg); err != nil {
		t.Fatal(err)
	}
	if cfg.MaxItems != 3 || cfg.TTL != 24*time.Hour || cfg.DB.MaxConns != 4 || cfg.Fallback != nil {
		t.Errorf("got %+v", cfg)
	}
}

func TestDefaultOfAPointer(t *testing.T) {
	mine := &db{URL: "mine", MaxConns: 2}
	cfg := settings{Fallback: mine}
	if err := loader(t, "", map[string]string{"CART_FALLBACK_MAX_CONNS": "3"}, nil).Load("cart", &cfg); err != nil {
		t.Fatal(err)
	}
	if cfg.Fallback.URL != "mine" || cfg.Fallback.MaxConns != 3 || mine.MaxConns != 2 {
		t.Errorf("filled %+v, given %+v", cfg.Fallback, mine)
	}
}

func TestFileValues(t *testing.T) {
	three := 3
	for _, tt := range []struct {
		name, yaml string
		want       settings
	}{
		{"duration", "ttl: 1h30m", settings{TTL: 90 * time.Minute}},
		{"bool", "open: true", settings{Open: true}},
		{"float", "rate: 1e-3", settings{Rate: 0.001}},
		{"negative", "max-items: -7", settings{MaxItems: -7}},
		{"hex", "max-items: 0x10", settings{MaxItems: 16}},
		{"leading zero is decimal", "max-items: 010", settings{MaxItems: 10}},
		{"number as text", "called: 1.10", settings{Renamed: "1.10"}},
		{"quoted", `called: "a\tb: c"`, settings{Renamed: "a\tb: c"}},
		{"block text", "called: |\n    one\n    two\n", settings{Renamed: "one\ntwo\n"}},
		{"list", "names: [a, 'b c']", settings{Names: []string{"a", "b c"}}},
		{"block list", "names:\n  - a\n  - b", settings{Names: []string{"a", "b"}}},
		{"empty list", "names: []", settings{Names: []string{}}},
		{"null is not set", "max-items:\n  ttl: ~", settings{}},
		{"array", "ports: [80, 443]", settings{Ports: [2]uint16{80, 443}}},
		{"map", "weights: {a: 1, b: 2}", settings{Weights: map[string]int{"a": 1, "b": 2}}},
		{"map of structs", "limits:\n    eur: {burst: 3}\n    usd: {per-minute: 1}", settings{Limits: map[string]limits{"eur": {60, 3}, "usd": {1, 0}}}},
		{"list of structs", "rules:\n  - burst: 2\n  - per-minute: 5\n    burst: 1", settings{Rules: []limits{{60, 2}, {5, 1}}}},
		{"pointer", "retries: 3", settings{Retries: &three}},
		{"pointer to struct", "fallback: {url: x}", settings{Fallback: &db{URL: "x", MaxConns: 4}}},
		{"text", "bind: ::1\n  level: warn\n  since: 2026-01-02T03:04:05Z", settings{
			Bind: netip.MustParseAddr("::1"), Level: slog.LevelWarn, Since: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}},
		{"embedded", "region: eu", settings{common: common{Region: "eu"}}},
		{"any", "extra: {a: [1, true, 'true', 1.5, x, null]}", settings{Extra: map[string]any{"a": []any{int64(1), true, "true", 1.5, "x", nil}}}},
		{"alias", "names: &n [a]\n  extra: *n", settings{Names: []string{"a"}, Extra: []any{"a"}}},
		{"merge", "limits:\n    a: &a {burst: 1, per-minute: 2}\n    b:\n      <<: *a\n      burst: 9", settings{Limits: map[string]limits{"a": {2, 1}, "b": {2, 9}}}},
		{"merge after a key", "limits:\n    a: &a {burst: 1, per-minute: 2}\n    b:\n      burst: 9\n      <<: [*a]", settings{Limits: map[string]limits{"a": {2, 1}, "b": {2, 9}}}},
		{"nothing", "", settings{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, l, err := load(t, "cart:\n  "+tt.yaml+"\n", nil, nil)
			if err == nil {
				err = l.Check("cart")
			}
			if err != nil {
				t.Fatal(err)
			}
			if tt.want.MaxItems == 0 {
				tt.want.MaxItems = 50
			}
			if tt.want.TTL == 0 {
				tt.want.TTL = 24 * time.Hour
			}
			tt.want.DB.MaxConns = 4
			if !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got  %+v\nwant %+v", got, tt.want)
			}
		})
	}
}

func TestEnvironmentAndFlagValues(t *testing.T) {
	for _, tt := range []struct {
		name, path, text string
		get              func(settings) any
		want             any
	}{
		{"list", "names", "a, b", func(s settings) any { return s.Names }, []string{"a", "b"}},
		{"list as yaml", "names", `["a,b", c]`, func(s settings) any { return s.Names }, []string{"a,b", "c"}},
		{"map", "weights", "a=1,b=2", func(s settings) any { return s.Weights }, map[string]int{"a": 1, "b": 2}},
		{"map as yaml", "weights", "{a: 1}", func(s settings) any { return s.Weights }, map[string]int{"a": 1}},
		{"structs as yaml", "rules", "[{burst: 1}]", func(s settings) any { return s.Rules }, []limits{{60, 1}}},
		{"text is taken as it is", "called", " [a: b # c ", func(s settings) any { return s.Renamed }, " [a: b # c "},
		{"pointer", "retries", "0", func(s settings) any { return *s.Retries }, 0},
		{"any", "extra", "{a: 1}", func(s settings) any { return s.Extra }, map[string]any{"a": int64(1)}},
		{"any text", "extra", "plain", func(s settings) any { return s.Extra }, "plain"},
		{"secret", "db.password", "[x", func(s settings) any { return s.DB.Password.Reveal() }, "[x"},
		{"secrets", "tokens", "a,b", func(s settings) any { return s.Tokens[1].Reveal() }, "b"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			env := "CART_" + strings.ToUpper(strings.NewReplacer(".", "_", "-", "_").Replace(tt.path))
			for _, layer := range []struct{ env, flags map[string]string }{
				{env: map[string]string{env: tt.text}},
				{flags: map[string]string{"cart." + tt.path: tt.text}},
			} {
				cfg, l, err := load(t, "", layer.env, layer.flags)
				if err == nil {
					err = l.Check("cart")
				}
				if err != nil {
					t.Fatal(err)
				}
				if got := tt.get(cfg); !reflect.DeepEqual(got, tt.want) {
					t.Errorf("got %#v, want %#v", got, tt.want)
				}
			}
		})
	}
}

func TestErrors(t *testing.T) {
	for _, tt := range []struct {
		name       string
		yaml       string
		env, flags map[string]string
		want       string
	}{
		{name: "unknown key", yaml: "cart:\n  max-itmes: 5\n", want: `
shop.yaml:2:3: cart has no setting "max-itmes"; did you mean "max-items"?
      max-itmes: …
      ^^^^^^^^^`},
		{name: "nested unknown key", yaml: "cart:\n  db: {url: x, colour: y}\n", want: `
shop.yaml:2:16: cart.db has no setting "colour"; it has max-conns, password, url
      … colour: …
        ^^^^^^`},
		{name: "tab", yaml: "cart:\n\trules: 1\n", want: `
shop.yaml:2:1: found character '	' that cannot start any token`},
		{name: "list element", yaml: "cart:\n  rules:\n    - brust: 1\n", want: `
shop.yaml:3:7: cart.rules[0] has no setting "brust"; did you mean "burst"?
        - brust: …
          ^^^^^`},
		{name: "map element", yaml: "cart:\n  limits:\n    eur:\n      brust: 1\n", want: `
shop.yaml:4:7: cart.limits.eur has no setting "brust"; did you mean "burst"?
          brust: …
          ^^^^^`},
		{name: "service", yaml: "crat:\n  max-items: 5\n", want: `
shop.yaml:1:1: this program has no service "crat"; did you mean "cart"? (If crat is a service of another program, add an empty section cart: for this one.)
    crat: …
    ^^^^`},
		{name: "other services are left alone", yaml: "crat: {x: 1}\ncart:\norders: {max: 1}\n", want: ""},
		{name: "number", yaml: "cart:\n  max-items: many # so many\n", want: `
shop.yaml:2:14: cart.max-items: "many" is no whole number
      max-items: many …
                 ^^^^`},
		{name: "all at once", yaml: "cart:\n  max-items: many\n  ttl: 5\n", want: `
shop.yaml:2:14: cart.max-items: "many" is no whole number
      max-items: many
                 ^^^^
shop.yaml:3:8: cart.ttl: "5" is no duration: write it with its unit, such as 5s, 100ms or 1h30m
      ttl: 5
           ^`},
		{name: "too large", yaml: "cart:\n  ports: [80, 70000]\n", want: `
shop.yaml:2:15: cart.ports[1]: "70000" does not fit into 16 bits
      … 70000 …
        ^^^^^`},
		{name: "array length", yaml: "cart:\n  ports: [80]\n", want: `
shop.yaml:2:10: cart.ports: want 2 values, not 1
      ports: [ …
             ^`},
		{name: "bool", yaml: "cart: {open: yes}\n", want: `
shop.yaml:1:14: cart.open: "yes" is neither true nor false
    … yes …
      ^^^`},
		{name: "kind", yaml: "cart:\n  db: 5\n  names: {a: b}\n", want: `
shop.yaml:2:7: cart.db: want a mapping, not a single value
      db: 5
          ^
shop.yaml:3:10: cart.names: want a list, not a mapping
      names: { …
             ^`},
		{name: "text unmarshaler", yaml: "cart:\n  bind: here\n", want: `
shop.yaml:2:9: cart.bind: "here" is no netip.Addr: ParseAddr("here"): unable to parse IP
      bind: here
            ^^^^`},
		{name: "environment", env: map[string]string{"CART_MAX_ITEMS": "x"}, want: `
env CART_MAX_ITEMS: cart.max-items: "x" is no whole number`},
		{name: "Kubernetes", env: map[string]string{"CART_MAX_ITEMS": "tcp://10.0.0.1:80", "KUBERNETES_SERVICE_HOST": "10.0.0.1"}, want: `
env CART_MAX_ITEMS: cart.max-items: "tcp://10.0.0.1:80" is no whole number; Kubernetes sets such variables for its services: put enableServiceLinks: false into the pod's spec`},
		{name: "flag value", flags: map[string]string{"cart.ttl": "soon"}, want: `
flag cart.ttl: cart.ttl: "soon" is no duration: write it with its unit, such as 5s, 100ms or 1h30m`},
		{name: "unknown flag", flags: map[string]string{"cart.tll": "1s"}, want: `
flag cart.tll: there is no such setting; did you mean "cart.ttl"?`},
		{name: "flag of unknown service", flags: map[string]string{"crat.ttl": "1s"}, want: `
flag crat.ttl: there is no service "crat"; did you mean "cart"?`},
		{name: "flag of no service", flags: map[string]string{"payment.ttl": "1s"}, want: `
flag payment.ttl: there is no service "payment"; there are cart, orders`},
		{name: "flag of a service that is elsewhere", flags: map[string]string{"orders.x": "1s"}, want: ""},
		{name: "no flag path", flags: map[string]string{"ttl": "1s"}, want: `
flag ttl: want SERVICE.SETTING=VALUE`},
		{name: "secret in a bad line", yaml: "cart:\n  tokens: hunter2\n", want: `
shop.yaml:2:11: cart.tokens: want a list, not a single value`},
		{name: "secret in a bad variable", env: map[string]string{"CART_TOKENS": "{hunter2"}, want: `
env CART_TOKENS: cart.tokens: want a list, not a single value`},
		{name: "mapping expected", yaml: "- a\n- b\n", want: `
shop.yaml:1:1: want a mapping of service names to their settings, not a list`},
		{name: "two documents", yaml: "cart: {}\n---\ncart: {}\n", want: `
shop.yaml:3:5: a second document begins here: write one only`},
		{name: "cycle", yaml: "cart: {extra: &a [*a]}\n", want: `
shop.yaml:1:19: *a contains itself`},
		{name: "unknown alias", yaml: "cart: {extra: *a}\n", want: `
shop.yaml:1:15: nothing above is anchored as &a`},
		{name: "duplicate key", yaml: "cart:\n  open: true\n  open: false\n", want: `
shop.yaml:3:3: mapping key "open" already defined at [2:3]`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, l, err := load(t, tt.yaml, tt.env, tt.flags)
			l.Services = []string{"cart", "orders"}
			if err == nil {
				err = l.Check("cart")
			}
			got := ""
			if err != nil {
				got = "\n" + err.Error()
			}
			if got != tt.want {
				t.Errorf("got %s\nwant %s", got, tt.want)
			}
			var e *config.Error
			if tt.want != "" && !errors.As(err, &e) {
				t.Errorf("%T is no *config.Error", err)
			}
		})
	}
}

func TestAliasesCannotExplode(t *testing.T) {
	var b strings.Builder
	b.WriteString("cart:\n  extra:\n    a0: &a0 [x]\n")
	for i := range 20 {
		fmt.Fprintf(&b, "    a%d: &a%d [%s]\n", i+1, i+1, strings.Repeat(fmt.Sprintf("*a%d,", i), 10))
	}
	_, _, err := load(t, b.String(), nil, nil)
	if err == nil || !strings.Contains(err.Error(), "more than 100000 values") {
		t.Errorf("err = %.200v", err)
	}
}

func TestRequired(t *testing.T) {
	type needs struct {
		URL  string `required:"true"`
		Port int    `required:"true"`
	}
	l := loader(t, "cart: {port: 0}\n", nil, nil)
	var cfg needs
	err := l.Load("cart", &cfg)
	want := "cart.url: it is required: set it in shop.yaml, with CART_URL or with --set cart.url=…"
	if err == nil || err.Error() != want {
		t.Errorf("err = %v\nwant  %s", err, want)
	}
}

func TestRequiredNamesTheTypo(t *testing.T) {
	l := loader(t, "cart: {adress: x, other: 1}\n", nil, nil)
	var cfg struct {
		Address string `required:"true"`
	}
	err := l.Load("cart", &cfg)
	if err == nil || !strings.Contains(err.Error(), `did you mean "address"`) || strings.Contains(err.Error(), "other") {
		t.Errorf("err = %v", err)
	}
}

type ranged struct{ Min, Max int }

func (r ranged) Validate() error {
	if r.Min > r.Max {
		return fmt.Errorf("min %d is over max %d", r.Min, r.Max)
	}
	return nil
}

type validated struct {
	Inner ranged
	List  []ranged
	By    map[string]ranged
	Even  int
}

func (v *validated) Validate() error {
	if v.Even%2 != 0 {
		return errors.New("even is odd")
	}
	return nil
}

func TestValidate(t *testing.T) {
	for _, tt := range []struct{ yaml, want string }{
		{"{even: 2, inner: {min: 1, max: 2}}", ""},
		{"{even: 1}", "cart: even is odd"},
		{"{inner: {min: 1}}", "cart.inner: min 1 is over max 0"},
		{"{list: [{max: 1}, {min: 1}]}", "cart.list[1]: min 1 is over max 0"},
		{"{by: {x: {min: 1}}}", "cart.by.x: min 1 is over max 0"},
		{"{even: 1, inner: {min: 1}}", "cart.inner: min 1 is over max 0"}, // the outer one may rely on the inner ones
	} {
		l := loader(t, "cart: "+tt.yaml+"\n", nil, nil)
		cfg := validated{Even: 4}
		err := l.Load("cart", &cfg)
		if got := fmt.Sprint(err); got != tt.want && !(err == nil && tt.want == "") {
			t.Errorf("%s: err = %v, want %s", tt.yaml, err, tt.want)
		}
		if err != nil && !reflect.DeepEqual(cfg, validated{Even: 4}) {
			t.Errorf("%s: a failed load changed the struct: %+v", tt.yaml, cfg)
		}
	}
}

type located struct {
	List []struct{ Name string }
	By   map[string]int
	Port int
	Key  config.Secret
}

func (l located) Validate() error {
	return errors.Join(
		&config.Error{Path: "list[1].name", Reason: "no good name"},
		&config.Error{Path: "by.a.b", Reason: "no good number"},
		&config.Error{Path: "port", Reason: "no port"},
		errors.New("and more"),
	)
}

// What a Validate method says of a setting is shown where that stands, or what it would belong to.
func TestValidateLocates(t *testing.T) {
	l := loader(t, "cart:\n  list:\n    - name: one\n    - {name: two}\n  by: {a: 1, a.b: 2}\n", nil, map[string]string{"cart.port": "7"})
	err := l.Load("cart", new(located))
	want := "cart: and more\n" +
		"flag cart.port: cart.port: no port\n" +
		"shop.yaml:4:14: cart.list[1].name: no good name\n" +
		"shop.yaml:5:19: cart.by.a.b: no good number"
	var got []string
	for line := range strings.Lines(fmt.Sprint(err)) {
		got = append(got, strings.TrimRight(line, "\n"))
	}
	slices.Sort(got)
	if strings.Join(got, "\n") != want {
		t.Errorf("with a secret in the struct:\n%v\nwant\n%s", err, want)
	}
}

type open struct{ List []struct{ Name string } }

func (o open) Validate() error {
	if len(o.List) == 0 {
		return &config.Error{Path: "list", Reason: "there is none"}
	}
	return &config.Error{Path: "list[0].name", Reason: "no good name"}
}

func TestValidateShowsTheLine(t *testing.T) {
	for _, tt := range []struct{ yaml, want string }{
		{"cart: {list: [{name: one, other: 1}]}", "shop.yaml:1:22: cart.list[0].name: no good name\n    … one …\n      ^^^"},
		{"cart:\n  list:\n  - name: one", "shop.yaml:3:11: cart.list[0].name: no good name\n      - name: one\n              ^^^"},
		{"cart:\n  list: []", "shop.yaml:2:3: cart.list: there is none\n      list: …\n      ^^^^"},
		{"cart: {}", "shop.yaml:1:1: cart.list: there is none\n    cart: …\n    ^^^^"},
		{"other: {}", "cart.list: there is none"},
	} {
		l := loader(t, tt.yaml, nil, nil)
		if err := l.Load("cart", new(open)); fmt.Sprint(err) != tt.want {
			t.Errorf("%s:\n%v\nwant\n%s", tt.yaml, err, tt.want)
		}
	}
}

// Accept has the last word, at the start and later.
func TestAccept(t *testing.T) {
	l := loader(t, "cart: {max: 7}\n", nil, nil)
	l.Accept = func(service string, settings any) error {
		if s := settings.(struct{ Max int }); service != "cart" || s.Max > 5 {
			return &config.Error{Path: "max", Reason: "too many"}
		}
		return nil
	}
	var s struct{ Max int }
	if err := l.Load("cart", &s); err == nil || !strings.HasPrefix(err.Error(), "shop.yaml:1:13: cart.max: too many") || s.Max != 0 {
		t.Errorf("%v, %+v", err, s)
	}
	l = &config.Loader{File: l.File, Accept: l.Accept}
	write(t, l.File, "cart: {max: 5}\n")
	if err := l.Load("cart", &s); err != nil || s.Max != 5 {
		t.Errorf("%v, %+v", err, s)
	}
}

func TestSeveralStructsShareASection(t *testing.T) {
	l := loader(t, "cart: {a: 1, b: {c: 2, d: 3}}\n", nil, nil)
	var one struct {
		A int
		B struct{ C int }
	}
	var two struct{ B struct{ D int } }
	if err := errors.Join(l.Load("cart", &one), l.Load("cart", &two), l.Check("cart")); err != nil {
		t.Fatal(err)
	}
	if one.A != 1 || one.B.C != 2 || two.B.D != 3 {
		t.Error(one, two)
	}
}

func TestServicesOfSimilarNames(t *testing.T) {
	l := loader(t, "card: {a: 1}\n", nil, nil)
	l.Services = []string{"cart", "card"}
	if err := errors.Join(l.Load("cart", &struct{ A int }{}), l.Check("cart")); err != nil {
		t.Error(err)
	}
}

func TestUnreadSection(t *testing.T) {
	l := loader(t, "cart: {a: 1}\n", nil, nil)
	err := l.Check("cart")
	if err == nil || !strings.Contains(err.Error(), `cart has no setting "a": it has none`) {
		t.Errorf("err = %v", err)
	}
}

func TestBadDestinations(t *testing.T) {
	type loop struct {
		Next *loop
		Name string
	}
	var nilStruct *settings
	for _, tt := range []struct {
		dst  any
		want string
	}{
		{settings{}, "config: fill a pointer to a struct, not config_test.settings"},
		{nilStruct, "config: fill a pointer to a struct, not *config_test.settings"},
		{nil, "config: fill a pointer to a struct, not <nil>"},
		{new(int), "config: fill a pointer to a struct, not *int"},
		{&struct{ F func() }{}, `config: field F of struct { F func() }: a func() cannot be set: leave it out with the tag yaml:"-"`},
		{&struct{ M map[int]string }{}, "config: field M of struct { M map[int]string }: the keys of map[int]string are no strings"},
		{&struct {
			A int
			B int `yaml:"a"`
		}{}, "config: fields A and B of struct { A int; B int \"yaml:\\\"a\\\"\" } are both called A in the environment: name one with a yaml tag"},
		{&loop{}, ""},
	} {
		err := new(config.Loader).Load("cart", tt.dst)
		if got := fmt.Sprint(err); got != tt.want && !(err == nil && tt.want == "") {
			t.Errorf("Load(%T):\ngot  %s\nwant %s", tt.dst, got, tt.want)
		}
	}
}

func TestMissingFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "none.yaml")
	l := &config.Loader{File: file}
	err := l.Load("cart", new(settings))
	if want := "config file " + file + ": file does not exist; make it, or correct --config (HANSE_CONFIG)"; !errors.Is(err, os.ErrNotExist) || err.Error() != want {
		t.Errorf("err = %v, want %s", err, want)
	}
}

func TestKubernetesNameIsNotReadForOtherFields(t *testing.T) {
	cfg, _, err := load(t, "", map[string]string{"ORDERS_MAX_ITEMS": "1", "MAX_ITEMS": "2"}, nil)
	if err != nil || cfg.MaxItems != 50 {
		t.Errorf("MaxItems = %d, %v", cfg.MaxItems, err)
	}
}

func FuzzLoad(f *testing.F) {
	f.Add("cart:\n  max-items: 10\n  db: {url: x, max-conns: 0x7}\n", "a,b")
	f.Add("cart: {extra: &a [1, {b: c}], limits: {<<: {eur: {burst: 1}}}}\n", "[x, {y: z}]")
	f.Add("cart:\n  - ? a\n    : b\n  names: |\n   x\n...\n", "k=v")
	f.Add("{cart: !!str 5, \"a\\x00\": '''', *x : y}", "{")
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, file, value string) {
		path := filepath.Join(dir, "f.yaml")
		write(t, path, file)
		l := &config.Loader{File: path, Env: func(string) (string, bool) { return value, true }}
		for _, env := range []func(string) (string, bool){nil, l.Env} {
			l := &config.Loader{File: path, Env: env}
			var cfg settings
			if err := l.Load("cart", &cfg); err != nil && !reflect.DeepEqual(cfg, settings{}) {
				t.Errorf("a failed load changed the struct: %+v", cfg)
			}
			_ = l.Check("cart")
			_ = l.Values("cart")
		}
	})
}
