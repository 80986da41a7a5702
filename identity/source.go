package identity

import (
	"crypto/tls"
	"crypto/x509"
)

// Source is where certificates come from, live: it is asked for each new connection, and connections that are open keep what they
// began with. Its methods are safe for concurrent use and quick: what they return is at hand, or made without a network.
type Source interface {
	// Certificate returns the certificate and the key that the named service shows to its peers. "" is the program itself, for
	// calls that no service makes. The error says why there is none, and fails the connection.
	Certificate(service string) (*tls.Certificate, error)

	// Roots returns the authorities of which one must vouch for a peer's certificate.
	Roots() (*x509.CertPool, error)

	// Changed returns a channel that is closed when Certificate or Roots would return something else than when it was called.
	// Sources that change without telling return nil. Nobody needs it to be safe: it makes clients that could not connect try again
	// at once.
	Changed() <-chan struct{}
}

// Namer is a Source whose services have IDs that are not spiffe://SYSTEM/SERVICE, such as spiffe://example.org/ns/shop/sa/cart.
type Namer interface {
	Source
	// ServiceID returns the ID that the instances of a service must show, in a system.
	ServiceID(system, service string) ID
}
