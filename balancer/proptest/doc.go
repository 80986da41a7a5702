// Package proptest holds the properties of package balancer, with rapid, a module that the main one must not need.
package proptest
