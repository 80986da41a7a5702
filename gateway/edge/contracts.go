package edge

import (
	"context"
	"log/slog"
	"strings"
	"sync"

	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/gateway"
	"github.com/hanse-go/hanse/rpc"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Contracts are those of the services of a system that have an instance now, as a [gateway.Backend]: for who shows them in another way than
// a [Gateway] does. The fields are set before Run; Registry and Conn must be. All methods are safe for concurrent use.
type Contracts struct {
	// Registry is where services are found: all at once, or one by one where Services names them.
	Registry discovery.Registry
	// Conn returns a connection to a service, such as that of a hanse.App. Run closes it.
	Conn func(service string, opts ...rpc.ConnOption) *rpc.Conn
	// Services names the services. Default: all.
	Services []string
	// Looked, when it is not nil, is called whenever the services have been asked: what there is may be something else then. It must not
	// wait.
	Looked func()
	// Logger gets what goes wrong. nil: slog.Default.
	Logger *slog.Logger

	once   sync.Once
	system *system
}

func (c *Contracts) init() *system {
	c.once.Do(func() {
		logger := c.Logger
		if logger == nil {
			logger = slog.Default()
		}
		c.system = &system{registry: c.Registry, conn: c.Conn, expose: c.Services, logger: logger, present: true, looked: c.Looked}
	})
	return c.system
}

// Run follows the registry until ctx ends. It must be called once.
func (c *Contracts) Run(ctx context.Context) {
	s := c.init()
	s.show(c.Services)
	s.run(ctx)
}

// Contracts implements [gateway.Backend].
func (c *Contracts) Contracts() []protoreflect.ServiceDescriptor { return c.init().now().contracts }

// Generation implements what [gateway.Backend] says of contracts that change.
func (c *Contracts) Generation() uint64 { return c.init().now().generation }

// Missing says what is not known yet, and why: nothing when all services have told their contracts.
func (c *Contracts) Missing() []string { return c.init().missing() }

// Types finds the types that messages of the services name.
func (c *Contracts) Types() gateway.Types { return c.init() }

// Call implements [gateway.Backend].
func (c *Contracts) Call(method string, stream grpc.ServerStream) error {
	t := c.init().now().methods[method]
	if t == nil {
		return status.Errorf(codes.Unimplemented, "no service here has %s any more", strings.TrimPrefix(method, "/"))
	}
	return t.forward(nil, &typed{ServerStream: stream, method: t.method})
}
