package k8sdiscovery

import (
	"cmp"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"

	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/discovery/driver"
)

// Registry is a [discovery.Registry] on an API server of Kubernetes. Its zero value is for a pod: it asks the API server of the cluster
// for Services of the pod's own namespace, as the pod's service account. It is safe for concurrent use and must not be copied or
// changed while it is in use.
//
// An instance that is found has no ID and no contracts: Kubernetes knows nothing of them. Its metadata has "pod" and "node", where
// they are known, and "hint-zones", the zones whose callers Kubernetes would send here, separated by commas.
type Registry struct {
	// Server is the URL of the API server. The default is that of the cluster that the pod runs in, from the variables
	// KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT that Kubernetes sets.
	Server string
	// Namespace is where the Services are. The default is the pod's.
	Namespace string
	// Port is the name or the number of the port to call. The default is the port grpc, else one whose name begins with grpc- or whose
	// application protocol is grpc or kubernetes.io/h2c, else the only port. Only TCP counts.
	Port string
	// TokenFile holds the bearer token, read again for each request, because Kubernetes replaces it. The default is the pod's service
	// account's where Server is the default, else none.
	TokenFile string
	// CAFile holds the certificate authorities of the API server, read again when it changes. The default is the pod's service
	// account's where Server is the default, else the system's. It is not used when Client is set.
	CAFile string
	// Client makes the requests. It must have no Timeout, for a watch is a request of minutes. The default is one without a proxy that
	// trusts CAFile and notices a connection that is dead.
	Client *http.Client
	// Logger gets a warning when requests begin to fail and an info when they succeed again. The default is slog.Default().
	Logger *slog.Logger

	shared  driver.Shared[discovery.Instance] // all watches
	mu      sync.Mutex
	own     *http.Client // in place of Client
	trusted string       // the content of CAFile that own trusts
	account string       // in place of serviceAccount, in tests
}

var _ discovery.Registry = (*Registry)(nil)

// serviceAccount is the folder where Kubernetes puts what a pod needs to talk to it.
const serviceAccount = "/var/run/secrets/kubernetes.io/serviceaccount"

// Open returns the registry that a URL names; it is a value of [discovery.Schemes].
//
//	k8s:                                     in a pod
//	k8s:?namespace=shop&port=grpc            the same, with Namespace and Port
//	k8s:http://127.0.0.1:8001?namespace=shop another API server, here that of kubectl proxy
//	k8s:https://HOST:6443?namespace=shop&token=FILE&ca=FILE
func Open(text string) (discovery.Registry, error) {
	u, err := url.Parse(strings.TrimPrefix(text, "k8s:"))
	if err != nil {
		return nil, err
	}
	r := new(Registry)
	for name, values := range u.Query() {
		value := values[len(values)-1]
		switch name {
		case "namespace":
			r.Namespace = value
		case "port":
			r.Port = value
		case "token":
			r.TokenFile = value
		case "ca":
			r.CAFile = value
		default:
			return nil, fmt.Errorf("unknown parameter %q (known are namespace, port, token, ca)", name)
		}
	}
	if u.User != nil || u.Fragment != "" {
		return nil, fmt.Errorf("want the URL of an API server and parameters, and nothing else")
	}
	u.RawQuery = ""
	r.Server = u.String()
	if _, err := r.resolve(); err != nil {
		return nil, err
	}
	return r, nil
}

// String returns the registry's URL.
func (r *Registry) String() string {
	params := make(url.Values)
	for name, value := range map[string]string{"namespace": r.Namespace, "port": r.Port, "token": r.TokenFile, "ca": r.CAFile} {
		if value != "" {
			params.Set(name, value)
		}
	}
	s := "k8s:" + r.Server
	if len(params) > 0 {
		s += "?" + params.Encode()
	}
	return s
}

// access is where and how the API server is asked.
type access struct {
	server    string
	namespace string
	tokenFile string // empty: no token
	caFile    string // empty: the system's
}

var namespacePattern = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)

// resolve fills in what was not set.
func (r *Registry) resolve() (access, error) {
	a := access{server: strings.TrimSuffix(r.Server, "/"), namespace: r.Namespace, tokenFile: r.TokenFile, caFile: r.CAFile}
	account := cmp.Or(r.account, serviceAccount)
	if a.server == "" {
		host, port := os.Getenv("KUBERNETES_SERVICE_HOST"), os.Getenv("KUBERNETES_SERVICE_PORT")
		if host == "" || port == "" {
			return a, fmt.Errorf("KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set, so this is no pod: set Registry.Server, or write k8s:https://HOST:PORT?namespace=NAME")
		}
		a.server = "https://" + net.JoinHostPort(host, port)
		a.tokenFile = cmp.Or(a.tokenFile, filepath.Join(account, "token"))
		a.caFile = cmp.Or(a.caFile, filepath.Join(account, "ca.crt"))
	}
	u, err := url.Parse(a.server)
	if err != nil {
		return a, fmt.Errorf("server: %w", err)
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" {
		return a, fmt.Errorf("server %q: want the URL of an API server, such as https://10.0.0.1:6443", r.Server)
	}
	if a.namespace == "" {
		file := filepath.Join(account, "namespace")
		text, err := os.ReadFile(file)
		if err != nil {
			return a, fmt.Errorf("no namespace: %w: set Registry.Namespace, or write ?namespace=NAME", err)
		}
		a.namespace = strings.TrimSpace(string(text))
	}
	if !namespacePattern.MatchString(a.namespace) {
		return a, fmt.Errorf("namespace %q: want up to 63 lower-case letters, digits and hyphens", a.namespace)
	}
	return a, nil
}

func (r *Registry) logger() *slog.Logger {
	if r.Logger != nil {
		return r.Logger
	}
	return slog.Default()
}
