package suites

import (
	"net"
	"strings"
	"testing"
)

// The official cases, without those that need credentials of a cloud, load reports or HTTP caches.
var (
	// required are the cases of grpc-go's own run.
	required = []string{
		"empty_unary", "large_unary", "client_streaming", "server_streaming", "ping_pong", "empty_stream", "custom_metadata",
		"status_code_and_message", "special_status_message", "unimplemented_method", "unimplemented_service",
		"cancel_after_begin", "cancel_after_first_response", "timeout_on_sleeping_server", "rpc_soak", "channel_soak",
	}
	// optional are the cases that grpc-go's client has and its server has not.
	optional = []string{"pick_first_unary"}
	// compressing are the cases that grpc-go has not.
	compressing = []string{"client_compressed_unary", "server_compressed_unary"}
	// choosing is the case whose server compresses one message of a stream and not the other. No server in Go can, nor grpc-js.
	choosing = []string{"server_compressed_streaming"}
	// own are ours, beside the official ones.
	own = []string{"huge_unary"}
)

// TestInterop runs gRPC's interoperability cases between our and grpc-go's programs.
func TestInterop(t *testing.T) {
	pairs := []struct {
		name   string
		server func(t *testing.T, tls bool) (*process, string)
		client func(t *testing.T, s *score, addr string, tls bool, cases []string)
		cases  [][]string
	}{
		{"our server, grpc-go's client", startOurs, runTheirs, [][]string{required, optional}},
		{"grpc-go's server, our client", startTheirs, runOurs, [][]string{required}},
		{"our server, our client", startOurs, runOurs, [][]string{required, optional, compressing, own}},
	}
	for _, p := range pairs {
		for _, tls := range []bool{false, true} {
			t.Run(p.name+", "+wireName(tls), func(t *testing.T) {
				t.Parallel()
				tool(t, "grpc-interop-client") // skips before the score begins
				s := newScore(t, "interop: "+p.name+", "+wireName(tls))
				_, addr := p.server(t, tls)
				for _, cases := range p.cases {
					p.client(t, s, addr, tls, cases)
				}
			})
		}
	}
}

func wireName(tls bool) string {
	if tls {
		return "TLS"
	}
	return "h2c"
}

// startOurs starts our server of the interoperability tests.
func startOurs(t *testing.T, tls bool) (*process, string) {
	t.Helper()
	args := []string{"--addr", "127.0.0.1:0"}
	if tls {
		cert, key := certificate(t)
		args = append(args, "--tls_cert_file", cert, "--tls_key_file", key)
	}
	return start(t, `listening addr=(\S+)`, tool(t, "hanse-interop-server"), args...)
}

// startTheirs starts grpc-go's server.
func startTheirs(t *testing.T, tls bool) (*process, string) {
	t.Helper()
	_, port, _ := net.SplitHostPort(freeAddr(t))
	args := []string{"--port", port}
	if tls {
		cert, key := certificate(t)
		args = append(args, "--use_tls", "--tls_cert_file", cert, "--tls_key_file", key)
	}
	p, _ := start(t, `interop server listening on (\S+)`, tool(t, "grpc-interop-server"), args...)
	return p, net.JoinHostPort("127.0.0.1", port)
}

// runOurs runs our client, which takes all cases at once.
func runOurs(t *testing.T, s *score, addr string, tls bool, cases []string) {
	out, err := command(t, tool(t, "hanse-interop-client"), append(clientArgs(t, addr, tls), "--test_case", strings.Join(cases, ","))...)
	lines := caseLines(out)
	for _, name := range cases {
		s.run(t, name, func(t *testing.T) {
			if line := lines[name]; line == "" {
				t.Errorf("the client says nothing of it (%v)\n%s", err, out)
			} else if !strings.HasPrefix(line, "PASS") {
				t.Error(line)
			}
		})
	}
}

// runTheirs runs grpc-go's client, once for each case.
func runTheirs(t *testing.T, s *score, addr string, tls bool, cases []string) {
	for _, name := range cases {
		s.run(t, name, func(t *testing.T) {
			args := append(clientArgs(t, addr, tls), "--test_case", name)
			if tls {
				args = append(args, "--use_test_ca")
			}
			if out, err := command(t, tool(t, "grpc-interop-client"), args...); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

func clientArgs(t *testing.T, addr string, tls bool) []string {
	host, port, _ := net.SplitHostPort(addr)
	args := []string{"--server_host", host, "--server_port", port}
	if tls {
		cert, _ := certificate(t)
		args = append(args, "--use_tls", "--ca_file", cert, "--server_host_override", certName)
	}
	return args
}

// caseLines returns the lines of cases by their names, as in "PASS empty_unary (2ms)" and "FAIL empty_unary: why".
func caseLines(out string) map[string]string {
	lines := map[string]string{}
	for line := range strings.Lines(out) {
		if f := strings.Fields(line); len(f) > 1 && (f[0] == "PASS" || f[0] == "FAIL") {
			lines[strings.TrimSuffix(f[1], ":")] = strings.TrimSpace(line)
		}
	}
	return lines
}

// freeAddr returns an address that was free a moment ago, for programs that cannot choose one.
func freeAddr(t *testing.T) string {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer lis.Close()
	return lis.Addr().String()
}
