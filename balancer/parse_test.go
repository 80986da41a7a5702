package balancer_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/hanse-go/hanse/balancer"
)

func TestParsePolicy(t *testing.T) {
	for text, want := range map[string]string{
		"p2c":                           "<nil>",
		"random":                        "*balancer.Random",
		"round-robin":                   "*balancer.RoundRobin",
		"weighted, warm-up=30s":         "*balancer.Weighted warm-up 30s",
		"hash:X-User":                   "*balancer.ConsistentHash x-user 0",
		"hash:x-user,bound=1.5":         "*balancer.ConsistentHash x-user 1.5",
		"hash:x-user,bound=off":         "*balancer.ConsistentHash x-user -1",
		"version=v2":                    "<nil> of version=v2",
		"version=v2,label.a=1,label.b=": "<nil> of version=v2 a=1 b=",
		"random,locality=off":           "*balancer.Random anywhere",
		"p2c,locality=on":               "<nil>",
		"":                              `unknown picker ""`,
		"roundrobin":                    "did you mean round-robin?",
		"hash":                          "hash:KEY",
		"random:x":                      "only hash has a key",
		"version=":                      "no version",
		"p2c,warm-up=soon":              "a duration",
		"p2c,warmup=3s":                 "did you mean warm-up?",
		"p2c,bound=2":                   "for hash:KEY alone",
		"hash:x,bound=0.5":              "at least 1",
		"hash:x,bound=NaN":              "at least 1",
		"p2c,locality=no":               "on or off",
		"p2c,label.=x":                  "unknown setting",
	} {
		p, err := balancer.ParsePolicy(text)
		if err != nil {
			if !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "balancer: ") {
				t.Errorf("%q: %v, want %s", text, err, want)
			}
			continue
		}
		var picker balancer.Picker
		if p.Picker != nil {
			picker = p.Picker()
		}
		got := fmt.Sprintf("%T", picker)
		if hash, ok := picker.(*balancer.ConsistentHash); ok {
			got += fmt.Sprintf(" %s %g", hash.Key, hash.Bound)
		}
		if !p.Filter.IsZero() {
			got += " of " + p.Filter.String()
		}
		if p.WarmUp != 0 {
			got += " warm-up " + p.WarmUp.String()
		}
		if p.NoLocality {
			got += " anywhere"
		}
		if got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}
