//go:build !linux

package main

import "time"

func pacer() (sleep func(time.Duration)) { return time.Sleep }
