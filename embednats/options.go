package embednats

import (
	"cmp"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

const (
	defaultMemory = 256 << 20
	defaultDisk   = 10 << 30 // where nobody can tell how much room there is
	anyDisk       = 1 << 50  // more than any disk has
	defaultDrain  = 5 * time.Second
)

// Cluster makes a server one of several that keep everything in several places: three, so that one may be lost.
type Cluster struct {
	// Name is the same for all. Default: hanse.
	Name string
	// Addr is the HOST:PORT where the others reach this one.
	Addr string
	// Advertise is the HOST:PORT that the others are told where Addr is not what they reach. Default: Addr.
	Advertise string
	// Peers are the Addr or Advertise of the others; this one's own may be among them.
	Peers []string
	// Token is what they show each other. Default: that of the server.
	Token string
	// TLS are the settings of connections among them, as client and as server, with RootCAs and ClientCAs. Default: those of the server,
	// whose ClientCAs are then its RootCAs, too.
	TLS *tls.Config
}

// options returns what a server of NATS is told.
func (s *Server) options(l *life) (*server.Options, error) {
	o := &server.Options{
		ServerName:             s.Name,
		DontListen:             s.Addr == "",
		ClientAdvertise:        s.Advertise,
		Authorization:          l.token,
		NoLog:                  true,
		NoSigs:                 true,
		JetStream:              true,
		DisableJetStreamBanner: true,
		StoreDir:               l.dir,
		JetStreamMaxMemory:     cmp.Or(s.MaxMemory, defaultMemory),
		SyncAlways:             !s.NoSync,
	}
	var err error
	if o.JetStreamMaxStore, l.most, err = s.maxDisk(l.dir); err != nil {
		return nil, err
	}
	if s.Addr != "" {
		if o.Host, o.Port, err = hostPort("Addr", s.Addr); err != nil {
			return nil, err
		}
	}
	if s.TLS != nil {
		o.TLSConfig, o.TLS, o.TLSTimeout = s.TLS.Clone(), true, 5
		o.TLSVerify = s.certified()
	}
	if s.Cluster != nil {
		if err := s.cluster(o, l); err != nil {
			return nil, err
		}
	}
	if o.ServerName == "" {
		o.ServerName = "hanse-" + strings.ToLower(rand.Text()[:8])
	}
	return o, nil
}

// maxDisk returns how much the server may set aside for streams, and how much they may have on the disk, 0 when the server itself sees to that.
// The limits of streams may be more than the disk together, unless somebody said what that is to keep: topics rarely fill all at once, and a
// small disk would be set aside for the first few.
func (s *Server) maxDisk(dir string) (aside, most int64, err error) {
	if s.MaxDisk < 0 || s.MaxMemory < 0 {
		return 0, 0, errors.New("MaxDisk and MaxMemory are numbers of bytes, or 0 for the default")
	}
	if s.MaxDisk > 0 {
		return s.MaxDisk, 0, nil
	}
	free, _, err := room(dir)
	if errors.Is(err, errors.ErrUnsupported) {
		return defaultDisk, 0, nil
	}
	if err != nil {
		return 0, 0, err
	}
	return anyDisk, (free + used(dir)) / 4 * 3, nil
}

// cluster adds what makes the server one of several.
func (s *Server) cluster(o *server.Options, l *life) error {
	c := s.Cluster
	host, port, err := hostPort("Cluster.Addr", c.Addr)
	if err != nil {
		return err
	}
	if port == server.RANDOM_PORT {
		return fmt.Errorf("Cluster.Addr %q: the others need to know the port", c.Addr)
	}
	own := cmp.Or(c.Advertise, c.Addr)
	o.Cluster = server.ClusterOpts{Name: cmp.Or(c.Name, "hanse"), Host: host, Port: port, Advertise: c.Advertise}
	if o.Cluster.TLSConfig = clusterTLS(c.TLS, s.TLS); o.Cluster.TLSConfig != nil {
		o.Cluster.TLSTimeout = 5
	}
	token := cmp.Or(c.Token, l.token)
	if token != "" {
		o.Cluster.Username, o.Cluster.Password = "hanse", token
	}
	peers := slices.Clone(c.Peers)
	if !slices.Contains(peers, own) {
		peers = append(peers, own) // the servers count the routes to know how many they are
	}
	for _, peer := range peers {
		if _, _, err := hostPort("Cluster.Peers", peer); err != nil {
			return err
		}
		u := &url.URL{Scheme: "nats-route", Host: peer}
		if token != "" {
			u.User = url.UserPassword("hanse", token)
		}
		o.Routes = append(o.Routes, u)
	}
	if o.ServerName == "" {
		o.ServerName = "hanse-" + strings.NewReplacer(".", "-", ":", "-", "[", "", "]", "").Replace(own)
	}
	if drain := cmp.Or(s.Drain, defaultDrain); drain > 0 {
		o.LameDuckDuration, o.LameDuckGracePeriod = drain, drain/5
	}
	return nil
}

// clusterTLS returns the settings of connections among servers, each of which is a client, too.
func clusterTLS(own, clients *tls.Config) *tls.Config {
	if own != nil {
		return own.Clone()
	}
	if clients == nil {
		return nil
	}
	c := clients.Clone()
	if c.RootCAs == nil {
		c.RootCAs = c.ClientCAs
	}
	return c
}

// hostPort splits an address as NATS wants it.
func hostPort(field, addr string) (host string, port int, err error) {
	host, text, err := net.SplitHostPort(addr)
	if err == nil {
		port, err = strconv.Atoi(text)
	}
	if err != nil || port < 0 || port > 65535 {
		return "", 0, fmt.Errorf("%s %q is not HOST:PORT", field, addr)
	}
	if port == 0 {
		port = server.RANDOM_PORT
	}
	return host, port, nil
}
