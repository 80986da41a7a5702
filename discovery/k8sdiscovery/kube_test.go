//go:build unix

package k8sdiscovery_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	mathrand "math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/hanse-go/hanse/discovery/discoverytest"
	"github.com/hanse-go/hanse/discovery/k8sdiscovery"
)

// kube is an API server of Kubernetes over an etcd.
type kube struct {
	t       *testing.T
	dir     string
	port    string // that the tests' registries know
	etcd    string // its address
	client  *http.Client
	process *discoverytest.Process
}

const adminToken = "the-admin"

// startKube starts them. Without an API server on the machine the test is skipped.
func startKube(t *testing.T) *kube {
	t.Helper()
	for _, program := range []string{"kube-apiserver", "etcd"} {
		if _, err := exec.LookPath(program); err != nil {
			if os.Getenv("HANSE_K8S") != "" {
				t.Fatal(err)
			}
			t.Skipf("there is no %s on this machine: make k8s-e2e builds and installs what it needs", program)
		}
	}
	k := &kube{t: t, dir: t.TempDir(), port: freePort(t), etcd: "127.0.0.1:" + freePort(t)}
	peers := "http://127.0.0.1:" + freePort(t)
	etcd := discoverytest.StartProcess(t, k.file("etcd.log"), "etcd", "--data-dir", k.file("data"), "--log-level", "error", "--log-outputs", "stderr",
		"--listen-client-urls", "http://"+k.etcd, "--advertise-client-urls", "http://"+k.etcd,
		"--listen-peer-urls", peers, "--initial-advertise-peer-urls", peers, "--initial-cluster", "default="+peers)
	t.Cleanup(etcd.Kill)
	k.makeKeys()
	k.start(k.port)
	t.Cleanup(func() {
		k.client.CloseIdleConnections()
		k.process.Kill()
	})
	return k
}

func (k *kube) file(name string) string { return filepath.Join(k.dir, name) }

// makeKeys makes the server's certificate, which is its own authority, and the key of the tokens of service accounts.
func (k *kube) makeKeys() {
	k.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		k.t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		k.t.Fatal(err)
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		k.t.Fatal(err)
	}
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})
	k.write(k.file("ca.crt"), string(ca))
	k.write(k.file("server.key"), string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der})))
	k.write(k.file("tokens.csv"), adminToken+`,admin,1,"system:masters"`+"\n")
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	k.client = &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
}

// write replaces a file as a whole, as Kubernetes does.
func (k *kube) write(path, content string) {
	k.t.Helper()
	if err := os.WriteFile(path+".new", []byte(content), 0o600); err != nil {
		k.t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		k.t.Fatal(err)
	}
}

// start starts the API server on a port, with what is in etcd, and returns when it is ready.
func (k *kube) start(port string) {
	k.t.Helper()
	k.process = discoverytest.StartProcess(k.t, k.file("apiserver.log"), "kube-apiserver",
		"--etcd-servers", "http://"+k.etcd, "--bind-address", "127.0.0.1", "--secure-port", port, "--cert-dir", k.file("certificates"),
		"--tls-cert-file", k.file("ca.crt"), "--tls-private-key-file", k.file("server.key"), "--token-auth-file", k.file("tokens.csv"),
		"--service-account-issuer", "https://kubernetes.default.svc", "--service-account-key-file", k.file("server.key"),
		"--service-account-signing-key-file", k.file("server.key"), "--authorization-mode", "RBAC", "--service-cluster-ip-range", "192.0.2.0/24",
		"--endpoint-reconciler-type", "none", "--shutdown-delay-duration", "0s")
	eventually(k.t, "the API server is ready", func() bool {
		status, _, err := k.send(port, adminToken, http.MethodGet, "/readyz", nil)
		return err == nil && status == http.StatusOK
	})
}

// eventually looks until ok holds, which is up to another process.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); !ok(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not so in two minutes: %s", what)
		}
	}
}

func (k *kube) send(port, token, method, path string, body any) (int, []byte, error) {
	var text []byte
	if body != nil {
		var err error
		if text, err = json.Marshal(body); err != nil {
			return 0, nil, err
		}
	}
	req, err := http.NewRequestWithContext(k.t.Context(), method, "https://127.0.0.1:"+port+path, bytes.NewReader(text))
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	resp, err := k.client.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	return resp.StatusCode, answer, err
}

// do makes a request of the administrator, which must succeed.
func (k *kube) do(method, path string, body any) []byte {
	k.t.Helper()
	return k.doAt(k.port, method, path, body)
}

func (k *kube) doAt(port, method, path string, body any) []byte {
	k.t.Helper()
	status, answer, err := k.send(port, adminToken, method, path, body)
	if err != nil || status >= 300 {
		k.t.Fatalf("%s %s: %d %s %v", method, path, status, answer, err)
	}
	return answer
}

// compact makes etcd forget all that is not the present.
func (k *kube) compact() {
	k.t.Helper()
	post := func(path string, body object) []byte {
		text, _ := json.Marshal(body)
		resp, err := http.Post("http://"+k.etcd+path, "application/json", bytes.NewReader(text))
		if err != nil {
			k.t.Fatal(err)
		}
		defer resp.Body.Close()
		answer, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != http.StatusOK {
			k.t.Fatalf("etcd: %s: %d %s %v", path, resp.StatusCode, answer, err)
		}
		return answer
	}
	var at struct{ Header struct{ Revision string } }
	if err := json.Unmarshal(post("/v3/kv/range", object{"key": "eA=="}), &at); err != nil || at.Header.Revision == "" {
		k.t.Fatalf("etcd: no revision, %v", err)
	}
	post("/v3/kv/compaction", object{"revision": at.Header.Revision, "physical": true})
	http.DefaultClient.CloseIdleConnections()
}

// namespace is one with a service account, whose files are as in a pod.
type namespace struct {
	*kube
	name    string
	account string // the folder
}

// newNamespace makes one. The service account may do what verbs say with endpoint slices.
func (k *kube) newNamespace(t *testing.T, name string, verbs ...string) *namespace {
	t.Helper()
	own := *k
	own.t = t
	n := &namespace{kube: &own, name: name, account: t.TempDir()}
	n.do(http.MethodPost, "/api/v1/namespaces", object{"metadata": object{"name": name}})
	n.do(http.MethodPost, "/api/v1/namespaces/"+name+"/serviceaccounts", object{"metadata": object{"name": "app"}})
	n.write(filepath.Join(n.account, "namespace"), name+"\n")
	n.write(filepath.Join(n.account, "ca.crt"), string(must(os.ReadFile(n.file("ca.crt")))))
	n.setToken(n.newToken("first"))
	if len(verbs) > 0 {
		n.allow(verbs...)
	}
	return n
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// allow gives the service account a role, in place of the one before.
func (n *namespace) allow(verbs ...string) {
	n.t.Helper()
	rbac := "/apis/rbac.authorization.k8s.io/v1/namespaces/" + n.name
	role := object{"metadata": object{"name": "discovery"}, "rules": []object{{"apiGroups": []string{"discovery.k8s.io"}, "resources": []string{"endpointslices"}, "verbs": verbs}}}
	if status, _, err := n.send(n.port, adminToken, http.MethodGet, rbac+"/roles/discovery", nil); err == nil && status == http.StatusOK {
		n.do(http.MethodPut, rbac+"/roles/discovery", role)
		return
	}
	n.do(http.MethodPost, rbac+"/roles", role)
	n.do(http.MethodPost, rbac+"/rolebindings", object{
		"metadata": object{"name": "discovery"}, "subjects": []object{{"kind": "ServiceAccount", "name": "app", "namespace": n.name}},
		"roleRef": object{"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "discovery"},
	})
}

// newToken issues a token that is good for as long as the secret of that name is there.
func (n *namespace) newToken(secret string) string {
	n.t.Helper()
	n.do(http.MethodPost, "/api/v1/namespaces/"+n.name+"/secrets", object{"metadata": object{"name": secret}})
	answer := n.do(http.MethodPost, "/api/v1/namespaces/"+n.name+"/serviceaccounts/app/token",
		object{"spec": object{"boundObjectRef": object{"apiVersion": "v1", "kind": "Secret", "name": secret}}})
	var issued struct{ Status struct{ Token string } }
	if err := json.Unmarshal(answer, &issued); err != nil || issued.Status.Token == "" {
		n.t.Fatalf("no token: %s %v", answer, err)
	}
	return issued.Status.Token
}

func (n *namespace) setToken(token string) {
	n.t.Helper()
	n.write(filepath.Join(n.account, "token"), token)
}

// registry returns the registry of a pod.
func (n *namespace) registry() *k8sdiscovery.Registry {
	n.t.Setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
	n.t.Setenv("KUBERNETES_SERVICE_PORT", n.port)
	return k8sdiscovery.WithAccount(n.account)
}

func (n *namespace) slices() string {
	return "/apis/discovery.k8s.io/v1/namespaces/" + n.name + "/endpointslices"
}

func sliceOf(service, name, addressType string, endpoints ...endpointObject) *sliceObject {
	return &sliceObject{
		APIVersion: "discovery.k8s.io/v1", Kind: "EndpointSlice", AddressType: addressType, Endpoints: endpoints, Ports: grpcPort(),
		Metadata: sliceMetadata{Name: name, Labels: map[string]string{"kubernetes.io/service-name": service}},
	}
}

// put makes a slice of a service, or changes it.
func (n *namespace) put(s *sliceObject) {
	n.t.Helper()
	status, _, err := n.send(n.port, adminToken, http.MethodGet, n.slices()+"/"+s.Metadata.Name, nil)
	switch {
	case err != nil:
		n.t.Fatal(err)
	case status == http.StatusOK:
		n.do(http.MethodPut, n.slices()+"/"+s.Metadata.Name, s)
	default:
		n.do(http.MethodPost, n.slices(), s)
	}
}

// freePort returns one that is not given to outgoing connections.
func freePort(t *testing.T) string {
	t.Helper()
	for range 100 {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 20000+mathrand.N(10000)))
		if err != nil {
			continue // it is taken
		}
		defer l.Close()
		return strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
	}
	t.Fatal("no port is free")
	return ""
}
