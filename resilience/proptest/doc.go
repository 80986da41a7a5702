// Package proptest holds package resilience to its documentation with random input, and to failsafe-go where both mean the same. It is a
// module of its own so that nobody else depends on the libraries for that.
package proptest
