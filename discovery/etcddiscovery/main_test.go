package etcddiscovery_test

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if name := os.Getenv(programVariable); name != "" {
		program(name)
		return
	}
	goleak.VerifyTestMain(m)
}
