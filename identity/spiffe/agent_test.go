package spiffe_test

import (
	"crypto/x509"
	"encoding/pem"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/hanse-go/hanse/identity"
	"github.com/spiffe/go-spiffe/v2/proto/spiffe/workload"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// agent is a server of the Workload API, as SPIRE's agent is one: it speaks the standard's protocol over a unix socket.
type agent struct {
	workload.UnimplementedSpiffeWorkloadAPIServer
	Addr string
	path string
	srv  *grpc.Server
	done chan struct{}

	mu      sync.Mutex
	reply   *workload.X509SVIDResponse // nil: no identity issued
	changed chan struct{}
}

func newAgent(t *testing.T) *agent {
	t.Helper()
	dir, err := os.MkdirTemp("", "a") // t.TempDir is too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	a := &agent{path: filepath.Join(dir, "s"), changed: make(chan struct{})}
	a.Addr = "unix://" + a.path
	t.Cleanup(func() {
		a.stop()
		os.RemoveAll(dir)
	})
	a.run(t)
	return a
}

// run serves until stop.
func (a *agent) run(t *testing.T) {
	t.Helper()
	lis, err := net.Listen("unix", a.path)
	if err != nil {
		t.Fatal(err)
	}
	a.srv, a.done = grpc.NewServer(), make(chan struct{})
	workload.RegisterSpiffeWorkloadAPIServer(a.srv, a)
	go func(srv *grpc.Server, done chan struct{}) {
		defer close(done)
		srv.Serve(lis)
	}(a.srv, a.done)
}

func (a *agent) stop() {
	a.srv.Stop()
	<-a.done
}

// svid is an identity that the agent gives.
type svid struct {
	authority *identity.Authority
	path      string
}

// give replaces what the agent gives to its process: these identities, and these authorities of the domain of the first.
func (a *agent) give(t *testing.T, roots []*identity.Authority, svids ...svid) {
	t.Helper()
	reply := &workload.X509SVIDResponse{FederatedBundles: make(map[string][]byte)}
	var bundle []byte
	for _, r := range roots {
		bundle = append(bundle, certificateOf(t, r)...)
	}
	for _, s := range svids {
		cert, err := s.authority.Issue(s.path)
		if err != nil {
			t.Fatal(err)
		}
		key, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
		if err != nil {
			t.Fatal(err)
		}
		own := bundle
		if s.authority.System() != svids[0].authority.System() {
			own = certificateOf(t, s.authority)
		}
		reply.Svids = append(reply.Svids, &workload.X509SVID{
			SpiffeId: "spiffe://" + s.authority.System() + "/" + s.path, X509Svid: cert.Certificate[0], X509SvidKey: key, Bundle: own,
		})
	}
	a.send(reply)
}

func (a *agent) send(reply *workload.X509SVIDResponse) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.reply = reply
	close(a.changed)
	a.changed = make(chan struct{})
}

// certificateOf returns an authority's own certificate.
func certificateOf(t *testing.T, a *identity.Authority) []byte {
	t.Helper()
	dir := t.TempDir()
	if err := a.WriteFiles(dir, "any"); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "ca.crt"))
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	return block.Bytes
}

func newAuthority(t *testing.T, system string) *identity.Authority {
	t.Helper()
	a, err := identity.NewAuthority(system)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// FetchX509SVID implements workload.SpiffeWorkloadAPIServer.
func (a *agent) FetchX509SVID(_ *workload.X509SVIDRequest, stream workload.SpiffeWorkloadAPI_FetchX509SVIDServer) error {
	if md, _ := metadata.FromIncomingContext(stream.Context()); len(md.Get("workload.spiffe.io")) != 1 {
		return status.Error(codes.InvalidArgument, "the security header is missing")
	}
	for {
		a.mu.Lock()
		reply, changed := a.reply, a.changed
		a.mu.Unlock()
		if reply == nil {
			return status.Error(codes.PermissionDenied, "no identity issued")
		}
		if err := stream.Send(reply); err != nil {
			return err
		}
		select {
		case <-changed:
		case <-stream.Context().Done():
			return stream.Context().Err()
		}
	}
}
