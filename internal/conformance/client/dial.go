package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strconv"

	"github.com/hanse-go/hanse/internal/conformance/conformancepb"
	"github.com/hanse-go/hanse/rpc"
)

// dial returns a connection to the server that req names. Its calls have the deadlines that the suite sets, and no others.
func dial(req *conformancepb.ClientCompatRequest) (*rpc.Conn, error) {
	opts := []rpc.ConnOption{rpc.WithTimeout(-1)}
	if len(req.ServerTlsCert) > 0 {
		config, err := tlsConfig(req)
		if err != nil {
			return nil, err
		}
		opts = append(opts, rpc.WithTLS(config))
	}
	return rpc.Dial(net.JoinHostPort(req.Host, strconv.FormatUint(uint64(req.Port), 10)), opts...)
}

func tlsConfig(req *conformancepb.ClientCompatRequest) (*tls.Config, error) {
	config := &tls.Config{RootCAs: x509.NewCertPool()}
	if !config.RootCAs.AppendCertsFromPEM(req.ServerTlsCert) {
		return nil, errors.New("the certificate of the server is no PEM")
	}
	if creds := req.ClientTlsCreds; creds != nil {
		cert, err := tls.X509KeyPair(creds.Cert, creds.Key)
		if err != nil {
			return nil, fmt.Errorf("the client's certificate: %w", err)
		}
		config.Certificates = []tls.Certificate{cert}
	}
	return config, nil
}
