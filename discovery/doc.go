// Package discovery finds the running instances of a service.
//
// A [Registry] is read with Watch; a [Registrar] is a registry that instances can also be announced in. [Memory], [Local],
// [Static] and [DNS] are built in, and package discoverytest is the suite that every one of them passes.
package discovery
