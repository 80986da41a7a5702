package dashboard

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hanse-go/hanse/internal/comments"
	"github.com/hanse-go/hanse/internal/reflection"
	"github.com/hanse-go/hanse/internal/websocket"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
)

// console calls methods of services by what these tell of themselves.
type console struct {
	conn func(service string) grpc.ClientConnInterface

	mu    sync.Mutex
	known map[string]*described // by service, what it told last

	missing map[protoreflect.FullName]time.Time // types that nobody had, and when they were asked for
}

// described is what a service told of its contracts.
type described struct {
	contracts []protoreflect.ServiceDescriptor
	types     *reflection.Types
	comments  *comments.Reader
}

// describeTimeout is how long a service may take to tell its contracts.
const describeTimeout = 10 * time.Second

func (s *Server) consoleAPI(a api, c *console) {
	a.get("console/contracts", func(r *http.Request) (any, error) {
		service := r.URL.Query().Get("service")
		if err := c.usable(service); err != nil {
			return nil, err
		}
		d, err := c.describe(r.Context(), service)
		if err != nil {
			return nil, err
		}
		return d.report(), nil
	})
	a.mux.HandleFunc("GET /api/console/call", func(w http.ResponseWriter, r *http.Request) {
		switch {
		case c.conn == nil:
			s.fail(w, r, c.usable("-"))
		case !websocket.Requested(r):
			s.fail(w, r, bad("", "calls are made over WebSocket"))
		case !fromPage(r):
			s.fail(w, r, &Error{Status: http.StatusForbidden, What: "this connection does not come from the dashboard's page"})
		default:
			c.serve(w, r, s.readOnly)
		}
	})
}

// usable says why a service cannot be called.
func (c *console) usable(service string) error {
	if c.conn == nil {
		return missing("hanse dev has one", "there is no console here")
	}
	if service == "" {
		return bad("add service=NAME", "no service is named")
	}
	return nil
}

// readOnly reports whether nothing may be changed.
func (s *Server) readOnly(ctx context.Context) (bool, error) {
	if s.System == nil {
		return false, nil
	}
	st, err := s.System.State(ctx)
	if err != nil {
		return false, err
	}
	return st.ReadOnly, nil
}

// fromPage reports whether a WebSocket is asked for by the page, or by no browser. Browsers let any site ask, and always say which.
func fromPage(r *http.Request) bool {
	origins := r.Header["Origin"]
	return len(origins) == 0 || len(origins) == 1 && (origins[0] == "http://"+r.Host || origins[0] == "https://"+r.Host)
}

// describe asks a service for its contracts.
func (c *console) describe(ctx context.Context, service string) (*described, error) {
	ctx, cancel := context.WithTimeout(ctx, describeTimeout)
	defer cancel()
	r := reflection.New(c.conn(service))
	defer r.Close()
	names, err := r.Contracts(ctx)
	d := &described{}
	for _, name := range names {
		if err != nil {
			break
		}
		var contract protoreflect.ServiceDescriptor
		contract, d.types, err = r.Contract(ctx, name) // the types grow with each
		d.contracts = append(d.contracts, contract)
	}
	companions := new(protoregistry.Files)
	if err == nil {
		d.comments = &comments.Reader{Files: companions}
		seen := make(map[string]bool)
		for _, contract := range d.contracts {
			fetchComments(ctx, r, companions, contract.ParentFile(), seen)
		}
	}
	switch status.Code(err) {
	case codes.OK:
	case codes.Unimplemented:
		return nil, &Error{Status: http.StatusBadGateway, What: service + " does not tell its contracts: gRPC reflection is off there", Do: "a program built with Hanse has it on a loopback address, or with --reflection"}
	default:
		return nil, &Error{Status: http.StatusBadGateway, What: service + " did not tell its contracts: " + status.Convert(err).Message()}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.known[service] = d
	return d, nil
}

// fetchComments asks for what a server has of the comments of a file and of those that it imports.
func fetchComments(ctx context.Context, r *reflection.Client, into *protoregistry.Files, file protoreflect.FileDescriptor, seen map[string]bool) {
	if seen[file.Path()] || strings.HasPrefix(file.Path(), "google/") {
		return
	}
	seen[file.Path()] = true
	if companion, err := r.File(ctx, comments.Companion(file.Path())); err == nil { // most servers have none
		_ = into.RegisterFile(companion) // once for each path
	}
	for i := range file.Imports().Len() {
		fetchComments(ctx, r, into, file.Imports().Get(i).FileDescriptor, seen)
	}
}

// method returns a method of a service, by its full name without a slash before it.
func (c *console) method(ctx context.Context, service, name string) (protoreflect.MethodDescriptor, *described, error) {
	c.mu.Lock()
	d := c.known[service]
	c.mu.Unlock()
	if d != nil {
		if m := d.method(name); m != nil {
			return m, d, nil
		}
	}
	d, err := c.describe(ctx, service)
	if err != nil {
		return nil, nil, err
	}
	if m := d.method(name); m != nil {
		return m, d, nil
	}
	return nil, nil, missing("", "%s has no method %s", service, name)
}

func (d *described) method(name string) protoreflect.MethodDescriptor {
	for _, c := range d.contracts {
		for i := range c.Methods().Len() {
			if m := c.Methods().Get(i); string(c.FullName())+"/"+string(m.Name()) == name {
				return m
			}
		}
	}
	return nil
}

// again is how long it is not asked once more for a type that nobody has.
const again = 30 * time.Second

// message returns the type of a name, if one of the services tells it; nil if none does.
func (c *console) message(ctx context.Context, name protoreflect.FullName, services []Service) protoreflect.MessageType {
	look := func() protoreflect.MessageType {
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, d := range c.known {
			if mt, err := d.types.FindMessageByName(name); err == nil {
				return mt
			}
		}
		return nil
	}
	if mt := look(); mt != nil || c.conn == nil {
		return mt
	}
	c.mu.Lock()
	asked := c.missing[name]
	c.mu.Unlock()
	if time.Since(asked) < again {
		return nil
	}
	for _, s := range services {
		if !slices.ContainsFunc(s.Instances, func(i Instance) bool { return i.State == "ready" }) {
			continue // asking would wait for one
		}
		if d, err := c.describe(ctx, s.Name); err == nil {
			if mt, err := d.types.FindMessageByName(name); err == nil {
				return mt
			}
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.missing == nil {
		c.missing = make(map[protoreflect.FullName]time.Time)
	}
	c.missing[name] = time.Now()
	return nil
}

// safe reports whether a method says that it changes nothing.
func safe(m protoreflect.MethodDescriptor) bool {
	o, ok := m.Options().(*descriptorpb.MethodOptions)
	return ok && o.GetIdempotencyLevel() == descriptorpb.MethodOptions_NO_SIDE_EFFECTS
}
