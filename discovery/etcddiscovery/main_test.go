package etcddiscovery_test

import (
	"testing"

	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/discovery/etcddiscovery"
	"github.com/hanse-go/hanse/hansetest/registrytest"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if registrytest.Program(discovery.Schemes{"etcd": etcddiscovery.Open}) {
		return
	}
	goleak.VerifyTestMain(m)
}
