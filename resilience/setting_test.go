package resilience_test

import (
	"strings"
	"testing"
	"time"

	"github.com/hanse-go/hanse/resilience"
)

func TestSettings(t *testing.T) {
	all := resilience.Resolve(nil, "", "").Settings()
	for name, want := range map[string]string{
		"timeout": "10s", "retry.max-backoff": "1s", "retry.budget": "20", "breaker.failures": "80", "outlier.slow": "5", "outlier.max-ejected": "50",
	} {
		if all[name] != want {
			t.Errorf("%s is %q, want %q", name, all[name], want)
		}
	}
	// What is shown can be set.
	var p resilience.Policy
	for name, value := range all {
		if err := p.Set(name, value); err != nil {
			t.Error(err)
		}
	}
	if got := p.Settings(); len(got) != len(all) {
		t.Errorf("got %v, want %v", got, all)
	}
}

func TestSet(t *testing.T) {
	var p resilience.Policy
	for _, s := range [][2]string{
		{"timeout", "300ms"}, {"retry.attempts", "5"}, {"hedge.percentile", "99.5"}, {"breaker", "off"}, {"outlier", "off"}, {"retry.backoff", "off"},
	} {
		if err := p.Set(s[0], s[1]); err != nil {
			t.Error(err)
		}
	}
	want := resilience.Policy{
		Timeout: 300 * time.Millisecond, Retry: resilience.Retry{Attempts: 5, Backoff: -1}, Hedge: resilience.Hedge{Percentile: 99.5},
		Breaker: resilience.Breaker{Failures: -1}, Outlier: resilience.Outlier{MaxEjected: -1},
	}
	if p.Timeout != want.Timeout || p.Retry != want.Retry || p.Hedge != want.Hedge || p.Breaker != want.Breaker || p.Outlier != want.Outlier {
		t.Errorf("got %+v, want %+v", p, want)
	}
	if err := p.Set("breaker", "on"); err != nil || p.Breaker.Failures != 0 {
		t.Error(p.Breaker, err)
	}
	for _, s := range [][3]string{
		{"retries", "1", "there is no setting"},
		{"retries", "1", "retry.attempts"},
		{"breaker", "50", "breaker can be on or off; its settings are breaker.calls"},
		{"timeout", "5", "timeout: \"5\" is no duration"},
		{"retry.attempts", "2.5", "no whole number"},
		{"hedge.percentile", "many", "no number"},
		{"retry.budget", "200", "at most 100"},
		{"breaker.open", "off", "Breaker.Open"},
	} {
		before := p.Settings()
		if err := p.Set(s[0], s[1]); err == nil || !strings.Contains(err.Error(), s[2]) {
			t.Errorf("%s=%s: got %v, want %s", s[0], s[1], err, s[2])
		}
		if after := p.Settings(); len(after) != len(before) {
			t.Errorf("%s=%s changed the policy", s[0], s[1])
		}
	}
}
