// Command client runs cases of gRPC's interoperability tests with Hanse's client, against any server of their contract. Its flags are those
// of the other implementations' clients:
//
//	client --server_host localhost --server_port 10000 --test_case large_unary
//	client --server_port 10000 --use_tls --ca_file ca.pem --server_host_override foo.test.google.fr --test_case all
//
// Several cases are separated by commas; all is every case. It prints a line for each, and exits with 1 when one failed.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"flag"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hanse-go/hanse/rpc"
	testpb "google.golang.org/grpc/interop/grpc_testing"
)

func main() {
	var c config
	flag.StringVar(&c.host, "server_host", "localhost", "host of the server")
	flag.IntVar(&c.port, "server_port", 10000, "port of the server")
	flag.StringVar(&c.override, "server_host_override", "", "name in the server's certificate, when it is not --server_host")
	flag.BoolVar(&c.tls, "use_tls", false, "connect by TLS")
	flag.StringVar(&c.caFile, "ca_file", "", "PEM file of the authorities to trust (default: the system's)")
	flag.Bool("use_test_ca", false, "taken and ignored: --ca_file is enough")
	cases := flag.String("test_case", "large_unary", "cases, separated by commas, or all:\n"+strings.Join(names(), "\n"))
	flag.IntVar(&c.soak.iterations, "soak_iterations", 10, "calls of rpc_soak and channel_soak")
	flag.DurationVar(&c.soak.overall, "soak_overall_timeout", 10*time.Second, "time for all of them")
	flag.Parse()

	run, err := choose(*cases)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	failed := false
	for _, tc := range run {
		begin := time.Now()
		if err := c.run(tc); err != nil {
			failed = true
			fmt.Printf("FAIL %s: %v\n", tc.name, err)
			continue
		}
		fmt.Printf("PASS %s (%v)\n", tc.name, time.Since(begin).Round(time.Millisecond))
	}
	if failed {
		os.Exit(1)
	}
}

type config struct {
	host     string
	port     int
	override string
	tls      bool
	caFile   string
	soak     soak
}

// run runs one case on a connection of its own.
func (c *config) run(tc testCase) error {
	ctx, cancel := context.WithTimeout(context.Background(), c.soak.overall+20*time.Second)
	defer cancel()
	conn, seen, err := c.dial()
	if err != nil {
		return err
	}
	defer conn.Close()
	return tc.run(ctx, &harness{config: c, conn: conn, client: testpb.NewTestServiceClient(conn), seen: seen})
}

// dial returns a connection, and what is seen of the messages that come on it.
func (c *config) dial() (*rpc.Conn, *arrivals, error) {
	seen := &arrivals{}
	opts := []rpc.ConnOption{rpc.WithStatsHandlers(seen)}
	if c.tls {
		config := &tls.Config{ServerName: c.override}
		if c.caFile != "" {
			pem, err := os.ReadFile(c.caFile)
			if err != nil {
				return nil, nil, err
			}
			config.RootCAs = x509.NewCertPool()
			if !config.RootCAs.AppendCertsFromPEM(pem) {
				return nil, nil, fmt.Errorf("there is no certificate in %s", c.caFile)
			}
		}
		opts = append(opts, rpc.WithTLS(config))
	}
	conn, err := rpc.Dial(net.JoinHostPort(c.host, strconv.Itoa(c.port)), opts...)
	return conn, seen, err
}

// choose returns the cases that the flag names.
func choose(list string) ([]testCase, error) {
	if list == "all" {
		return cases, nil
	}
	var chosen []testCase
	for name := range strings.SplitSeq(list, ",") {
		i := slices.IndexFunc(cases, func(tc testCase) bool { return tc.name == name })
		if i < 0 {
			return nil, fmt.Errorf("there is no case %q; the cases are %s", name, strings.Join(names(), ", "))
		}
		chosen = append(chosen, cases[i])
	}
	return chosen, nil
}

func names() []string {
	var names []string
	for _, tc := range cases {
		names = append(names, tc.name)
	}
	return names
}
