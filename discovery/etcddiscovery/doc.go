// Package etcddiscovery is a registry in etcd, version 3.4 or later.
//
//	client, err := clientv3.New(clientv3.Config{Endpoints: []string{"etcd-1:2379", "etcd-2:2379"}, DialKeepAliveTime: 10 * time.Second})
//	…
//	app := &hanse.App{Registry: etcddiscovery.New(client, etcddiscovery.Options{System: "shop"})}
//
// Or, for programs that are told their registry by --registry etcd://etcd-1:2379,etcd-2:2379/shop:
//
//	app := &hanse.App{RegistrySchemes: discovery.Schemes{"etcd": etcddiscovery.Open}}
//
// Each instance is a record under a lease that its process keeps alive. One that dies is gone when its lease ends, after
// [Options.TTL]. An instance whose lease or record was lost, whatever the reason, announces itself again.
//
// While etcd is away, and in the time in which instances announce themselves again after it was wiped, the last known instances stay.
//
// These are the keys below /hanse/SYSTEM/, which are all that a program must be allowed to read; one that announces instances must be
// allowed to write them too:
//
//	instances/SERVICE/ID  the record of an instance
//	ids/ID                who has the ID
//	splits/SERVICE        the split rules of a service
//	epoch                 tells this registry from the one that is there after etcd was wiped
package etcddiscovery
