package identity_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hanse-go/hanse/identity"
)

var paymentMethods = []string{
	"/payment.v1.Payment/Charge", "/payment.v1.Payment/GetCharge", "/payment.v1.Payment/GetRefund", "/payment.v1.PaymentAdmin/Purge",
	"/grpc.health.v1.Health/Check", "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
}

func inShop(service string) identity.ID { return identity.ID{System: "shop", Service: service} }

func mustGuard(t *testing.T, rules ...identity.Rule) *identity.Guard {
	t.Helper()
	g, err := identity.NewGuard(rules, paymentMethods, inShop)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func TestRules(t *testing.T) {
	const charge, get, refund, purge = "/payment.v1.Payment/Charge", "/payment.v1.Payment/GetCharge", "/payment.v1.Payment/GetRefund", "/payment.v1.PaymentAdmin/Purge"
	all := []string{charge, get, refund, purge}
	checkout, intruder, nobody := inShop("checkout"), inShop("intruder"), identity.ID{}
	foreign := identity.ID{System: "other", Service: "checkout"}
	type rules = []identity.Rule
	for name, tt := range map[string]struct {
		rules rules
		want  map[identity.ID][]string
	}{
		"a service": {rules{{Callers: []string{"checkout"}}}, map[identity.ID][]string{checkout: all, intruder: nil, foreign: nil, nobody: nil}},
		"an ID": {rules{{Callers: []string{"spiffe://other/checkout"}}}, map[identity.ID][]string{checkout: nil, foreign: all, nobody: nil,
			{System: "other", Service: "checkout/x"}: nil, {System: "other", Service: "checkou"}: nil}},
		"a system": {rules{{Callers: []string{"spiffe://shop/*"}}}, map[identity.ID][]string{checkout: all, intruder: all, foreign: nil, nobody: nil,
			{System: "shop.evil", Service: "checkout"}: nil, {System: "sho", Service: "p/checkout"}: nil, {System: "shop", Service: "a/b/c"}: all}},
		"a part of a system": {rules{{Callers: []string{"spiffe://shop/ns/billing/*"}}}, map[identity.ID][]string{
			{System: "shop", Service: "ns/billing/sa/x"}: all, {System: "shop", Service: "ns/billing2/sa/x"}: nil, {System: "shop", Service: "ns/billing"}: nil,
			{System: "other", Service: "ns/billing/sa/x"}: nil}},
		"the beginning of a name": {rules{{Callers: []string{"spiffe://shop/check*"}}}, map[identity.ID][]string{
			checkout: all, {System: "shop", Service: "check"}: all, {System: "shop", Service: "chec"}: nil}},
		"everyone":     {rules{{Callers: []string{"*"}}}, map[identity.ID][]string{checkout: all, intruder: all, foreign: all, nobody: all}},
		"a method":     {rules{{Callers: []string{"checkout"}, Methods: []string{charge}}}, map[identity.ID][]string{checkout: {charge}, intruder: nil}},
		"no slash":     {rules{{Callers: []string{"checkout"}, Methods: []string{"payment.v1.Payment/Charge"}}}, map[identity.ID][]string{checkout: {charge}}},
		"a contract":   {rules{{Callers: []string{"checkout"}, Methods: []string{"payment.v1.Payment/*"}}}, map[identity.ID][]string{checkout: {charge, get, refund}}},
		"some methods": {rules{{Callers: []string{"checkout"}, Methods: []string{"/payment.v1.Payment/Get*"}}}, map[identity.ID][]string{checkout: {get, refund}}},
		"a package":    {rules{{Callers: []string{"checkout"}, Methods: []string{"/payment.v1.*"}}}, map[identity.ID][]string{checkout: all}},
		"all methods":  {rules{{Callers: []string{"checkout"}, Methods: []string{"*"}}}, map[identity.ID][]string{checkout: all}},
		"twice":        {rules{{Callers: []string{"checkout", "checkout"}, Methods: []string{charge, charge, "*"}}}, map[identity.ID][]string{checkout: all}},
		"together": {rules{
			{Callers: []string{"*"}, Methods: []string{"/payment.v1.Payment/Get*"}},
			{Callers: []string{"checkout", "spiffe://other/checkout"}, Methods: []string{charge}},
			{Callers: []string{"admin"}, Methods: []string{"/payment.v1.PaymentAdmin/*"}},
		}, map[identity.ID][]string{checkout: {charge, get, refund}, foreign: {charge, get, refund}, intruder: {get, refund}, nobody: {get, refund},
			inShop("admin"): {get, refund, purge}}},
	} {
		t.Run(name, func(t *testing.T) {
			g := mustGuard(t, tt.rules...)
			for caller, methods := range tt.want {
				for _, m := range all {
					if got, want := g.Gate(m).Admits(caller), slices.Contains(methods, m); got != want {
						t.Errorf("%v calls %s: %v, want %v", caller, m, got, want)
					}
				}
			}
			for _, m := range []string{"/grpc.health.v1.Health/Check", "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", "/payment.v1.Payment/Unknown"} {
				if g.Gate(m) != nil {
					t.Errorf("%s has a gate", m)
				}
			}
		})
	}
}

// TestMistakesInRules holds that each mistake is told, and lets nobody in.
func TestMistakesInRules(t *testing.T) {
	for name, tt := range map[string]struct {
		rule identity.Rule
		want string
	}{
		"no callers":           {identity.Rule{}, "rule 1 of 1 has no Callers"},
		"empty caller":         {identity.Rule{Callers: []string{""}}, `caller "": it is empty`},
		"capitals":             {identity.Rule{Callers: []string{"Checkout"}}, `did you mean "checkout"?`},
		"blank":                {identity.Rule{Callers: []string{" check_out"}}, `did you mean "check-out"?`},
		"no name":              {identity.Rule{Callers: []string{"check/out"}}, "no SPIFFE ID (spiffe://SYSTEM/SERVICE)"},
		"star in the middle":   {identity.Rule{Callers: []string{"spiffe://shop/*/x"}}, "can only be its end"},
		"star in a name":       {identity.Rule{Callers: []string{"check*"}}, "spiffe://SYSTEM/*"},
		"two stars":            {identity.Rule{Callers: []string{"**"}}, "can only be its end"},
		"star in a system":     {identity.Rule{Callers: []string{"spiffe://shop*"}}, "must begin with spiffe://SYSTEM/: it names no service"},
		"star for all systems": {identity.Rule{Callers: []string{"spiffe://*"}}, "must begin with spiffe://SYSTEM/"},
		"bad ID":               {identity.Rule{Callers: []string{"spiffe://Shop/checkout"}}, `no "S"`},
		"bad path":             {identity.Rule{Callers: []string{"spiffe://shop//x*"}}, "empty segment"},
		"empty method":         {identity.Rule{Callers: []string{"checkout"}, Methods: []string{""}}, `method "": it is empty`},
		"wrong method":         {identity.Rule{Callers: []string{"checkout"}, Methods: []string{"/payment.v1.Payment/Chrage"}}, `did you mean "/payment.v1.Payment/Charge"?`},
		"wrong contract":       {identity.Rule{Callers: []string{"checkout"}, Methods: []string{"payment.v1.Paymnet/*"}}, `did you mean "/payment.v1.Payment/*"?`},
		"contract alone":       {identity.Rule{Callers: []string{"checkout"}, Methods: []string{"payment.v1.Payment"}}, `did you mean "/payment.v1.Payment/*"?`},
		"far off":              {identity.Rule{Callers: []string{"checkout"}, Methods: []string{"/x.Y/Z"}}, "there are /payment.v1.Payment/Charge, "},
		"star inside":          {identity.Rule{Callers: []string{"checkout"}, Methods: []string{"/payment.v1.*/Charge"}}, "can only be its end"},
		"health":               {identity.Rule{Callers: []string{"checkout"}, Methods: []string{"/grpc.health.v1.Health/*"}}, "do not apply to health"},
		"a star that is none":  {identity.Rule{Callers: []string{"checkout"}, Methods: []string{"/payment.v2.*"}}, "no such method"},
	} {
		t.Run(name, func(t *testing.T) {
			g, err := identity.NewGuard([]identity.Rule{tt.rule}, paymentMethods, inShop)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("error %v, want %q", err, tt.want)
			}
			for _, m := range paymentMethods[:4] {
				if g.Gate(m).Admits(identity.ID{}) || g.Gate(m).Admits(identity.ID{System: "shop", Service: "intruder"}) {
					t.Errorf("%s is open", m)
				}
			}
		})
	}
	_, err := identity.NewGuard([]identity.Rule{{Callers: []string{"checkout"}}}, paymentMethods, nil)
	if err == nil || !strings.Contains(err.Error(), "write spiffe://SYSTEM/checkout") {
		t.Error(err)
	}
	_, err = identity.NewGuard([]identity.Rule{{Callers: []string{"Checkout", "ok", "?"}, Methods: []string{"a", "b"}}, {}}, paymentMethods, inShop)
	if err == nil || strings.Count(err.Error(), "rule ") != 5 {
		t.Errorf("not all mistakes are told: %v", err)
	}
	if _, err := identity.NewGuard([]identity.Rule{{Callers: []string{"checkout"}, Methods: []string{"/a.B/C"}}}, nil, inShop); err == nil || !strings.HasSuffix(err.Error(), "it has none") {
		t.Error(err)
	}
}

func TestDenials(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := mustGuard(t, identity.Rule{Callers: []string{"checkout"}, Methods: []string{"/payment.v1.Payment/Get*"}},
			identity.Rule{Callers: []string{"spiffe://ops/*"}})
		charge, get := g.Gate("/payment.v1.Payment/Charge"), g.Gate("/payment.v1.Payment/GetCharge")
		if got := get.Rules(); !slices.Equal(got, []string{"checkout → /payment.v1.Payment/Get*", "spiffe://ops/* → *"}) {
			t.Errorf("rules %q", got)
		}
		began := time.Now()
		for _, step := range []struct {
			wait   time.Duration
			gate   *identity.Gate
			caller identity.ID
			calls  uint64
			log    bool
		}{
			{0, charge, inShop("a"), 1, true},
			{0, charge, inShop("a"), 0, false},
			{0, charge, inShop("b"), 1, true}, // another caller
			{0, get, inShop("a"), 1, true},    // another method
			{0, charge, identity.ID{}, 1, true},
			{59 * time.Second, charge, inShop("a"), 0, false},
			{time.Second, charge, inShop("a"), 3, true},
			{0, charge, inShop("a"), 0, false},
			{time.Hour, charge, inShop("a"), 2, true},
		} {
			time.Sleep(step.wait) // in virtual time
			if calls, log := step.gate.Deny(step.caller); calls != step.calls || log != step.log {
				t.Errorf("after %v: %d, %v; want %d, %v", time.Since(began), calls, log, step.calls, step.log)
			}
		}
		want := []identity.Denial{
			{Caller: inShop("a"), Method: "/payment.v1.Payment/Charge", Count: 6, Last: time.Now()},
			{Method: "/payment.v1.Payment/Charge", Count: 1, Last: began},
			{Caller: inShop("b"), Method: "/payment.v1.Payment/Charge", Count: 1, Last: began},
			{Caller: inShop("a"), Method: "/payment.v1.Payment/GetCharge", Count: 1, Last: began},
		}
		if got := g.Denials(); !slices.Equal(got, want) || g.Denied() != 9 {
			t.Errorf("%d denied: %v, want %v", g.Denied(), got, want)
		}
	})
}

// TestManyDenials holds that memory and the log are bounded whoever calls.
func TestManyDenials(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := mustGuard(t, identity.Rule{Callers: []string{"checkout"}})
		gate := g.Gate("/payment.v1.Payment/Charge")
		var mu sync.Mutex
		lines := 0
		var all sync.WaitGroup
		for part := range 4 {
			all.Go(func() {
				for i := range 1000 {
					if _, log := gate.Deny(inShop(fmt.Sprintf("s%d-%d", part, i))); log {
						mu.Lock()
						lines++
						mu.Unlock()
					}
				}
			})
		}
		all.Wait()
		if n := len(g.Denials()); g.Denied() != 4000 || n != 1000 || lines != 1001 {
			t.Errorf("%d denied, %d told apart, %d lines", g.Denied(), n, lines)
		}
	})
}

func BenchmarkAdmits(b *testing.B) {
	g, err := identity.NewGuard([]identity.Rule{
		{Callers: []string{"checkout", "cart", "admin", "spiffe://ops/*"}, Methods: []string{"/payment.v1.Payment/*"}},
		{Callers: []string{"spiffe://prod/ns/billing/*"}},
	}, paymentMethods, inShop)
	if err != nil {
		b.Fatal(err)
	}
	gate := g.Gate("/payment.v1.Payment/Charge")
	for name, id := range map[string]identity.ID{"name": inShop("checkout"), "prefix": {System: "prod", Service: "ns/billing/sa/x"}, "denied": inShop("intruder")} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				gate.Admits(id)
			}
		})
	}
}
