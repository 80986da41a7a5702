// Package everywhere knows the contracts that an app serves for all its services, beside their own: health and reflection.
package everywhere

// Contracts are their full names.
var Contracts = [...]string{"grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"}

// Has reports whether a contract is one of them.
func Has(contract string) bool {
	switch contract {
	case Contracts[0], Contracts[1], Contracts[2]:
		return true
	}
	return false
}
