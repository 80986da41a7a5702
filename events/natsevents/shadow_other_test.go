//go:build !linux || !amd64

package natsevents_test

import "errors"

func shadow(_, to string) error {
	if to == "" {
		return nil
	}
	return errors.ErrUnsupported
}
