package http2_test

import (
	"testing"
	"testing/synctest"
)

// bubble runs a test in virtual time.
func bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, f)
}

// wait waits until nothing in the bubble can go on.
func wait() { synctest.Wait() }
