package otlp

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Signal is a kind of telemetry. Its value is the last element of the path below a base endpoint.
type Signal string

// The signals.
const (
	Traces  Signal = "traces"
	Metrics Signal = "metrics"
	Logs    Signal = "logs"
)

// DefaultTimeout is what one attempt to send gets.
const DefaultTimeout = 10 * time.Second

// Endpoint says where one signal is sent, and how.
type Endpoint struct {
	URL         string            // with http or https, as it is posted to
	Header      map[string]string // additional; values are secrets and are never logged
	Timeout     time.Duration     // of one attempt; 0 is 10 s
	Gzip        bool
	CA          string // file of the certificates that are trusted instead of the system's; empty is the system's
	Certificate string // file of the client's certificate; empty is none
	Key         string // file of its key
}

// FromEnv reads the endpoint of a signal from OTEL_EXPORTER_OTLP_* by the rules of OpenTelemetry: a variable of the signal wins over
// that of all, an empty one counts as not set, a base endpoint gets /v1/SIGNAL, one of the signal is taken as it is. It returns false
// when neither endpoint is set; the endpoint is then that of the specification, http://localhost:4318. Where no compression is set,
// what leaves this host is compressed. Mistakes are returned all at once.
func FromEnv(signal Signal, environ func(string) (string, bool)) (e Endpoint, set bool, err error) {
	env := variables{signal: signal, environ: environ}
	e.URL, set = env.endpoint()
	e.Header = env.headers()
	e.Timeout = env.timeout()
	e.Gzip = env.gzip(e.URL)
	_, e.CA = env.get("CERTIFICATE")
	_, e.Certificate = env.get("CLIENT_CERTIFICATE")
	_, e.Key = env.get("CLIENT_KEY")
	env.protocol()
	if name, _ := env.get("CLIENT_CERTIFICATE"); (e.Certificate == "") != (e.Key == "") {
		env.wrong(name, "a client's certificate and its key belong together: set both")
	}
	return e, set, errors.Join(env.errs...)
}

// variables reads the variables of one signal.
type variables struct {
	signal  Signal
	environ func(string) (string, bool)
	errs    []error
}

const prefix = "OTEL_EXPORTER_OTLP_"

// get returns the variable of the signal, else that of all, with its name.
func (v *variables) get(name string) (variable, value string) {
	for _, variable = range []string{prefix + strings.ToUpper(string(v.signal)) + "_" + name, prefix + name} {
		if value, _ := v.environ(variable); strings.TrimSpace(value) != "" {
			return variable, strings.TrimSpace(value)
		}
	}
	return variable, ""
}

// wrong notes a mistake. It must not repeat what may be secret.
func (v *variables) wrong(variable, format string, args ...any) {
	v.errs = append(v.errs, fmt.Errorf(variable+": "+format, args...))
}

func (v *variables) endpoint() (string, bool) {
	variable, value := v.get("ENDPOINT")
	set := value != ""
	if !set {
		value = "http://localhost:4318"
	}
	u, err := url.Parse(value)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		v.wrong(variable, "not a URL with http or https and a host, such as http://localhost:4318")
		return "", set
	}
	if variable == prefix+"ENDPOINT" {
		u = u.JoinPath("v1", string(v.signal))
	} else if u.Path == "" {
		u.Path = "/"
	}
	return u.String(), set
}

// headers reads a list as in W3C's baggage: key=value, separated by commas, with values that may be percent-encoded.
func (v *variables) headers() map[string]string {
	variable, value := v.get("HEADERS")
	var header map[string]string
	for i, part := range strings.Split(value, ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		key, val, ok := strings.Cut(part, "=")
		key = strings.TrimSpace(key)
		val, err := url.PathUnescape(strings.TrimSpace(val))
		if !ok || err != nil || !isToken(key) || strings.ContainsAny(val, "\r\n\x00") {
			v.wrong(variable, "header %d is not KEY=VALUE with a percent-encoded value", i+1)
			continue
		}
		if header == nil {
			header = make(map[string]string)
		}
		header[key] = val
	}
	return header
}

// isToken tells whether s may name a header.
func isToken(s string) bool {
	for _, c := range s {
		if (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && !strings.ContainsRune("!#$%&'*+-.^_`|~", c) {
			return false
		}
	}
	return s != ""
}

func (v *variables) timeout() time.Duration {
	variable, value := v.get("TIMEOUT")
	if value == "" {
		return DefaultTimeout
	}
	ms, err := strconv.ParseUint(value, 10, 31)
	if err != nil || ms == 0 {
		v.wrong(variable, "%q is not a number of milliseconds above 0", value)
		return DefaultTimeout
	}
	return time.Duration(ms) * time.Millisecond
}

func (v *variables) gzip(endpoint string) bool {
	switch variable, value := v.get("COMPRESSION"); strings.ToLower(value) {
	case "gzip":
		return true
	case "none":
		return false
	case "":
		return !onThisHost(endpoint)
	default:
		v.wrong(variable, "%q is neither gzip nor none", value)
		return false
	}
}

func onThisHost(endpoint string) bool {
	u, err := url.Parse(endpoint)
	return err == nil && (u.Hostname() == "localhost" || net.ParseIP(u.Hostname()).IsLoopback())
}

func (v *variables) protocol() {
	switch variable, value := v.get("PROTOCOL"); value {
	case "", "http/protobuf":
	case "grpc", "http/json":
		v.wrong(variable, "%s is not spoken here: set http/protobuf, which collectors take at port 4318", value)
	default:
		v.wrong(variable, "%q is not a protocol: set http/protobuf", value)
	}
}
