//go:build unix

package zkdiscovery_test

import (
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"
	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/discovery/discoverytest"
	"github.com/hanse-go/hanse/discovery/zkdiscovery"
)

// startTLS starts a ZooKeeper that wants certificates of its clients.
func startTLS(t *testing.T, c *discoverytest.Credentials) *server {
	t.Helper()
	s := newServer(t)
	host, port, err := net.SplitHostPort(s.address)
	if err != nil {
		t.Fatal(err)
	}
	var both []byte // ZooKeeper wants the certificate and its key in one file
	for _, file := range []string{c.KeyFile, c.CertFile} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		both = append(both, text...)
	}
	own := filepath.Join(s.dir, "server.pem")
	if err := os.WriteFile(own, both, 0o600); err != nil {
		t.Fatal(err)
	}
	s.config = fmt.Sprintf("secureClientPort=%s\nsecureClientPortAddress=%s\nserverCnxnFactory=org.apache.zookeeper.server.NettyServerCnxnFactory\n"+
		"authProvider.x509=org.apache.zookeeper.server.auth.X509AuthenticationProvider\n"+
		"ssl.keyStore.location=%s\nssl.keyStore.type=PEM\nssl.trustStore.location=%s\nssl.trustStore.type=PEM\nssl.clientAuth=need\n", port, host, own, c.CAFile)
	s.dial = dialTLS(c.Client("root"))
	s.Start()
	return s
}

func dialTLS(config *tls.Config) zk.Dialer {
	if config == nil {
		return net.DialTimeout
	}
	return func(network, address string, timeout time.Duration) (net.Conn, error) {
		return tls.DialWithDialer(&net.Dialer{Timeout: timeout}, network, address, config)
	}
}

func TestTLS(t *testing.T) {
	discoverytest.RunTLS(t, func(t *testing.T, c *discoverytest.Credentials) (discoverytest.Server, func(*tls.Config) discovery.Registrar) {
		s := startTLS(t, c)
		return s, func(config *tls.Config) discovery.Registrar {
			other := *s
			other.dial = dialTLS(config)
			return other.Open(discoverytest.Handle{})
		}
	})
}

// The name in a client's certificate can be who may write.
func TestCertificateIsUser(t *testing.T) {
	t.Parallel()
	c := discoverytest.NewCredentials(t)
	s := startTLS(t, c)
	as := func(name string) *zkdiscovery.Registry {
		other := *s
		other.dial = dialTLS(c.Client(name))
		return other.open(zkdiscovery.Options{ACL: append(zk.AuthACL(zk.PermAll), zk.WorldACL(zk.PermRead)...)}, s.address)
	}
	w := discoverytest.Watch(t, as("anna"), "cart")
	w.First()
	discoverytest.Register(t, as("otto"), discoverytest.Instance("cart", "c1", discovery.Ready))
	w.Until("c1 is there", discoverytest.States("c1 ready"))
	if _, err := as("anna").Register(t.Context(), discoverytest.Instance("cart", "c2", discovery.Ready)); err == nil || !strings.Contains(err.Error(), "allow it to others only") {
		t.Errorf("Register by anna: %v", err)
	}
}
