package proptest

import (
	"strings"
	"testing"

	"github.com/hanse-go/hanse/identity"
	"pgregory.net/rapid"
)

// Few letters, so that what is drawn meets.
var (
	word     = rapid.StringMatching(`[ab]{1,2}`)
	system   = rapid.SampledFrom([]string{"s", "st", "s.t"})
	path     = rapid.StringMatching(`[ab]{1,2}(/[ab]{1,2}){0,2}`)
	fullName = rapid.Custom(func(t *rapid.T) string {
		return "/" + word.Draw(t, "package") + "." + word.Draw(t, "contract") + "/" + word.Draw(t, "method")
	})
	workload = rapid.Custom(func(t *rapid.T) identity.ID {
		if rapid.IntRange(0, 9).Draw(t, "known") == 0 {
			return identity.ID{}
		}
		return identity.ID{System: system.Draw(t, "system"), Service: path.Draw(t, "path")}
	})
)

func inS(service string) identity.ID { return identity.ID{System: "s", Service: service} }

// drawCaller draws a pattern that may stand in a rule.
func drawCaller(t *rapid.T) string {
	switch rapid.IntRange(0, 5).Draw(t, "kind of caller") {
	case 0:
		return "*"
	case 1, 2:
		return word.Draw(t, "service")
	case 3:
		return "spiffe://" + system.Draw(t, "system") + "/" + path.Draw(t, "path")
	case 4:
		return "spiffe://" + system.Draw(t, "system") + "/*"
	default:
		return "spiffe://" + system.Draw(t, "system") + "/" + path.Draw(t, "path") + rapid.SampledFrom([]string{"*", "/*"}).Draw(t, "end")
	}
}

// drawMethod draws a pattern that means at least one of the methods.
func drawMethod(t *rapid.T, methods []string) string {
	m := rapid.SampledFrom(methods).Draw(t, "method")
	switch rapid.IntRange(0, 3).Draw(t, "kind of method") {
	case 0:
		m = "*"
	case 1:
		m = m[:rapid.IntRange(1, len(m)).Draw(t, "letters")] + "*"
	case 2:
		m = m[:strings.LastIndexByte(m, '/')] + "/*"
	}
	if m != "*" && len(m) > 2 && rapid.Bool().Draw(t, "without slash") {
		m = strings.TrimPrefix(m, "/")
	}
	return m
}

// callerMatches is the oracle: what the documentation of Rule says, over text.
func callerMatches(pattern string, id identity.ID) bool {
	if pattern == "*" {
		return true
	}
	if id == (identity.ID{}) {
		return false
	}
	if !strings.HasPrefix(pattern, "spiffe://") {
		pattern = "spiffe://s/" + pattern
	}
	if stem, open := strings.CutSuffix(pattern, "*"); open {
		return strings.HasPrefix(id.String(), stem)
	}
	return id.String() == pattern
}

func methodMatches(pattern, method string) bool {
	if pattern == "*" {
		return true
	}
	pattern = "/" + strings.TrimPrefix(pattern, "/")
	if stem, open := strings.CutSuffix(pattern, "*"); open {
		return strings.HasPrefix(method, stem)
	}
	return method == pattern
}

func oracle(rules []identity.Rule, id identity.ID, method string) bool {
	for _, r := range rules {
		caller, called := false, len(r.Methods) == 0
		for _, p := range r.Callers {
			caller = caller || callerMatches(p, id)
		}
		for _, p := range r.Methods {
			called = called || methodMatches(p, method)
		}
		if caller && called {
			return true
		}
	}
	return false
}

func drawRules(t *rapid.T, methods []string) []identity.Rule {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) identity.Rule {
		var r identity.Rule
		for range rapid.IntRange(1, 3).Draw(t, "callers") {
			r.Callers = append(r.Callers, drawCaller(t))
		}
		for range rapid.IntRange(0, 3).Draw(t, "methods") {
			r.Methods = append(r.Methods, drawMethod(t, methods))
		}
		return r
	}), 1, 5).Draw(t, "rules")
}

// TestDecisions holds that a guard decides as its rules say, whatever they are.
func TestDecisions(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		methods := rapid.SliceOfNDistinct(fullName, 1, 8, rapid.ID[string]).Draw(t, "methods")
		rules := drawRules(t, methods)
		guard, err := identity.NewGuard(rules, methods, inS)
		if err != nil {
			t.Fatalf("%v: %v", rules, err)
		}
		denied := uint64(0)
		for range 20 {
			id, method := workload.Draw(t, "caller"), rapid.SampledFrom(methods).Draw(t, "method")
			got := guard.Gate(method).Admits(id)
			if want := oracle(rules, id, method); got != want {
				t.Fatalf("%v calls %s: %v, want %v", id, method, got, want)
			}
			if !got {
				guard.Gate(method).Deny(id)
				denied++
			}
		}
		sum := uint64(0)
		for _, d := range guard.Denials() {
			if sum += d.Count; oracle(rules, d.Caller, d.Method) {
				t.Fatalf("%v was let in and counted as denied", d)
			}
		}
		if guard.Denied() != denied || sum != denied {
			t.Fatalf("%d denied, counted %d and %d", denied, guard.Denied(), sum)
		}
	})
}

// TestRulesOnlyAdd holds that another rule lets nobody out, and that the order of rules means nothing.
func TestRulesOnlyAdd(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		methods := rapid.SliceOfNDistinct(fullName, 1, 8, rapid.ID[string]).Draw(t, "methods")
		rules := drawRules(t, methods)
		all, err := identity.NewGuard(rules, methods, inS)
		if err != nil {
			t.Fatal(err)
		}
		shuffled, err := identity.NewGuard(rapid.Permutation(rules).Draw(t, "order"), methods, inS)
		if err != nil {
			t.Fatal(err)
		}
		fewer, err := identity.NewGuard(rules[:len(rules)-1], methods, inS)
		if err != nil {
			t.Fatal(err)
		}
		for range 20 {
			id, method := workload.Draw(t, "caller"), rapid.SampledFrom(methods).Draw(t, "method")
			if a, s, f := all.Gate(method).Admits(id), shuffled.Gate(method).Admits(id), fewer.Gate(method).Admits(id); a != s || f && !a {
				t.Fatalf("%v calls %s: %v, in another order %v, without the last rule %v", id, method, a, s, f)
			}
		}
	})
}

// TestAnyText holds that no text makes a guard panic, and that one with a mistake lets in nobody by it.
func TestAnyText(t *testing.T) {
	text := rapid.OneOf(rapid.StringMatching(`[*/.a-bS:{}]{0,12}`), rapid.String(), rapid.Just("spiffe://"), rapid.StringMatching(`spiffe://[sS*/.]{0,6}`))
	methods := []string{"/a.b/C", "/a.c/D"}
	rapid.Check(t, func(t *rapid.T) {
		rule := identity.Rule{Callers: rapid.SliceOfN(text, 0, 2).Draw(t, "callers"), Methods: rapid.SliceOfN(text, 0, 2).Draw(t, "methods")}
		guard, err := identity.NewGuard([]identity.Rule{rule}, methods, inS)
		if err == nil {
			if len(rule.Callers) == 0 {
				t.Fatal("a rule for nobody is no mistake")
			}
			for _, m := range methods {
				for _, id := range []identity.ID{{}, {System: "s", Service: "a"}, {System: "S", Service: "b"}} {
					if got, want := guard.Gate(m).Admits(id), oracle([]identity.Rule{rule}, id, m); got != want {
						t.Fatalf("%q: %v calls %s: %v, want %v", rule, id, m, got, want)
					}
				}
			}
			return
		}
		if everyone := strings.Contains("\x00"+strings.Join(rule.Callers, "\x00")+"\x00", "\x00*\x00"); !everyone && guard.Gate(methods[0]).Admits(identity.ID{}) {
			t.Fatalf("%q lets in nobody's call", rule)
		}
	})
}

// TestIDs holds that what is written is read.
func TestIDs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		id := identity.ID{System: system.Draw(t, "system"), Service: path.Draw(t, "path")}
		if got, err := identity.ParseID(id.String()); err != nil || got != id {
			t.Fatalf("%v: %v, %v", id, got, err)
		}
	})
}
