// Package paritypb is the contract of the parity suite of package rpc.
package paritypb

//go:generate go run ../../../cmd/hanse gen .
