package identity

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Exported are files with a service's certificate, for a program that reads such files and knows nothing of a [Source].
type Exported struct {
	Cert string // its certificate, and those between it and the authority
	Key  string // of the certificate, for this user alone
	CA   string // the authorities that are believed
}

// pemRoots is a Source that has its authorities in PEM form.
type pemRoots interface {
	pemRoots(service string) ([]byte, error)
}

func (a *Authority) pemRoots(string) ([]byte, error) { return a.rootsPEM(), nil }

func (f *Files) pemRoots(service string) ([]byte, error) { return os.ReadFile(f.caPath(service)) }

// Export writes the certificate of a service, its key and the authorities of src into the folder dir, which it makes. Each file changes
// at once as a whole, the certificate last, and only if it is another one: who reads a key and a certificate that do not belong together
// reads them once more. The source must be an [Authority] or [Files].
func Export(src Source, service, dir string) (Exported, error) {
	e := Exported{Cert: filepath.Join(dir, certFile), Key: filepath.Join(dir, keyFile), CA: filepath.Join(dir, caFile)}
	r, ok := src.(pemRoots)
	if !ok {
		return e, fmt.Errorf("identity: certificates of a %T cannot be written to files", src)
	}
	cert, err := src.Certificate(service)
	if err != nil {
		return e, err
	}
	roots, err := r.pemRoots(service)
	if err != nil {
		return e, fmt.Errorf("identity: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if err != nil {
		return e, fmt.Errorf("identity: the key of %s cannot be written to a file: %w", service, err)
	}
	var chain []byte
	for _, c := range cert.Certificate {
		chain = append(chain, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c})...)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return e, err
	}
	return e, errors.Join(
		replaceFile(e.CA, roots),
		replaceFile(e.Key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})),
		replaceFile(e.Cert, chain))
}

// replaceFile writes a file unless it has that content.
func replaceFile(path string, content []byte) error {
	if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, content) {
		return nil
	}
	return writeFile(path, content)
}
