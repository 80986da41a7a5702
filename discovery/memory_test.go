package discovery_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/discovery/discoverytest"
)

func TestMemory(t *testing.T) {
	discoverytest.Run(t, func(*testing.T) discovery.Registrar { return new(discovery.Memory) }, discoverytest.Limits{
		Peer: func(_ *testing.T, reg discovery.Registrar) discovery.Registrar { return reg },
	})
}

func ExampleMemory() {
	var registry discovery.Memory
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	lease, err := registry.Register(ctx, discovery.Instance{
		Service: "cart", ID: "1", State: discovery.Ready, Endpoints: []string{"tcp://127.0.0.1:8443"},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer lease.Close()
	err = registry.Watch(ctx, "cart", func(instances []discovery.Instance) {
		for _, inst := range instances {
			fmt.Println(inst.Service, inst.State, inst.Endpoints)
		}
		cancel() // one look is enough
	})
	if err != nil {
		fmt.Println(err)
	}
	// Output: cart ready [tcp://127.0.0.1:8443]
}
