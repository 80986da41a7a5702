package rpc

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"net"
	"sync/atomic"
	"time"

	"github.com/hanse-go/hanse/identity"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
)

// inProcessAddr is the address of a service within the process: its name.
type inProcessAddr string

var _ net.Addr = inProcessAddr("")

func (inProcessAddr) Network() string  { return "inprocess" }
func (a inProcessAddr) String() string { return cmp.Or(string(a), "inprocess") }

// peerFresh is how long a peer shows the certificate that it had: sources may read files.
const peerFresh = 10 * time.Second

// localPeer is one end of an in-process link as the other end sees it. With a source of certificates it shows what a connection would:
// programs that look at the TLS state of their peers, as grpc's do, then need not know that there is none.
type localPeer struct {
	plain   peer.Peer
	service string
	source  identity.Source // nil: it shows nothing
	shown   atomic.Pointer[shownPeer]
}

type shownPeer struct {
	peer.Peer
	cert *tls.Certificate // nil: there was none
	read time.Time
}

func newLocalPeer(service, other string, source identity.Source) *localPeer {
	return &localPeer{plain: peer.Peer{Addr: inProcessAddr(service), LocalAddr: inProcessAddr(other)}, service: service, source: source}
}

// get returns the peer, which must not be changed.
func (p *localPeer) get() *peer.Peer {
	if p.source == nil {
		return &p.plain
	}
	now, shown := time.Now(), p.shown.Load()
	if shown == nil || now.Sub(shown.read) >= peerFresh {
		cert, err := p.source.Certificate(p.service)
		if err != nil {
			cert = nil // the caller is known all the same
		}
		next := &shownPeer{Peer: p.plain, cert: cert, read: now}
		switch {
		case cert == nil:
		case shown != nil && shown.cert == cert:
			next.AuthInfo = shown.AuthInfo
		default:
			next.AuthInfo = localTLS(cert)
		}
		p.shown.Store(next)
		shown = next
	}
	return &shown.Peer
}

// localTLS is what a TLS connection with that certificate at the other end would tell; nil when the certificate cannot be read.
func localTLS(cert *tls.Certificate) credentials.AuthInfo {
	var chain []*x509.Certificate
	for i, der := range cert.Certificate {
		c := cert.Leaf
		if i > 0 || c == nil {
			var err error
			if c, err = x509.ParseCertificate(der); err != nil {
				return nil
			}
		}
		chain = append(chain, c)
	}
	if len(chain) == 0 {
		return nil
	}
	return tlsInfo(tls.ConnectionState{
		Version: tls.VersionTLS13, HandshakeComplete: true, NegotiatedProtocol: "h2",
		PeerCertificates: chain, VerifiedChains: [][]*x509.Certificate{chain},
	})
}
