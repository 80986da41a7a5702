// Package echopb is the contract that every peer of the wire benchmark serves.
package echopb
