// Package discovery finds the running instances of a service.
//
// A [Registry] is read with Watch; a [Registrar] is a registry that instances can also be announced in:
//
//	registry := new(discovery.Local) // the processes of this user on this machine; no server needed
//	lease, err := registry.Register(ctx, discovery.Instance{
//		Service: "cart", ID: "c1", State: discovery.Ready, Endpoints: []string{"tcp://127.0.0.1:8443"},
//	})
//	…
//	err = registry.Watch(ctx, "cart", func(instances []discovery.Instance) { … })
//
// [Memory] is for one process, [Local] for the processes of one machine, [Static] for addresses that never change, and [DNS] for
// names. [First], [Merge] and [Targets] combine registries, [Parse] and [ParseTarget] read them from text. Package discoverytest is
// the suite that every one of them passes, and grpcresolver lets stock grpc-go clients use them. Those of engines that run elsewhere,
// such as etcddiscovery, are modules of their own below this package.
package discovery
