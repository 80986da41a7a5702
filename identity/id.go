package identity

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"strings"
)

const (
	scheme     = "spiffe"
	maxID      = 2048 // bytes, says the SPIFFE standard
	maxDomain  = 255
	wantFormat = "a SPIFFE ID is spiffe://SYSTEM/SERVICE"
)

// ID is a SPIFFE ID: the name of a workload in its certificate, spiffe://SYSTEM/SERVICE. IDs can be compared with == and be keys of
// maps. The zero value is nobody.
type ID struct {
	// System is the trust domain, which names all that one authority vouches for: 1 to 255 of a-z, 0-9, '.', '-' and '_'.
	System string

	// Service is the path, without its first slash: the name of a service. IDs of other issuers may have several segments, such as
	// ns/shop/sa/cart.
	Service string
}

// ParseID reads an ID such as spiffe://shop/cart, by the rules of the SPIFFE standard. An ID without a path, which names a system and no
// workload, is an error.
func ParseID(s string) (ID, error) {
	rest, ok := strings.CutPrefix(s, scheme+"://")
	if !ok {
		return ID{}, fmt.Errorf("identity: %q: %s", s, wantFormat)
	}
	system, service, _ := strings.Cut(rest, "/")
	id := ID{System: system, Service: service}
	if err := id.check(); err != nil {
		return ID{}, fmt.Errorf("identity: %q: %w", s, err)
	}
	return id, nil
}

// String returns the ID as certificates have it, and "" for nobody.
func (id ID) String() string {
	if id == (ID{}) {
		return ""
	}
	return scheme + "://" + id.System + "/" + id.Service
}

// URL returns the ID as a certificate template's URIs want it.
func (id ID) URL() *url.URL { return &url.URL{Scheme: scheme, Host: id.System, Path: "/" + id.Service} }

// MarshalText returns what String does. It never fails.
func (id ID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText reads what [ParseID] does, and takes an empty text for nobody.
func (id *ID) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*id = ID{}
		return nil
	}
	parsed, err := ParseID(string(text))
	if err == nil {
		*id = parsed
	}
	return err
}

// check says what is wrong with an ID.
func (id ID) check() error {
	switch {
	case id.System == "":
		return fmt.Errorf("it names no system: %s", wantFormat)
	case len(id.System) > maxDomain:
		return fmt.Errorf("the system's name is longer than %d bytes", maxDomain)
	case id.Service == "":
		return fmt.Errorf("it names no service: %s", wantFormat)
	case len(id.String()) > maxID:
		return fmt.Errorf("it is longer than %d bytes", maxID)
	}
	if i := strings.IndexFunc(id.System, func(r rune) bool { return !lower(r) && r != '.' && r != '-' && r != '_' }); i >= 0 {
		return fmt.Errorf("a system's name has no %q: it is made of a-z, 0-9, '.', '-' and '_'", id.System[i:i+1])
	}
	for segment := range strings.SplitSeq(id.Service, "/") {
		switch segment {
		case "":
			return errors.New("its path has an empty segment")
		case ".", "..":
			return fmt.Errorf("its path has the segment %q", segment)
		}
		if i := strings.IndexFunc(segment, func(r rune) bool { return !lower(r) && (r < 'A' || r > 'Z') && r != '.' && r != '-' && r != '_' }); i >= 0 {
			return fmt.Errorf("its path has no %q: it is made of letters, digits, '.', '-' and '_'", segment[i:i+1])
		}
	}
	return nil
}

func lower(r rune) bool { return r >= 'a' && r <= 'z' || r >= '0' && r <= '9' }

// CertificateID returns the ID of a certificate's owner: its only URI. It does not say who signed the certificate.
func CertificateID(cert *x509.Certificate) (ID, error) {
	switch len(cert.URIs) {
	case 0:
		return ID{}, fmt.Errorf("identity: the certificate of %s has no SPIFFE ID: it needs exactly one URI among its names, spiffe://SYSTEM/SERVICE", owner(cert))
	case 1:
		return ParseID(cert.URIs[0].String())
	}
	return ID{}, fmt.Errorf("identity: the certificate of %s has %d URIs among its names: a SPIFFE ID is the only one", owner(cert), len(cert.URIs))
}

// owner is what else a certificate says of its owner, for messages.
func owner(cert *x509.Certificate) string {
	if name := cert.Subject.String(); name != "" {
		return fmt.Sprintf("%q", name)
	}
	if len(cert.DNSNames) > 0 {
		return fmt.Sprintf("%q", cert.DNSNames[0])
	}
	return "an unnamed owner"
}
