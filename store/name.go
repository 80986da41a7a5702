package store

import (
	"errors"
	"fmt"
	"regexp"
	"unicode/utf8"
)

const (
	longestName = 128
	longestKey  = 512
)

var bucketName = regexp.MustCompile(`^[a-z][a-z0-9-]*(\.[a-z0-9-]+)*$`)

func checkName(name string) error {
	if len(name) > longestName || !bucketName.MatchString(name) {
		return fmt.Errorf("%q cannot be the name of a bucket: use at most %d of a-z, 0-9 and '-', beginning with a letter, in parts that are separated by '.'", name, longestName)
	}
	return nil
}

func checkKey(key string) error {
	switch {
	case key == "":
		return errors.New("a key must not be empty")
	case len(key) > longestKey:
		return fmt.Errorf("the key %.20q… has %d bytes: it must not have more than %d", key, len(key), longestKey)
	case !utf8.ValidString(key):
		return fmt.Errorf("the key %q is not valid UTF-8", key)
	}
	return nil
}
