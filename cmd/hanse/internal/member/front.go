package member

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"time"

	"github.com/hanse-go/hanse"
	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/identity"
	"github.com/hanse-go/hanse/internal/reflection"
	"github.com/hanse-go/hanse/resilience"
	"github.com/hanse-go/hanse/rpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

// CallerKey is the metadata, and the header, in which a command reads who calls it: the ID in the caller's certificate. It is never what
// a caller says itself.
const CallerKey = "hanse-caller"

// dial makes the connection to the command. What goes wrong between the two is for the callers to judge: nothing is repeated or held
// back here.
func (m *member) dial() error {
	registry, err := discovery.ParseTarget(m.addr())
	if err != nil {
		return err
	}
	m.client = &rpc.Client{
		Registry: registry, MaxRecvMsgSize: -1,
		Policies: map[string]resilience.Policy{"": {
			Timeout: -1, Retry: resilience.Retry{Attempts: -1}, Breaker: resilience.Breaker{Failures: -1}, Outlier: resilience.Outlier{MaxEjected: -1},
		}},
		Logger: slog.New(slog.DiscardHandler), // the checks tell
	}
	m.conn = rpc.NewConn(m.Services[0])
	m.forward = rpc.Forwarder{Conn: m.conn, Outgoing: tellCaller}
	return m.conn.Bind(m.client)
}

func tellCaller(ctx context.Context, md metadata.MD) {
	for key := range md {
		if ownKey(key) == CallerKey {
			delete(md, key)
		}
	}
	if id, ok := identity.Caller(ctx); ok {
		md[CallerKey] = []string{id.String()}
	}
	traceCall(ctx, md)
}

// ownKey is how Hanse spells a key or a header's name. CGI and WSGI do not tell other spellings from that.
func ownKey(name string) string { return strings.ToLower(strings.ReplaceAll(name, "_", "-")) }

const (
	ownPrefix   = "hanse-"         // of the keys that Hanse itself sends
	instanceKey = "hanse-instance" // which instance was meant: that was this one
)

// tellPage makes the headers of a request what the command may believe: those that are Hanse's own come from callers that are known, and who
// that is it hears from us alone.
func tellPage(ctx context.Context, header http.Header) {
	id, known := identity.Caller(ctx)
	for name := range header {
		if key := ownKey(name); key == CallerKey || key == instanceKey || !known && strings.HasPrefix(key, ownPrefix) {
			delete(header, name)
		}
	}
	if known {
		header.Set(CallerKey, id.String())
	}
}

// reflectTime is how long a command may take to tell its contracts.
const reflectTime = 5 * time.Second

// learn asks the command for its contracts, unless they are known. One that serves pages and does not understand gRPC is not asked again.
func (m *member) learn(s *hanse.Service) {
	if m.serves = m.Contracts; len(m.serves) > 0 {
		for _, d := range m.serves {
			adopt(d.ParentFile())
		}
		return
	}
	ctx, cancel := context.WithTimeout(asking(context.Background()), reflectTime)
	defer cancel()
	var err error
	m.serves, err = m.contracts(ctx)
	switch {
	case err == nil:
	case m.HTTP && !m.Health.GRPC && status.Code(err) == codes.Unavailable:
		m.pagesOnly = true
		m.client.Close()
	default:
		s.Logger().Info("the command does not tell its contracts: all calls are passed on to it", "because", err)
	}
}

// register makes s serve what the command serves. Of a command that does not tell its contracts all calls are passed on, and it is
// announced without any.
func (m *member) register(s *hanse.Service) {
	for _, d := range m.serves {
		s.RegisterService(m.forward.Contract(d), &m.forward)
	}
	if len(m.serves) == 0 && !m.pagesOnly {
		s.Unknown = m.forward.Stream
	}
}

// contracts returns what the command serves, by its reflection. Their files become the program's: it is nobody else's.
func (m *member) contracts(ctx context.Context) ([]protoreflect.ServiceDescriptor, error) {
	r := reflection.New(m.conn)
	defer r.Close()
	names, err := r.Contracts(ctx)
	if err != nil {
		return nil, err
	}
	var all []protoreflect.ServiceDescriptor
	for _, name := range names {
		d, _, err := r.Contract(ctx, name)
		if err != nil {
			return nil, err
		}
		adopt(d.ParentFile())
		all = append(all, d)
	}
	return all, nil
}

// adopt makes a file and those that it imports known in this program, where there is no other one of its name: for reflection, for the
// hashes of contracts and for what their options say.
func adopt(file protoreflect.FileDescriptor) {
	if _, err := protoregistry.GlobalFiles.FindFileByPath(file.Path()); err == nil {
		return
	}
	for i := range file.Imports().Len() {
		adopt(file.Imports().Get(i).FileDescriptor)
	}
	if f, err := protodesc.NewFile(protodesc.ToFileDescriptorProto(file), protoregistry.GlobalFiles); err == nil {
		_ = protoregistry.GlobalFiles.RegisterFile(f) // it conflicts with what this program has: then that counts
	}
}

// pages passes plain HTTP requests on.
func (m *member) pages() http.Handler {
	target := &url.URL{Scheme: "http", Host: m.addr()}
	return &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Host = r.In.Host
			r.SetXForwarded()
			tellPage(r.In.Context(), r.Out.Header)
		},
		Transport:     &http.Transport{MaxIdleConnsPerHost: 64, IdleConnTimeout: time.Minute},
		FlushInterval: -1,
		ErrorLog:      slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug),
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			var op *net.OpError
			if errors.As(err, &op) && op.Op == "dial" {
				w.Header().Set("Hanse-Not-Processed", "1")
				http.Error(w, "the command cannot be reached", http.StatusServiceUnavailable)
				return
			}
			http.Error(w, "the command did not answer", http.StatusBadGateway)
		},
	}
}
