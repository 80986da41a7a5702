// Package proptest holds package identity to properties that are tested with random input. It is a module of its own, for its library's
// licence (MPL) shall not be near users.
package proptest
