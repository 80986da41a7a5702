// Package suites runs test suites that others wrote against Hanse's server and client: the Connect project's conformance suite, gRPC's
// interoperability tests against grpc-go and grpc-js, h2spec, and nghttpx as a proxy in front. It has tests only, and they are skipped
// unless HANSE_CONFORMANCE names the folder that tools/conformance/fetch filled:
//
//	make conformance
package suites
