package eurekadiscovery_test

import (
	"fmt"

	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/discovery/eurekadiscovery"
)

func Example() {
	registry := &eurekadiscovery.Registry{
		Servers: []string{"http://eureka-1:8761/eureka", "http://eureka-2:8761/eureka"}, // peers of each other
	}
	fmt.Println(registry)
	// Output: eureka:http://eureka-1:8761/eureka,http://eureka-2:8761/eureka
}

func ExampleOpen() {
	schemes := discovery.Schemes{"eureka": eurekadiscovery.Open}
	registry, err := discovery.Parse("eureka:http://10.0.0.1:8761/eureka?interval=2s", schemes)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(registry)
	// Output: eureka:http://10.0.0.1:8761/eureka
}
