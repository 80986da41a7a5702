// Package driver is what brokers over an engine have in common, for who writes one: which partition a key belongs to, whose each partition
// is, and how long to wait for an engine that is away. The members of a group and the publishers of a topic must come to the same results, in
// all versions of Hanse, so these functions do not change.
package driver
