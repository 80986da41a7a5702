// Package consuldiscovery finds and announces instances in Consul, over the HTTP API of its agent.
//
//	app := &hanse.App{Registry: new(consuldiscovery.Registry)} // the agent of this machine
//
// or, so that --registry consul://HOST:PORT chooses it:
//
//	app := &hanse.App{RegistrySchemes: discovery.Schemes{"consul": consuldiscovery.Open}}
//
// An instance is a service of the agent with a TTL check. Its record is in the service's meta, so that nothing of it is lost; its
// first TCP address, its weight and its health are where Consul's own DNS and other clients look for them. A service that somebody
// else registered is found too, as plain endpoints. Split rules are in the key-value store.
package consuldiscovery
