package identity

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
)

// PeerError is the error of a connection whose peer is somebody else than was wanted, although an authority vouches for it.
type PeerError struct {
	Want ID // Service is "" where any of the system will do
	Got  ID
}

// Error says who was wanted and who it is.
func (e *PeerError) Error() string {
	if e.Want.Service == "" {
		return fmt.Sprintf("the peer is %s, which is not of the system %s", e.Got, e.Want.System)
	}
	return fmt.Sprintf("the peer is %s and not %s: its address belongs to another service, or its certificate was issued for another name", e.Got, e.Want)
}

// ServerConfig returns the config of a port that serves the named services: mutual TLS 1.3, with callers of the same system only.
//
// The service that the client asks for (SNI) is the one whose certificate it is shown; the first of them where it names none. The
// certificate and the authorities are those that src has when the connection begins. A certificate for callers must allow client
// authentication, or say nothing of its usage.
//
// There are no session tickets: a session that is resumed would outlive the certificate that it began with.
func ServerConfig(src Source, services ...string) *tls.Config {
	base := tls.Config{MinVersion: tls.VersionTLS13, SessionTicketsDisabled: true}
	outer := base.Clone()
	outer.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		service := ""
		if len(services) > 0 {
			service = services[max(0, slices.Index(services, hello.ServerName))]
		}
		cert, own, err := certificate(src, service)
		if err != nil {
			return nil, err
		}
		roots, err := src.Roots()
		if err != nil {
			return nil, err
		}
		c := base.Clone()
		c.Certificates = []tls.Certificate{*cert}
		c.ClientAuth, c.ClientCAs = tls.RequireAndVerifyClientCert, roots
		c.VerifyConnection = func(state tls.ConnectionState) error {
			id, err := peerID(state)
			if err == nil && id.System != own.System {
				err = &PeerError{Want: ID{System: own.System}, Got: id}
			}
			return err
		}
		return c, nil
	}
	return outer
}

// ClientConfig returns the config of the connections that the service caller, "" for a program that is none, makes to instances of
// service. The peer must show the ID of that service in the caller's own system; its host name and address count for nothing. The
// certificate and the authorities are those that src has when a connection begins. No session is ever resumed.
func ClientConfig(src Source, caller, service string) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		ServerName: service, // tells the peer which of its services is meant
		// What crypto/tls verifies is a host name. VerifyConnection checks the chain as well as the ID.
		InsecureSkipVerify: true,
		VerifyConnection: func(state tls.ConnectionState) error {
			_, own, err := certificate(src, caller)
			if err != nil {
				return err
			}
			id, err := peerID(state)
			if err != nil {
				return err
			}
			if err := verifyServer(src, id, state.PeerCertificates); err != nil {
				return err
			}
			want := ID{System: own.System, Service: service}
			if n, ok := src.(Namer); ok {
				want = n.ServiceID(own.System, service)
			}
			if id != want {
				return &PeerError{Want: want, Got: id}
			}
			return nil
		},
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			cert, _, err := certificate(src, caller)
			return cert, err
		},
	}
}

// certificate returns the certificate of a service and the ID in it.
func certificate(src Source, service string) (*tls.Certificate, ID, error) {
	cert, err := src.Certificate(service)
	if err != nil {
		return nil, ID{}, err
	}
	leaf := cert.Leaf
	if leaf == nil {
		if len(cert.Certificate) == 0 {
			return nil, ID{}, errors.New("identity: the source gave an empty certificate")
		}
		if leaf, err = x509.ParseCertificate(cert.Certificate[0]); err != nil {
			return nil, ID{}, fmt.Errorf("identity: %w", err)
		}
	}
	id, err := CertificateID(leaf)
	return cert, id, err
}

// peerID returns who the peer says that it is.
func peerID(state tls.ConnectionState) (ID, error) {
	if len(state.PeerCertificates) == 0 {
		return ID{}, errors.New("identity: the peer shows no certificate")
	}
	return CertificateID(state.PeerCertificates[0])
}

// verifyServer checks that an authority vouches for the certificate of a server.
func verifyServer(src Source, id ID, chain []*x509.Certificate) error {
	roots, err := src.Roots()
	if err != nil {
		return err
	}
	options := x509.VerifyOptions{Roots: roots, Intermediates: x509.NewCertPool()} // the usage asked for is that of a server by default
	for _, c := range chain[1:] {
		options.Intermediates.AddCert(c)
	}
	if _, err := chain[0].Verify(options); err != nil {
		return fmt.Errorf("the certificate of %s: %w", id, err)
	}
	return nil
}
