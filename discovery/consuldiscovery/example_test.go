package consuldiscovery_test

import (
	"fmt"
	"os"

	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/discovery/consuldiscovery"
)

func Example() {
	registry := &consuldiscovery.Registry{
		Token: os.Getenv("CONSUL_TOKEN"), // where Consul has ACLs
		Tag:   "shop",                    // where several systems share a datacenter
	}
	fmt.Println(registry)
	// Output: consul://127.0.0.1:8500?tag=shop
}

func ExampleOpen() {
	schemes := discovery.Schemes{"consul": consuldiscovery.Open}
	registry, err := discovery.Parse("consul://10.0.0.1:8500?dc=eu", schemes)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(registry)
	// Output: consul://10.0.0.1:8500?dc=eu
}
