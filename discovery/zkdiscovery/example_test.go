package zkdiscovery_test

import (
	"fmt"
	"log"

	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/discovery/zkdiscovery"
)

func ExampleNew() {
	registry := zkdiscovery.New([]string{"zk-1:2181", "zk-2:2181", "zk-3:2181"}, zkdiscovery.Options{System: "shop"})
	fmt.Println(registry) // hanse.App{Registry: registry}
	// Output: zk://zk-1:2181,zk-2:2181,zk-3:2181/shop
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
