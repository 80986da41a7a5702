package discoverytest

import (
	"context"
	"crypto/tls"
	"testing"
	"time"

	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/internal/certtest"
)

// Credentials are certificates for a server on loopback and for its clients.
type Credentials struct {
	CAFile            string // the authority of both
	CertFile, KeyFile string // of the server
	ca                *certtest.Authority
	t                 testing.TB
}

// NewCredentials returns certificates of a new authority, in files until the test ends.
func NewCredentials(t testing.TB) *Credentials {
	t.Helper()
	c := &Credentials{ca: certtest.NewAuthority(t), t: t}
	dir := t.TempDir()
	c.CAFile, _ = certtest.Write(t, dir, "ca", c.ca.Certificate)
	c.CertFile, c.KeyFile = certtest.Write(t, dir, "server", c.ca.Leaf(t, "localhost", "127.0.0.1"))
	return c
}

// Client returns the settings of a client with a certificate of that common name. The empty name is for none.
func (c *Credentials) Client(name string) *tls.Config {
	c.t.Helper()
	config := &tls.Config{RootCAs: c.ca.Pool, MinVersion: tls.VersionTLS12}
	if name != "" {
		config.Certificates = []tls.Certificate{*c.ca.Leaf(c.t, name)}
	}
	return config
}

// RunTLS tests a registry whose server wants certificates of its clients. start starts a server with credentials, and returns it with what opens
// handles with settings of a client's; nil is for plaintext.
func RunTLS(t *testing.T, start func(*testing.T, *Credentials) (Server, func(*tls.Config) discovery.Registrar)) {
	t.Parallel()
	c := NewCredentials(t)
	server, open := start(t, c)
	lease := announce(t, open(c.Client("shop")), "c1", discovery.Ready)
	h := Remember(t, open(c.Client("shop")), "cart")
	h.Until(t, "c1 ready")
	other := NewCredentials(t)
	stranger := other.Client("shop")
	stranger.RootCAs = c.ca.Pool
	for name, config := range map[string]*tls.Config{
		"none": c.Client(""), "a stranger's": stranger, "that does not trust the server": other.Client("shop"), "in plaintext": nil,
	} {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		_, err := open(config).Register(ctx, Instance("cart", "c2", discovery.Ready))
		cancel()
		if err == nil {
			t.Errorf("Register with a certificate that is %s: no error", name)
		}
		t.Logf("%s: %v", name, err)
	}
	server.Kill()
	server.Start()
	update(t, lease, "c1", discovery.Draining)
	h.Until(t, "c1 draining")
	h.Never(t, "c1")
}
