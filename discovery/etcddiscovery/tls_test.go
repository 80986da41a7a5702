//go:build unix

package etcddiscovery_test

import (
	"crypto/tls"
	"strings"
	"testing"

	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/discovery/discoverytest"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// startTLS starts an etcd that wants certificates of its clients.
func startTLS(t *testing.T, c *discoverytest.Credentials) *server {
	t.Helper()
	s := newServer(t)
	s.flags = []string{"--cert-file", c.CertFile, "--key-file", c.KeyFile, "--trusted-ca-file", c.CAFile, "--client-cert-auth"}
	s.config = clientv3.Config{TLS: c.Client("root")}
	s.Start()
	return s
}

// as returns the server as one reaches it with other settings.
func (s *server) as(config clientv3.Config) *server {
	other := *s
	other.config = config
	return &other
}

func TestTLS(t *testing.T) {
	discoverytest.RunTLS(t, func(t *testing.T, c *discoverytest.Credentials) (discoverytest.Server, func(*tls.Config) discovery.Registrar) {
		s := startTLS(t, c)
		return s, func(config *tls.Config) discovery.Registrar {
			return s.as(clientv3.Config{TLS: config}).Open(discoverytest.Handle{})
		}
	})
}

// The common name in a client's certificate is its user.
func TestCertificateIsUser(t *testing.T) {
	t.Parallel()
	c := discoverytest.NewCredentials(t)
	s := startTLS(t, c)
	permit(t, s.client())
	as := func(name string) discovery.Registrar {
		return s.as(clientv3.Config{TLS: c.Client(name)}).Open(discoverytest.Handle{System: "shop"})
	}
	w := discoverytest.Watch(t, as("anna"), "cart")
	w.First()
	discoverytest.Register(t, as("otto"), discoverytest.Instance("cart", "c1", discovery.Ready))
	w.Until("c1 is there", discoverytest.States("c1 ready"))
	for name, want := range map[string]string{"anna": "readwrite --prefix=true /hanse/shop/", "nobody": ""} {
		if _, err := as(name).Register(t.Context(), discoverytest.Instance("cart", "c2", discovery.Ready)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Register by %s: %v, want an error with %q", name, err, want)
		} else {
			t.Log(name, err)
		}
	}
}
