package hanse_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/hanse-go/hanse"
	"github.com/hanse-go/hanse/identity"
	testpb "google.golang.org/grpc/interop/grpc_testing"
)

// TestAllow holds that a service of the app is known as what it is, and that its name is no use to others.
func TestAllow(t *testing.T) {
	callers := make(chan string, 1)
	vault := &hanse.Service{Name: "vault", Allow: []hanse.Rule{
		{Callers: []string{"teller"}, Methods: []string{"/grpc.testing.TestService/Unary*"}},
		{Callers: []string{"auditor"}},
	}}
	testpb.RegisterTestServiceServer(vault, greetServer{before: func(ctx context.Context) error {
		id, known := identity.Caller(ctx)
		callers <- fmt.Sprint(id, known)
		return nil
	}})
	vault.Handle("/door", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, known := identity.Caller(r.Context())
		fmt.Fprint(w, "open to everyone: ", known)
	}))
	teller, thief := &hanse.Service{Name: "teller"}, &hanse.Service{Name: "thief"}
	app := &hanse.App{System: "bank", AdminAddr: "127.0.0.1:0"}
	fromTeller, fromThief := teller.Conn("vault"), thief.Conn("vault")
	r := run(t, app, vault, teller, thief)

	if got := hello(fromTeller, "gold"); got != "Hello, gold!" {
		t.Errorf("the teller gets %s", got)
	}
	if got := <-callers; got != "spiffe://bank/teller true" {
		t.Errorf("the caller is %s", got)
	}
	if _, err := testpb.NewTestServiceClient(fromTeller).EmptyCall(t.Context(), &testpb.Empty{}); err == nil || !strings.Contains(err.Error(), "spiffe://bank/teller may not call /grpc.testing.TestService/EmptyCall") {
		t.Errorf("a method that is not the teller's: %v", err)
	}
	const unary = " may not call /grpc.testing.TestService/UnaryCall"
	if got := hello(fromThief, "gold"); !strings.Contains(got, "PermissionDenied") || !strings.Contains(got, "spiffe://bank/thief"+unary) {
		t.Errorf("the thief gets %s", got)
	}
	if got := hello(app.Conn("vault"), "gold"); !strings.Contains(got, "a caller without a known identity"+unary) {
		t.Errorf("a caller that is no service gets %s", got)
	}
	other := &hanse.App{Registry: r.registry}
	defer other.Close()
	if got := hello(other.Conn("vault"), "gold"); !strings.Contains(got, "a caller without a known identity"+unary) {
		t.Errorf("another process gets %s", got)
	}

	get := func(url string) string {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), "GET", url, nil)
		if err != nil {
			t.Fatal(err)
		}
		_, body := roundTrip(t, req)
		return body
	}
	if got := get("http://" + r.addr("vault") + "/door"); got != "open to everyone: false" {
		t.Errorf("the door says %s", got)
	}
	var report map[string]struct {
		Allow   []hanse.Rule
		Denied  int
		Denials []struct {
			Caller, Method string
			Count          int
		}
	}
	if err := json.Unmarshal([]byte(get("http://"+r.instances["vault"].Admin+"/debug/callers")), &report); err != nil {
		t.Fatal(err)
	}
	got := report["vault"]
	if len(got.Allow) != 2 || got.Allow[1].Callers[0] != "auditor" || got.Denied != 4 || len(report["teller"].Allow) != 0 ||
		fmt.Sprint(got.Denials) != "[{ /grpc.testing.TestService/UnaryCall 2} {spiffe://bank/teller /grpc.testing.TestService/EmptyCall 1} {spiffe://bank/thief /grpc.testing.TestService/UnaryCall 1}]" {
		t.Errorf("/debug/callers: %+v", report)
	}
	for _, want := range []string{
		"Allow names callers, and the app has no identity",
		`service=vault method=/grpc.testing.TestService/UnaryCall caller=spiffe://bank/thief`,
		"teller → /grpc.testing.TestService/Unary*",
	} {
		if !strings.Contains(r.log.String(), want) {
			t.Errorf("the log does not say %s", want)
		}
	}
	r.end()
}

func TestAllowReportOnly(t *testing.T) {
	vault := greeterNamed("vault")
	vault.Allow, vault.AllowReportOnly = []hanse.Rule{{Callers: []string{"teller"}}}, true
	thief := &hanse.Service{Name: "thief"}
	conn := thief.Conn("vault")
	r := run(t, &hanse.App{System: "A name that no ID can have"}, vault, thief)
	if got := hello(conn, "gold"); got != "Hello, gold!" {
		t.Errorf("the thief gets %s", got)
	}
	if want := "call would be denied: no rule of Allow lets the caller in"; !strings.Contains(r.log.String(), want) || !strings.Contains(r.log.String(), "spiffe://local/thief") {
		t.Errorf("the log does not say %s", want)
	}
	r.end()
}

// TestMistakesInAllow holds that they are told before anything is announced, all at once.
func TestMistakesInAllow(t *testing.T) {
	vault := &hanse.Service{Name: "vault", Allow: []hanse.Rule{
		{Callers: []string{"Teller"}, Methods: []string{"grpc.testing.TestService/UnaryCal"}},
		{Methods: []string{"*"}},
	}}
	vault.Setup = func(context.Context, *hanse.Service) error {
		testpb.RegisterTestServiceServer(vault, greetServer{})
		return nil
	}
	err := new(hanse.App).Run(t.Context(), vault)
	for _, want := range []string{"service vault: rpc: Allow: ", `rule 1 of 2, caller "Teller"`, `did you mean "teller"?`,
		`rule 1 of 2, method "grpc.testing.TestService/UnaryCal": the service has no such method: did you mean "/grpc.testing.TestService/UnaryCall"?`,
		"rule 2 of 2 has no Callers"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not say %s: %v", want, err)
		}
	}
}
