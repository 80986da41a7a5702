//go:build !windows && (!unix || solaris || aix)

package lease

import (
	"errors"
	"os"
)

// This platform has no lock that ends with the process and only then.

func create(path string) (*os.File, error)     { return nil, unsupported(path) }
func open(path string) (*os.File, error)       { return nil, unsupported(path) }
func rename(_ *os.File, from, _ string) error  { return unsupported(from) }
func tryLock(f *os.File, _ bool) (bool, error) { return false, unsupported(f.Name()) }
func unlock(f *os.File) error                  { return unsupported(f.Name()) }

func unsupported(path string) error {
	return &os.PathError{Op: "lock", Path: path, Err: errors.ErrUnsupported}
}
