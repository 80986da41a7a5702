package suites

import (
	"net"
	"testing"
)

// TestH2spec runs h2spec --strict against a page for plain HTTP on the port that also serves gRPC.
func TestH2spec(t *testing.T) {
	for _, tls := range []bool{false, true} {
		t.Run(wireName(tls), func(t *testing.T) {
			runner := tool(t, "h2spec")
			s := newScore(t, "h2spec --strict, "+wireName(tls))
			_, addr := startOurs(t, tls)
			host, port, _ := net.SplitHostPort(addr)
			args := []string{"--strict", "--host", host, "--port", port, "--path", "/page", "--timeout", "2"}
			if tls {
				args = append(args, "--tls", "--insecure")
			}
			out, err := command(t, runner, args...)
			s.passed, s.failed = counts(t, out, `(\d+) passed, \d+ skipped, (\d+) failed`)
			s.skipped, _ = counts(t, out, `(\d+) skipped, (\d+) failed`)
			if err != nil || s.failed > 0 {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}
