package k8sdiscovery_test

import (
	"fmt"

	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/discovery/k8sdiscovery"
)

func Example() {
	registry := &k8sdiscovery.Registry{} // in a pod: the API server, the namespace and the service account are the pod's
	fmt.Println(registry)
	// Output: k8s:
}

func ExampleOpen() {
	schemes := discovery.Schemes{"k8s": k8sdiscovery.Open}
	registry, err := discovery.Parse("k8s:http://127.0.0.1:8001?namespace=shop", schemes)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(registry)
	// Output: k8s:http://127.0.0.1:8001?namespace=shop
}
