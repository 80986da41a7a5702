package member

import (
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"

	"github.com/hanse-go/hanse"
	"github.com/hanse-go/hanse/gateway"
	"github.com/hanse-go/hanse/rpc"
)

// door is an address on this machine where a program that knows nothing of Hanse calls a service: what comes is sent to one of its
// instances, as any other call of the service that the command serves.
type door struct {
	lis    net.Listener
	port   *rpc.Port
	server *rpc.Server
	served chan error
}

// openDoor opens a door from s to the service called used.
func openDoor(s *hanse.Service, used string) (*door, error) {
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	f := &rpc.Forwarder{Conn: s.Conn(used)}
	d := &door{lis: lis, served: make(chan error, 1)}
	d.server = &rpc.Server{Unknown: f.Stream, MaxRecvMsgSize: -1, Logger: s.Logger()}
	d.server.Start()
	d.port = &rpc.Port{Servers: []*rpc.Server{d.server}, HTTP: ownOnly(used, byName(s, used)), Logger: s.Logger()}
	go func() { d.served <- d.port.Serve(lis) }()
	return d, nil
}

// ownOnly keeps pages that somebody looks at on this machine from calls in the name of the command: those of other sites, and those that
// gave their own name this address.
func ownOnly(used string, h http.Handler) http.Handler {
	return gateway.Addressed(new(http.CrossOriginProtection).Handler(h), func(name string) bool { return name == used })
}

// byName passes plain HTTP requests on to a service.
func byName(s *hanse.Service, used string) http.Handler {
	return &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host, r.Out.Host = "http", used, used
		},
		Transport:     s.HTTPTransport(),
		FlushInterval: -1,
		ErrorLog:      slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug),
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			http.Error(w, err.Error(), http.StatusBadGateway)
		},
	}
}

func (d *door) addr() string { return d.lis.Addr().String() }

// close ends what still calls through it: the command has ended.
func (d *door) close() {
	d.server.Stop()
	d.port.Close()
	<-d.served
}
