package etcddiscovery_test

import (
	"fmt"
	"log"
	"time"

	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/discovery/etcddiscovery"
	clientv3 "go.etcd.io/etcd/client/v3"
)

func ExampleNew() {
	client, err := clientv3.New(clientv3.Config{
		Endpoints:         []string{"etcd-1:2379", "etcd-2:2379", "etcd-3:2379"},
		DialKeepAliveTime: 10 * time.Second, // notices a machine that is cut off
	})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	registry := etcddiscovery.New(client, etcddiscovery.Options{System: "shop"})
	fmt.Println(registry) // hanse.App{Registry: registry}
	// Output: etcd://etcd-1:2379,etcd-2:2379,etcd-3:2379/shop
}

func ExampleOpen() {
	// hanse.App{RegistrySchemes: schemes}, for programs that are told --registry etcd://…
	schemes := discovery.Schemes{"etcd": etcddiscovery.Open, "etcds": etcddiscovery.Open}
	registry, err := discovery.Parse("etcd://etcd-1,etcd-2,etcd-3/shop", schemes)
	if err != nil {
		log.Fatal(err)
	}
	defer registry.(*etcddiscovery.Registry).Close()
	fmt.Println(registry)
	// Output: etcd://etcd-1:2379,etcd-2:2379,etcd-3:2379/shop
}
