package suites

import (
	"regexp"
	"strconv"
	"testing"
)

// TestConnect runs the Connect project's conformance suite, with the protocol gRPC, in both roles.
func TestConnect(t *testing.T) {
	for _, role := range []string{"server", "client"} {
		t.Run(role, func(t *testing.T) {
			runner, program := tool(t, "connectconformance"), tool(t, "hanse-"+role)
			s := newScore(t, "connectconformance, our "+role)
			out, err := command(t, runner, "--mode", role, "--conf", "testdata/"+role+".yaml", "--max-servers", "2", "--trace", "--", program)
			s.passed, s.failed = counts(t, out, `(?m)^(\d+) passed, (\d+) failed`)
			if err != nil || s.failed > 0 {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

// counts returns the two numbers that the pattern finds in out, 0 and 1 when it finds none.
func counts(t *testing.T, out, pattern string) (passed, failed int) {
	t.Helper()
	m := regexp.MustCompile(pattern).FindStringSubmatch(out)
	if m == nil {
		t.Errorf("there are no counts in:\n%s", out)
		return 0, 1
	}
	passed, _ = strconv.Atoi(m[1])
	failed, _ = strconv.Atoi(m[2])
	return passed, failed
}
