// Package conformancepb is the contract of the Connect project's conformance suite, as far as gRPC needs it: generated code, and what its
// server and its client share.
package conformancepb
