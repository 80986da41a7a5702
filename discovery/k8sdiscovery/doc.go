// Package k8sdiscovery finds instances in Kubernetes: the endpoints of each Service, with their state, as the API server knows them.
//
//	app := &hanse.App{Registry: new(k8sdiscovery.Registry)} // in a pod
//
// or, so that --registry k8s: chooses it:
//
//	app := &hanse.App{RegistrySchemes: discovery.Schemes{"k8s": k8sdiscovery.Open}}
//
// The instances of the service cart are the pods behind the Service cart of the namespace. Kubernetes itself announces them, by
// readiness probes, so nothing is registered here. A change is known within moments, and a pod that terminates is known to, which
// DNS cannot tell.
//
// The pod's service account must be allowed to list and watch EndpointSlices in the namespace:
//
//	apiVersion: rbac.authorization.k8s.io/v1
//	kind: Role
//	metadata: {name: discovery}
//	rules:
//	  - {apiGroups: [discovery.k8s.io], resources: [endpointslices], verbs: [list, watch]}
package k8sdiscovery
