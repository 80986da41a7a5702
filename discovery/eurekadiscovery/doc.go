// Package eurekadiscovery finds and announces instances in Netflix Eureka, also as Spring Cloud runs it, over its REST interface.
//
//	app := &hanse.App{Registry: &eurekadiscovery.Registry{Servers: []string{"http://eureka.example.com:8761/eureka"}}}
//
// or, so that --registry eureka:URL chooses it:
//
//	app := &hanse.App{RegistrySchemes: discovery.Schemes{"eureka": eurekadiscovery.Open}}
//
// The instances of the service cart are those of the application CART. The record of one that Hanse announced is in its metadata, so
// that nothing of it is lost; its address and status are where Eureka's other clients look for them. An instance that somebody else
// registered is found too, as plain endpoints.
//
// Eureka is eventually consistent, and slow about it: a server answers from a cache that it renews each 30 s, unless it is set
// otherwise, and a dead instance stays for minutes.
package eurekadiscovery
