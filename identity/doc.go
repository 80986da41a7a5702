// Package identity says who runs: each instance of a service has a certificate whose name is a SPIFFE ID, and peers let in and call
// nobody else.
//
// Where certificates come from is a [Source]: [Files], which an orchestrator renews, or an [Authority] of one's own, which hanse dev keeps
// for each system:
//
//	app := &hanse.App{Identity: &identity.Files{Dir: "/run/secrets/tls"}}
//
// From then on all calls between processes go over mutual TLS 1.3, on TCP and on unix sockets.
//
// A peer is who its certificate's SPIFFE ID says, and nothing else of the certificate counts: no host name, no address, no common
// name. A caller of the service cart wants the ID spiffe://SYSTEM/cart at the other end, wherever that is: so a certificate stays good
// when its instance moves, and an instance of another service cannot pass for cart although the same authority vouches for it.
package identity
