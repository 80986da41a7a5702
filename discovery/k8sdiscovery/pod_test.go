package k8sdiscovery_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hanse-go/hanse/discovery/discoverytest"
	"github.com/hanse-go/hanse/discovery/k8sdiscovery"
)

// What a pod finds in its files, over TLS and HTTP/2 as in a cluster.
func TestPod(t *testing.T) {
	s := newAPIServer()
	s.token = "first"
	protocols := make(chan string, 100)
	s.before = func(_ http.ResponseWriter, r *http.Request) bool { protocols <- r.Proto; return false }
	s.put("cart", "cart-1", "IPv4", grpcPort(), ready("a", "10.0.0.1"))
	server := httptest.NewUnstartedServer(s)
	server.EnableHTTP2 = true
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo)
	server.StartTLS()
	defer server.Close()
	defer server.CloseClientConnections()

	dir := t.TempDir()
	write := func(name, content string) {
		t.Helper()
		// Kubernetes replaces such files as a whole.
		if err := os.WriteFile(filepath.Join(dir, ".new"), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(dir, ".new"), filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	ca := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
	write("namespace", "shop\n")
	write("token", "first\n")
	write("ca.crt", ca)
	host, port, err := net.SplitHostPort(server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("KUBERNETES_SERVICE_HOST", host)
	t.Setenv("KUBERNETES_SERVICE_PORT", port)

	log := new(discoverytest.Log)
	reg := k8sdiscovery.WithAccount(dir)
	reg.Logger = log.Logger()
	w := discoverytest.Watch(t, reg, "cart")
	w.Until("it is there", at("10.0.0.1"))
	if p := <-protocols; p != "HTTP/2.0" {
		t.Errorf("by %s, want HTTP/2", p)
	}

	// The token is replaced, and the authority too.
	s.set(func() { s.token = "second" })
	server.CloseClientConnections()
	other := discoverytest.Watch(t, reg, "cart")
	log.Await(t, "is not valid, or no longer")
	write("token", "second")
	write("ca.crt", "# renewed\n"+ca)
	s.put("cart", "cart-1", "IPv4", grpcPort(), ready("b", "10.0.0.2"))
	w.Until("the change is seen with the new token", at("10.0.0.2"))
	other.Until("the change is seen with the new token", at("10.0.0.2"))
	w.Stop()
	other.Stop()

	// An authority that is replaced by the right one.
	renewed := k8sdiscovery.WithAccount(dir)
	renewed.Logger = reg.Logger
	write("ca.crt", foreignAuthority(t))
	w = discoverytest.Watch(t, renewed, "cart")
	log.Await(t, "must have the cluster's certificate authority")
	write("ca.crt", ca)
	w.Until("it is trusted", at("10.0.0.2"))

	// Mistakes.
	foreign := k8sdiscovery.WithAccount(dir)
	foreign.Logger = reg.Logger
	foreign.CAFile = filepath.Join(t.TempDir(), "ca.crt")
	if err := os.WriteFile(foreign.CAFile, []byte("nothing\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	discoverytest.Watch(t, foreign, "cart").First()
	if log.Count("has no certificate") == 0 {
		t.Errorf("nothing is said of a file without certificates:\n%s", log)
	}
}

// foreignAuthority returns the certificate of one that nobody here has.
func foreignAuthority(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}
