package gateway

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"

	"github.com/hanse-go/hanse/identity"
	"github.com/hanse-go/hanse/internal/grpctext"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
)

// Headers as metadata, and back.

// hidden are the headers of requests that are not metadata: they are about the connection, the body or a protocol. Keys that begin with
// ownPrefix are a case of their own.
var hidden = map[string]bool{
	"Connection": true, "Keep-Alive": true, "Proxy-Connection": true, "Te": true, "Trailer": true, "Transfer-Encoding": true, "Upgrade": true,
	"Host": true, "Content-Length": true, "Content-Encoding": true, "Accept-Encoding": true, "Expect": true,
	"Connect-Protocol-Version": true, "Connect-Timeout-Ms": true, "Connect-Content-Encoding": true, "Connect-Accept-Encoding": true,
	"Grpc-Timeout": true, "Grpc-Encoding": true, "Grpc-Accept-Encoding": true, "Grpc-Status": true, "Grpc-Message": true,
	"Grpc-Status-Details-Bin": true, "Grpc-Message-Type": true, "X-Grpc-Web": true, "X-User-Agent": true,
}

// usual are headers that many requests have, and their keys.
var usual = map[string]string{
	"Accept": "accept", "Authorization": "authorization", "Content-Type": "content-type", "Cookie": "cookie", "Idempotency-Key": "idempotency-key", "Origin": "origin",
	"Traceparent": "traceparent", "Tracestate": "tracestate", "User-Agent": "user-agent", "X-Forwarded-For": "x-forwarded-for", requestID: "x-request-id",
}

const (
	ownPrefix    = "Hanse-"
	instanceKey  = "Hanse-Instance" // the instance that is meant: there is no harm in being refused by the others
	authorityKey = ":authority"
)

// incoming returns a request's headers as the metadata of its call. A value that is no base64 under a key of binary values is an error.
//
// Of the keys that Hanse itself sends, by which callers within the system say how urgent a call is, only those count that come from a
// caller that has shown its identity: whoever comes from outside must not be able to set them.
func incoming(r *http.Request) (metadata.MD, error) {
	md := make(metadata.MD, len(r.Header)+1)
	for name, values := range r.Header {
		if key := usual[name]; key != "" {
			md[key] = values[:len(values):len(values)]
			continue
		}
		if hidden[name] || !validKey(name) {
			continue
		}
		if strings.HasPrefix(name, ownPrefix) && name != instanceKey && !saysREST(name, values) {
			if _, known := identity.Caller(r.Context()); !known {
				continue
			}
		}
		key := strings.ToLower(name)
		if !grpctext.BinaryKey(key) {
			md[key] = values[:len(values):len(values)]
			continue
		}
		var decoded []string
		for _, value := range values {
			for part := range strings.SplitSeq(value, ",") {
				v, err := grpctext.DecodeBinary(part)
				if err != nil {
					return nil, fmt.Errorf("malformed binary metadata %q in header %q: %w", part, key, err)
				}
				decoded = append(decoded, v)
			}
		}
		md[key] = decoded
	}
	md[authorityKey] = []string{r.Host}
	return md, nil
}

// headerMetadata returns a request's headers as metadata if something can be wrong with them; the error says what. Else it is nil: to be
// made when somebody asks for it.
func headerMetadata(r *http.Request) (metadata.MD, error) {
	for name := range r.Header {
		if at := len(name) - len("-bin"); at > 0 && strings.EqualFold(name[at:], "-bin") {
			return incoming(r)
		}
	}
	return nil, nil
}

// validKey reports whether a header's name can be that of metadata.
func validKey(name string) bool {
	for i := range len(name) {
		if c := name[i]; !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '.' || c == '-' || c == '_') {
			return false
		}
	}
	return name != ""
}

// addHeaders writes metadata that a handler has set into the headers of a response, their names behind prefix.
func addHeaders(dst http.Header, md metadata.MD, prefix string) {
	for key, values := range md {
		name := http.CanonicalHeaderKey(key)
		if reserved(name) || !validKey(name) {
			continue
		}
		name = prefix + name
		for _, value := range values {
			if grpctext.BinaryKey(key) {
				value = grpctext.EncodeBinary(value)
			}
			dst[name] = append(dst[name], value)
		}
	}
}

// reserved reports whether handlers may not set a header.
func reserved(name string) bool {
	return hidden[name] || name == "Content-Type" || name == "User-Agent" || name == "Date" || name == statusHeader
}

// peerOf returns what a request itself says about the peer.
func peerOf(r *http.Request) *peer.Peer {
	p := &peer.Peer{Addr: address(r.RemoteAddr)}
	p.LocalAddr, _ = r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if r.TLS != nil {
		info := credentials.TLSInfo{State: *r.TLS, CommonAuthInfo: credentials.CommonAuthInfo{SecurityLevel: credentials.PrivacyAndIntegrity}}
		if certs := r.TLS.PeerCertificates; len(certs) > 0 && len(certs[0].URIs) == 1 && certs[0].URIs[0].Scheme == "spiffe" {
			info.SPIFFEID = certs[0].URIs[0]
		}
		p.AuthInfo = info
	} else if _, info, err := insecure.NewCredentials().ServerHandshake(nil); err == nil {
		p.AuthInfo = info
	}
	return p
}

// address is a peer's, as text: of TCP, or of something else.
type textAddr string

func (textAddr) Network() string  { return "" }
func (a textAddr) String() string { return string(a) }

func address(s string) net.Addr {
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return net.TCPAddrFromAddrPort(ap)
	}
	return textAddr(s)
}

// mediaTypeOf returns the request's content type without parameters, in small letters.
func mediaTypeOf(h http.Header) string {
	value := first(h, "Content-Type")
	if i := strings.IndexByte(value, ';'); i >= 0 {
		value = value[:i]
	}
	return strings.ToLower(strings.TrimSpace(value))
}

// first returns the first value of a header, whose name is in canonical form.
func first(h http.Header, name string) string {
	if values := h[name]; len(values) > 0 {
		return values[0]
	}
	return ""
}

// The content types of nearly all replies. Headers share the values.
var (
	jsonHeader  = []string{jsonType}
	protoHeader = []string{protoType}
)

const (
	jsonType  = "application/json"
	protoType = "application/proto"
)

// typeHeader returns the values of a Content-Type, which must not be changed.
func typeHeader(contentType string) []string {
	switch contentType {
	case jsonType:
		return jsonHeader
	case protoType:
		return protoHeader
	}
	return []string{contentType}
}
