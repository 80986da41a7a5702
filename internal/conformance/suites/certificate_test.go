package suites

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"net"
	"sync"
	"testing"

	"github.com/hanse-go/hanse/internal/certtest"
)

// certName is the name in the certificate.
const certName = "foo.test.example.org"

var madeCertificate struct {
	sync.Once
	cert, key string
}

// certificate returns the files of a certificate that signed itself, and of its key.
func certificate(t *testing.T) (cert, key string) {
	t.Helper()
	madeCertificate.Do(func() {
		alone := new(certtest.Authority).Issue(t, &x509.Certificate{
			Subject: pkix.Name{CommonName: certName}, DNSNames: []string{certName, "localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
			IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
			ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		})
		madeCertificate.cert, madeCertificate.key = certtest.Write(t, tools, "cert", alone)
	})
	return madeCertificate.cert, madeCertificate.key
}
