package identity

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"
)

const (
	defaultLifetime = time.Hour
	caLifetime      = 365 * 24 * time.Hour
	caRenewal       = 30 * 24 * time.Hour // one that ends sooner is made anew when it is opened
	clockSkew       = time.Minute         // by which clocks of machines may differ

	caKeyFile = "ca.key"
)

// Authority issues certificates for the services of one system. It is a [Source], for a process that may have the key of the authority
// itself: hanse dev, its command line, and tests. Other processes get [Files].
//
// It is made by [NewAuthority] or [OpenAuthority]. Its methods are safe for concurrent use.
//
// Keys are ECDSA P-256. A certificate has one name, its SPIFFE ID; it is good for servers and for clients.
type Authority struct {
	// Lifetime of the certificates that are issued. Certificate renews its own when half of it is over. It is set before the first
	// is issued. 0: an hour.
	Lifetime time.Duration

	system string
	cert   *x509.Certificate
	key    *ecdsa.PrivateKey
	pool   *x509.CertPool

	mu     sync.Mutex
	issued map[string]*tls.Certificate // for Certificate, by service
}

// NewAuthority makes an authority for the system, which is kept nowhere: it is gone with the process.
func NewAuthority(system string) (*Authority, error) {
	if err := (ID{System: system, Service: "x"}).check(); err != nil {
		return nil, fmt.Errorf("identity: an authority for the system %q: %w", system, err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber:          serial(),
		Subject:               pkix.Name{CommonName: "authority of " + system},
		URIs:                  []*url.URL{{Scheme: scheme, Host: system}},
		NotBefore:             now.Add(-clockSkew),
		NotAfter:              now.Add(caLifetime),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLenZero:        true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	return newAuthority(system, der, key)
}

func newAuthority(system string, der []byte, key *ecdsa.PrivateKey) (*Authority, error) {
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	a := &Authority{system: system, cert: cert, key: key, pool: x509.NewCertPool(), issued: make(map[string]*tls.Certificate)}
	a.pool.AddCert(cert)
	return a, nil
}

// OpenAuthority returns the authority that is kept in the folder: its certificate in ca.crt, its key in ca.key. It makes the folder
// and the authority, for this user alone, where there is none, where it is another system's, or where it ends within 30 days. It
// refuses a key that other users may read. Two processes must not make the same one at once.
func OpenAuthority(dir, system string) (*Authority, error) {
	a, err := readAuthority(dir, system)
	if err == nil && a != nil && time.Until(a.cert.NotAfter) > caRenewal {
		return a, nil
	}
	if err != nil {
		return nil, err
	}
	if a, err = NewAuthority(system); err != nil {
		return nil, err
	}
	key, err := x509.MarshalPKCS8PrivateKey(a.key)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if err := writeFile(filepath.Join(dir, caKeyFile), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})); err != nil {
		return nil, err
	}
	return a, writeFile(filepath.Join(dir, caFile), a.rootsPEM())
}

// LoadAuthority returns the authority that [OpenAuthority] keeps in the folder. It makes none.
func LoadAuthority(dir string) (*Authority, error) {
	a, err := readAuthority(dir, "")
	if err == nil && a == nil {
		err = fmt.Errorf("identity: no authority is kept in %s", dir)
	}
	return a, err
}

// readAuthority returns nil where none is kept that could be used.
func readAuthority(dir, system string) (*Authority, error) {
	path := filepath.Join(dir, caKeyFile)
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("identity: %w", err)
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("identity: other users may read the key of the authority, %s (%s): remove it and the certificates that it issued", path, info.Mode().Perm())
	}
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, caFile), path)
	if err != nil { // half written, or damaged: a new one does no harm, for all that it vouched for ends soon
		return nil, nil
	}
	key, ok := pair.PrivateKey.(*ecdsa.PrivateKey)
	if !ok || len(pair.Leaf.URIs) != 1 || system != "" && pair.Leaf.URIs[0].Host != system {
		return nil, nil
	}
	return newAuthority(pair.Leaf.URIs[0].Host, pair.Certificate[0], key)
}

// System returns the name of the system whose services the authority vouches for.
func (a *Authority) System() string { return a.system }

// Issue makes a certificate with a new key for the service, good from now on for Lifetime. The ID in it is spiffe://SYSTEM/SERVICE.
func (a *Authority) Issue(service string) (*tls.Certificate, error) {
	lifetime := a.Lifetime
	if lifetime <= 0 {
		lifetime = defaultLifetime
	}
	now := time.Now()
	return a.issue(service, now.Add(-clockSkew), now.Add(lifetime))
}

// IssueFor makes a certificate that is good from one time to another: one that has expired, or is not good yet, for a test of what
// peers say to it.
func (a *Authority) IssueFor(service string, from, to time.Time) (*tls.Certificate, error) {
	return a.issue(service, from, to)
}

func (a *Authority) issue(service string, from, to time.Time) (*tls.Certificate, error) {
	id := ID{System: a.system, Service: service}
	if err := id.check(); err != nil {
		return nil, fmt.Errorf("identity: a certificate for the service %q: %w", service, err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber:          serial(),
		Subject:               pkix.Name{CommonName: service},
		URIs:                  []*url.URL{id.URL()},
		NotBefore:             from,
		NotAfter:              to,
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	if err != nil {
		return nil, err
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, nil
}

func serial() *big.Int {
	var b [16]byte
	rand.Read(b[:])
	b[0] &= 0x7f // at most 20 bytes and positive, says RFC 5280
	return new(big.Int).SetBytes(b[:])
}

// Certificate implements [Source]: it issues one for each service, and another when half of its time is over.
func (a *Authority) Certificate(service string) (*tls.Certificate, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if c := a.issued[service]; c != nil && time.Until(c.Leaf.NotAfter) > c.Leaf.NotAfter.Sub(c.Leaf.NotBefore)/2 {
		return c, nil
	}
	c, err := a.Issue(service)
	if err == nil {
		a.issued[service] = c
	}
	return c, err
}

// Roots implements [Source].
func (a *Authority) Roots() (*x509.CertPool, error) { return a.pool, nil }

// AddTo adds the authority to those that a pool believes.
func (a *Authority) AddTo(pool *x509.CertPool) { pool.AddCert(a.cert) }

// Changed implements [Source]. It returns nil: nobody need try again because of a new certificate.
func (a *Authority) Changed() <-chan struct{} { return nil }

// rootsPEM is the authority's own certificate as text.
func (a *Authority) rootsPEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw})
}

// WriteFiles issues a certificate for the service and puts it into the folder as [Files] reads it: with its key in tls.pem, and the
// authority in ca.crt, beside the certificates of others that shall be believed. It makes the folder, for this user alone. Each file
// changes at once as a whole, so that a program that reads them meanwhile sees the old or the new ones.
func (a *Authority) WriteFiles(dir, service string, others ...*Authority) error {
	cert, err := a.Issue(service)
	if err != nil {
		return err
	}
	key, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if err != nil {
		return err
	}
	roots := a.rootsPEM()
	for _, o := range others {
		roots = append(roots, o.rootsPEM()...)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Certificate[0]})
	text = append(text, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})...)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return errors.Join(writeFile(filepath.Join(dir, caFile), roots), writeFile(filepath.Join(dir, bothFile), text))
}

// writeFile replaces a file, for this user alone.
func writeFile(path string, content []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*") // mode 0600
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}
