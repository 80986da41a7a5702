package hanse

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hanse-go/hanse/balancer"
	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/identity"
	"github.com/hanse-go/hanse/internal/nearest"
	"github.com/hanse-go/hanse/rpc"
	"github.com/hanse-go/hanse/telemetry"
)

// setting is one thing that people set with a flag and tools with an environment variable.
type setting struct {
	flag  string // without dashes
	env   string // empty: a flag only
	arg   string // placeholder of its value; empty for a switch
	group string // heading in the help
	help  string
	split func(string) []string // of the variable, when the flag is repeatable
	apply func(*values, string) error
	reset func(*values) // forgets earlier values of a repeatable one; nil: it need not
}

// values are what flags and environment say, on top of the fields of an App.
type values struct {
	app         *App
	offered     []string          // names of the services that the program has
	services    []string          // to run; nil: all
	registries  []string          // URLs
	set         map[string]string // configuration, by service.field
	logLevels   []string          // as they were said
	logFormat   string
	list        string // "", names or json
	lifeline    string
	noIdentity  bool            // asked for
	noBackplane bool            // asked for
	files       *identity.Files // that --identity names; nil: none
}

// settings are all there are, in the order of the help.
func settings() []*setting {
	return []*setting{
		{flag: "services", env: "HANSE_SERVICES", arg: "NAME,…", group: "What runs",
			help: "run these services only (default all)", split: whole, apply: (*values).setServices,
			reset: func(v *values) { v.services = nil }},
		{flag: "list-services", env: "HANSE_LIST_SERVICES", group: "What runs",
			help: "print the names of the services and exit; =json adds their contracts", apply: (*values).setList},

		{flag: "addr", env: "HANSE_ADDR", arg: "[SERVICE=]HOST:PORT", group: "Where it listens",
			help: "listen here for all services, or for one (default 127.0.0.1:0, a free port of this machine)", split: strings.Fields, apply: (*values).setAddr},
		{flag: "advertise", env: "HANSE_ADVERTISE", arg: "HOST[:PORT]", group: "Where it listens",
			help: "the address that others are told (default what it listens on)", apply: text(func(a *App) *string { return &a.Advertise })},
		{flag: "admin-addr", env: "HANSE_ADMIN_ADDR", arg: "HOST:PORT|off", group: "Where it listens",
			help: "health checks and profiles (default 127.0.0.1:0)", apply: text(func(a *App) *string { return &a.AdminAddr })},
		{flag: "zone", env: "HANSE_ZONE", arg: "NAME", group: "Where it listens",
			help: "where it runs: callers of the same zone prefer it, and it prefers theirs", apply: text(func(a *App) *string { return &a.Zone })},
		{flag: "weight", env: "HANSE_WEIGHT", arg: "N", group: "Where it listens",
			help: "how much it can take relative to others (default 1)", apply: (*values).setWeight},
		{flag: "label", env: "HANSE_LABEL", arg: "KEY=VALUE", group: "Where it listens",
			help: "announced with each instance, for callers that choose by it", split: strings.Fields, apply: (*values).setLabel},
		{flag: "reflection", env: "HANSE_REFLECTION", group: "Where it listens",
			help: "let clients ask for the contracts; =false refuses (default: on a loopback address only)", apply: (*values).setReflection},
		{flag: "gateway", env: "HANSE_GATEWAY", group: "Where it listens",
			help: "take calls by Connect, gRPC-Web and JSON on the same port; =false refuses (default true)", apply: (*values).setGateway},
		{flag: "hosts", env: "HANSE_HOSTS", arg: "NAME,…", group: "Where it listens",
			help: "names by which a proxy on this machine may address such calls, or * (default: those of this machine and of the services)", apply: (*values).setHosts},
		{flag: "docs", env: "HANSE_DOCS", group: "Where it listens",
			help: "show the contracts at /docs and /openapi.json, to this machine only (default false; hanse dev: true)", apply: (*values).setDocs},

		{flag: "identity", env: "HANSE_IDENTITY", arg: "FOLDER|off", group: "Who may call",
			help: "mutual TLS with the tls.crt, tls.key and ca.crt in this folder ({service} in it is a service's name), or with cert=FILE,key=FILE,ca=FILE (default: that of the running hanse dev)", apply: (*values).setIdentity},
		{flag: "plain-http", env: "HANSE_PLAIN_HTTP", group: "Who may call",
			help: "serve pages over plain HTTP, too, where there is an identity; =false refuses (default: on a loopback address only)", apply: (*values).setPlainHTTP},

		{flag: "registry", env: "HANSE_REGISTRY", arg: "URL", group: "How it finds others",
			help: "where instances are announced and found: local:, static:cart=host:port, dns:///…; the first that knows a service wins", split: strings.Fields, apply: (*values).addRegistry,
			reset: func(v *values) { v.registries = nil }},
		{flag: "backplane", env: "HANSE_BACKPLANE", arg: "URL|off", group: "How it finds others",
			help: "the NATS that carries events and, without --registry, the registry: nats://HOST:PORT,…?token-file=FILE, tls://… (default that of the running hanse dev or hanse hub); the variable may have a token: nats://TOKEN@HOST", apply: (*values).setBackplane},
		{flag: "target", env: "HANSE_TARGET", arg: "SERVICE=TARGET", group: "How it finds others",
			help: "call the service here, whatever the registry says: cart=dns:///cart.example.com:8443", split: strings.Fields, apply: (*values).setTarget},
		{flag: "system", env: "HANSE_SYSTEM", arg: "NAME", group: "How it finds others",
			help: "the system to belong to (default the running one of this folder)", apply: text(func(a *App) *string { return &a.System })},
		{flag: "balancer", env: "HANSE_BALANCER", arg: "[SERVICE=]POLICY", group: "How it finds others",
			help: "how instances are chosen: p2c, round-robin, weighted, random or hash:KEY, and version=V, label.KEY=VALUE, warm-up=30s, locality=off (default p2c)", split: strings.Fields, apply: (*values).setBalancer},
		{flag: "path", env: "HANSE_PATH", arg: "inprocess|unix|tcp", group: "How it finds others",
			help: "force all calls onto one path (default the nearest)", apply: (*values).setPath},
		{flag: "wire", env: "HANSE_WIRE", arg: "hanse|grpc-go", group: "How it finds others",
			help: "what speaks gRPC with other processes: grpc-go where that is linked (default what the program chose)", apply: (*values).setWire},

		{flag: "config", env: "HANSE_CONFIG", arg: "FILE", group: "How it behaves",
			help: "YAML file with the services' settings", apply: text(func(a *App) *string { return &a.ConfigFile })},
		{flag: "set", arg: "SERVICE.KEY=VALUE", group: "How it behaves",
			help: "one of the services' settings; its variable is SERVICE_KEY", split: whole, apply: (*values).setConfig},
		{flag: "log-level", env: "HANSE_LOG_LEVEL", arg: "[SERVICE=]LEVEL,…", group: "How it behaves",
			help: "debug, info, warn or error: of one service, or of all others (default info)", split: whole, apply: (*values).setLogLevel,
			reset: func(v *values) { v.logLevels = nil }},
		{flag: "log-format", env: "HANSE_LOG_FORMAT", arg: "text|json", group: "How it behaves",
			help: "text, or json for programs (default text, in colours on a terminal)", apply: (*values).setLogFormat},
		{flag: "allow-faults", env: "HANSE_ALLOW_FAULTS", group: "How it behaves",
			help: "let hanse chaos make calls fail on purpose", apply: (*values).setAllowFaults},
		{flag: "drain-timeout", env: "HANSE_DRAIN_TIMEOUT", arg: "DURATION", group: "How it behaves",
			help: "how long calls may take to finish when it stops; -1 for ever (default 30s)", apply: (*values).setDrainTimeout},
	}
}

// whole leaves a value as it is.
func whole(v string) []string { return []string{v} }

// text sets a field to what is said.
func text(field func(*App) *string) func(*values, string) error {
	return func(v *values, s string) error {
		*field(v.app) = s
		return nil
	}
}

func (v *values) setServices(s string) error {
	for name := range strings.SplitSeq(s, ",") {
		if name = strings.TrimSpace(name); name != "" {
			v.services = append(v.services, name)
		}
	}
	return nil
}

func (v *values) setList(s string) error {
	switch s {
	case "1", "true":
		v.list = "names"
	case "json":
		v.list = "json"
	case "0", "false":
		v.list = ""
	default:
		return errors.New("want nothing, or json")
	}
	return nil
}

func (v *values) setAddr(s string) error {
	name, addr, ok := strings.Cut(s, "=")
	if !ok {
		v.app.Addr = s
		return checkAddr(s)
	}
	v.app.Addrs = maps.Clone(v.app.Addrs) // it may be the program's own
	if v.app.Addrs == nil {
		v.app.Addrs = make(map[string]string)
	}
	v.app.Addrs[name] = addr
	return checkAddr(addr)
}

func (v *values) setReflection(s string) error {
	b, err := strconv.ParseBool(s)
	if err != nil {
		return errors.New("want true or false")
	}
	v.app.Reflection = &b
	return nil
}

func (v *values) setGateway(s string) error {
	b, err := strconv.ParseBool(s)
	if err != nil {
		return errors.New("want true or false")
	}
	v.app.NoGateway = !b
	return nil
}

func (v *values) setHosts(s string) error {
	v.app.Hosts = nil
	for name := range strings.SplitSeq(s, ",") {
		if name = strings.TrimSpace(name); name != "" {
			v.app.Hosts = append(v.app.Hosts, name)
		}
	}
	return nil
}

func (v *values) setDocs(s string) error {
	b, err := strconv.ParseBool(s)
	if err != nil {
		return errors.New("want true or false")
	}
	v.app.Docs = b
	return nil
}

func (v *values) setAllowFaults(s string) error {
	b, err := strconv.ParseBool(s)
	if err != nil {
		return errors.New("want true or false")
	}
	v.app.AllowFaults = b
	return nil
}

func (v *values) setPlainHTTP(s string) error {
	b, err := strconv.ParseBool(s)
	if err != nil {
		return errors.New("want true or false")
	}
	v.app.PlainHTTP = &b
	return nil
}

func (v *values) addRegistry(s string) error {
	v.registries = append(v.registries, s)
	return nil
}

// setBackplane takes whatever is said: who reports what is wrong with a flag or a variable repeats it, and there may be a secret in this one. It
// is looked at by [values.checkBackplane].
func (v *values) setBackplane(s string) error {
	v.app.Backplane, v.noBackplane = nil, s == "off"
	if !v.noBackplane {
		v.app.Backplane = NATS(s)
	}
	return nil
}

func (v *values) checkBackplane() error {
	if b, ok := v.app.Backplane.(NATS); ok {
		if err := b.Check(); err != nil {
			return fmt.Errorf("--backplane (HANSE_BACKPLANE): %w", err)
		}
	}
	return nil
}

func (v *values) setTarget(s string) error {
	name, target, ok := strings.Cut(s, "=")
	if !ok || target == "" {
		return errors.New("want SERVICE=TARGET, such as cart=dns:///cart.example.com:8443")
	}
	if err := checkName(name); err != nil {
		return err
	}
	if _, err := discovery.ParseTarget(target); err != nil {
		return err
	}
	v.app.Targets = maps.Clone(v.app.Targets)
	if v.app.Targets == nil {
		v.app.Targets = make(map[string]string)
	}
	v.app.Targets[name] = target
	return nil
}

func (v *values) setBalancer(s string) error {
	service, text := "", s
	if name, rest, ok := strings.Cut(s, "="); ok && checkName(name) == nil && !balancer.IsSetting(name) {
		service, text = name, rest
	}
	policy, err := balancer.ParsePolicy(text)
	if err != nil {
		return err
	}
	v.app.Balancing = maps.Clone(v.app.Balancing) // it may be the program's own
	if v.app.Balancing == nil {
		v.app.Balancing = make(map[string]balancer.Policy)
	}
	v.app.Balancing[service] = policy
	return nil
}

func (v *values) setWeight(s string) error {
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 {
		return errors.New("want a number of at least 1")
	}
	v.app.Weight = n
	return nil
}

func (v *values) setLabel(s string) error {
	key, value, ok := strings.Cut(s, "=")
	if !ok || key == "" {
		return errors.New("want KEY=VALUE, such as colour=green")
	}
	if ownLabel(key) {
		return fmt.Errorf("%s is Hanse's own: choose another key", key)
	}
	v.app.Labels = maps.Clone(v.app.Labels)
	if v.app.Labels == nil {
		v.app.Labels = make(map[string]string)
	}
	v.app.Labels[key] = value
	return nil
}

// ownLabel reports whether Hanse itself announces something by that key.
func ownLabel(key string) bool { return key == "http" || key == "wire" }

func (v *values) setPath(s string) error {
	switch p := rpc.Path(s); p {
	case rpc.InProcess, rpc.Unix, rpc.TCP:
		v.app.Path = p
		return nil
	}
	return errors.New("want inprocess, unix or tcp")
}

func (v *values) setWire(s string) error {
	if s != ownWire && s != grpcgoWire {
		return errors.New("want hanse or grpc-go")
	}
	v.app.wireName = s
	return nil
}

func (v *values) setConfig(s string) error {
	key, value, ok := strings.Cut(s, "=")
	if !ok || !strings.Contains(key, ".") {
		return errors.New("want SERVICE.KEY=VALUE")
	}
	if v.set == nil {
		v.set = make(map[string]string)
	}
	v.set[key] = value
	return nil
}

func (v *values) setLogLevel(s string) error {
	if err := new(telemetry.LogLevels).Parse(s); err != nil {
		return err
	}
	v.logLevels = append(v.logLevels, s)
	return nil
}

func (v *values) setLogFormat(s string) error {
	if s != logText && s != logJSON {
		return errors.New("want text or json")
	}
	v.logFormat = s
	return nil
}

func (v *values) setDrainTimeout(s string) error {
	if s == "-1" {
		v.app.DrainTimeout = -1
		return nil
	}
	d, err := time.ParseDuration(s)
	if err != nil || d <= 0 {
		return fmt.Errorf("want a duration such as 30s, or -1")
	}
	v.app.DrainTimeout = d
	return nil
}

// otherVariables are those without a flag: of the tool that starts programs, and of the command hanse.
var otherVariables = []string{"HANSE_LIFELINE", "HANSE_SOURCE", "HANSE_CAPTURE", "HANSE_CONTEXT", "HANSE_CONTEXTS"}

// unknownVariables returns a warning for each variable that looks like one of ours and is none. What sets a service whose own name
// begins with "hanse" is the service's, and what Kubernetes sets for a Service of such a name tells us nothing.
func (v *values) unknownVariables(environ []string) (warnings []string) {
	const prefix = "HANSE_"
	var known []string // without the prefix, which would make all names alike
	for _, name := range otherVariables {
		known = append(known, strings.TrimPrefix(name, prefix))
	}
	for _, s := range settings() {
		if s.env != "" {
			known = append(known, strings.TrimPrefix(s.env, prefix))
		}
	}
	kubernetes := slices.ContainsFunc(environ, func(e string) bool { return strings.HasPrefix(e, "KUBERNETES_SERVICE_HOST=") })
	for _, e := range environ {
		name, value, _ := strings.Cut(e, "=")
		ours, ok := strings.CutPrefix(name, prefix)
		switch {
		case !ok, value == "", slices.Contains(known, ours):
			continue
		case kubernetes && (strings.Contains(name, "_SERVICE_") || strings.Contains(name, "_PORT")):
			continue
		case slices.ContainsFunc(v.offered, func(service string) bool {
			return strings.HasPrefix(name, strings.ToUpper(strings.ReplaceAll(service, "-", "_"))+"_")
		}):
			continue
		}
		do := "--help lists those that count"
		if near := nearest.Name(ours, known); near != "" {
			do = "did you mean " + prefix + near + "?"
		}
		warnings = append(warnings, fmt.Sprintf("the variable %s is unknown and counts for nothing: %s", name, do))
	}
	slices.Sort(warnings)
	return warnings
}

// warn tells of variables that count for nothing.
func (v *values) warn() {
	for _, text := range v.unknownVariables(os.Environ()) {
		v.app.logger().Warn(text)
	}
}

// fromEnv applies the environment. An empty variable is as good as none.
func (v *values) fromEnv(env func(string) string) error {
	var errs []error
	for _, s := range settings() {
		value := ""
		if s.env != "" {
			value = env(s.env)
		}
		if value == "" {
			continue
		}
		parts := []string{value}
		if s.split != nil {
			parts = s.split(value)
		}
		for _, part := range parts {
			if err := s.apply(v, part); err != nil {
				errs = append(errs, fmt.Errorf("%s=%s: %w", s.env, value, err))
			}
		}
	}
	v.lifeline = env("HANSE_LIFELINE")
	return errors.Join(errs...)
}
