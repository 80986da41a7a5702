package hanse_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/hanse-go/hanse"
	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/resilience"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
)

func TestFaultsFromTheAdminListener(t *testing.T) {
	registry := &discovery.Memory{}
	app := &hanse.App{Registry: registry, AdminAddr: "127.0.0.1:0", AllowFaults: true}
	r := run(t, app, greeterNamed("cart"), greeterNamed("catalog"))
	strict := run(t, &hanse.App{Registry: registry, AdminAddr: "127.0.0.1:0"}, greeterNamed("bank"))
	ask := func(method, admin, query string, header ...string) (int, string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, "http://"+admin+"/debug/faults?"+query, nil)
		if err != nil {
			t.Fatal(err)
		}
		if len(header) > 0 {
			req.Header.Set(header[0], header[1])
		}
		resp, body := roundTrip(t, req)
		return resp.StatusCode, body
	}
	admin := r.instances["cart"].Admin
	query := url.Values{"service": {"cart"}, "method": {"/grpc.health.v1.Health/Check"}, "error": {"RESOURCE_EXHAUSTED"}, "percent": {"100"}, "for": {"30s"}}.Encode()

	for _, test := range []struct {
		method, admin, query string
		header               []string
		code                 int
		says                 string
	}{
		{"POST", strict.instances["bank"].Admin, "error=ABORTED", nil, 403, "--allow-faults"},
		{"POST", admin, "error=ABORTED", []string{"Origin", "http://evil.example"}, 403, "web pages"},
		{"POST", admin, "error=OOPS", nil, 400, "error=OOPS"},
		{"POST", admin, "error=OK", nil, 400, "OK is no error"},
		{"POST", admin, "erorr=ABORTED", nil, 400, "error"},
		{"POST", admin, "for=2s", nil, 400, "nothing goes wrong"},
		{"POST", admin, "error=ABORTED&service=kart", nil, 404, "cart"},
		{"DELETE", admin, "id=x", nil, 400, "number"},
	} {
		code, body := ask(test.method, test.admin, test.query, test.header...)
		if code != test.code || !strings.Contains(body, test.says) {
			t.Errorf("%s %s: %d %s", test.method, test.query, code, body)
		}
	}
	if code, body := ask("POST", admin, query); code != 200 {
		t.Fatal(code, body)
	}
	check := func(service string) codes.Code {
		_, err := grpc_health_v1.NewHealthClient(app.Conn(service)).Check(t.Context(), &grpc_health_v1.HealthCheckRequest{})
		return status.Code(err)
	}
	if code := check("cart"); code != codes.ResourceExhausted {
		t.Errorf("cart: %v", code)
	}
	if code := check("catalog"); code != codes.OK {
		t.Errorf("catalog: %v", code)
	}
	var reports []struct {
		Service string
		Allowed bool
		Faults  []resilience.FaultState
	}
	_, body := ask("GET", admin, "")
	if err := json.Unmarshal([]byte(body), &reports); err != nil || len(reports) != 2 || len(reports[0].Faults) != 1 || reports[0].Faults[0].Calls == 0 || len(reports[1].Faults) != 0 || !reports[1].Allowed {
		t.Errorf("%v %s", err, body)
	}
	if code, body := ask("DELETE", admin, ""); code != 200 {
		t.Error(code, body)
	}
	if code := check("cart"); code != codes.OK {
		t.Errorf("after it was stopped: %v", code)
	}
}
