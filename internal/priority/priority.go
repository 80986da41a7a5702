// Package priority holds what package resilience and package rpc share about the priority of calls: the key of contexts.
package priority

// Key is the key under which a context holds the resilience.Priority of a call.
type Key struct{}
