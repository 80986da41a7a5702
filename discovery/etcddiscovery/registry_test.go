//go:build unix

package etcddiscovery_test

import (
	"testing"

	"github.com/hanse-go/hanse/discovery/discoverytest"
	"github.com/hanse-go/hanse/hansetest/registrytest"
)

func TestRegistry(t *testing.T) { discoverytest.RunFailures(t, engine) }

func TestOutage(t *testing.T) { registrytest.RunOutage(t, engine, "etcd") }

func TestLeaderKilled(t *testing.T) { registrytest.RunLeaderKilled(t, engine, "etcd") }

func TestScale(t *testing.T) { discoverytest.RunScale(t, engine) }

func BenchmarkChange(b *testing.B) { discoverytest.BenchmarkChange(b, engine) }
