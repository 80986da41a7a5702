package zkdiscovery_test

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log"
	"net"
	"time"

	"github.com/go-zookeeper/zk"
	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/discovery/zkdiscovery"
)

func ExampleNew() {
	registry := zkdiscovery.New([]string{"zk-1:2181", "zk-2:2181", "zk-3:2181"}, zkdiscovery.Options{System: "shop"})
	fmt.Println(registry) // hanse.App{Registry: registry}
	// Output: zk://zk-1:2181,zk-2:2181,zk-3:2181/shop
}

func ExampleNew_tls() {
	var (
		roots        *x509.CertPool    // that ZooKeeper's certificate is from
		certificates []tls.Certificate // of this program
	)
	registry := zkdiscovery.New([]string{"zk-1:2281"}, zkdiscovery.Options{
		System: "shop",
		Dial: func(network, address string, timeout time.Duration) (net.Conn, error) {
			return tls.DialWithDialer(&net.Dialer{Timeout: timeout}, network, address, &tls.Config{RootCAs: roots, Certificates: certificates})
		},
		ACL: append(zk.AuthACL(zk.PermAll), zk.WorldACL(zk.PermRead)...), // who has the same certificate may write
	})
	fmt.Println(registry)
	// Output: zk://zk-1:2281/shop
}

func ExampleOpen() {
	// hanse.App{RegistrySchemes: schemes}, for programs that are told --registry zk://…
	schemes := discovery.Schemes{"zk": zkdiscovery.Open}
	registry, err := discovery.Parse("zk://zk-1,zk-2,zk-3/shop", schemes)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(registry)
	// Output: zk://zk-1:2181,zk-2:2181,zk-3:2181/shop
}
