package zkdiscovery_test

import (
	"testing"

	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/discovery/zkdiscovery"
	"github.com/hanse-go/hanse/hansetest/registrytest"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if registrytest.Program(discovery.Schemes{"zk": zkdiscovery.Open}) {
		return
	}
	goleak.VerifyTestMain(m)
}
