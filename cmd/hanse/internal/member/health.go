package member

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"

	"github.com/hanse-go/hanse/telemetry"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
)

// Health is how one finds out whether a command can take calls. The zero value is that it takes connections.
type Health struct {
	GRPC bool   // by gRPC's health protocol
	Path string // by a GET of this path, which begins with a slash; "": not
}

// ParseHealth reads grpc, http:/path or tcp.
func ParseHealth(s string) (h Health, err error) {
	path, web := strings.CutPrefix(s, "http:")
	switch {
	case s == "tcp":
	case s == "grpc":
		h.GRPC = true
	case web && strings.HasPrefix(path, "/"):
		h.Path = path
	default:
		err = fmt.Errorf("%q is none of grpc, http:/path and tcp", s)
	}
	return h, err
}

func (h Health) String() string {
	switch {
	case h.GRPC:
		return "grpc"
	case h.Path != "":
		return "http:" + h.Path
	}
	return "tcp"
}

// check returns nil when the command is healthy, else why not.
func (h Health) check(ctx context.Context, m *member) error {
	switch {
	case h.GRPC:
		res, err := healthpb.NewHealthClient(m.conn).Check(asking(ctx), &healthpb.HealthCheckRequest{})
		switch {
		case status.Code(err) == codes.Unimplemented:
			return errors.New("it does not serve grpc.health.v1.Health: serve it, or use --health tcp")
		case err != nil:
			return err
		case res.GetStatus() != healthpb.HealthCheckResponse_SERVING:
			return fmt.Errorf("it says %v", res.GetStatus())
		}
		return nil
	case h.Path != "":
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+m.addr()+h.Path, nil)
		if err != nil {
			return err
		}
		req.Header.Set(telemetry.TraceParentKey, unrecorded())
		resp, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			return err
		}
		resp.Body.Close()
		if resp.StatusCode/100 != 2 {
			return fmt.Errorf("GET %s: %s", h.Path, resp.Status)
		}
		return nil
	}
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", m.addr())
	if err != nil {
		return err
	}
	return conn.Close()
}
