// Package zkdiscovery is a registry in ZooKeeper, version 3.5 or later.
//
//	registry := zkdiscovery.New([]string{"zk-1:2181", "zk-2:2181", "zk-3:2181"}, zkdiscovery.Options{System: "shop"})
//	app := &hanse.App{Registry: registry}
//
// Or, for programs that are told their registry by --registry zk://zk-1:2181,zk-2:2181/shop:
//
//	app := &hanse.App{RegistrySchemes: discovery.Schemes{"zk": zkdiscovery.Open}}
//
// Each instance is an ephemeral node with its record. One that dies is gone when its session ends, after [Options.SessionTimeout]. An
// instance whose session or node was lost, whatever the reason, announces itself again.
//
// While ZooKeeper is away, and in the time in which instances announce themselves again after it was wiped, the last known instances stay.
//
// These are the nodes below /hanse/SYSTEM:
//
//	instances/SERVICE/ID  ephemeral: the record of an instance
//	ids/ID                ephemeral: who has the ID
//	splits/SERVICE        the split rules of a service
package zkdiscovery
