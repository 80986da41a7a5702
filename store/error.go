package store

import "errors"

var (
	// ErrNotFound says that a bucket has no value for a key, or none any more.
	ErrNotFound = errors.New("not found")

	// ErrExists says that a key was to be created and has a value.
	ErrExists = errors.New("it is there already")

	// ErrRevision says that a key has another revision than the one that was named: somebody has changed or deleted it.
	ErrRevision = errors.New("it has another revision")

	// ErrFull says that a bucket, or the disk below it, has no room. Nothing was stored.
	ErrFull = errors.New("the bucket is full")

	// ErrTooLarge says that a value is larger than its bucket takes. Nothing was stored.
	ErrTooLarge = errors.New("the value is too large")

	// ErrDrift says that a bucket is there with other settings, which cannot be changed without a loss.
	ErrDrift = errors.New("declared differently")

	// ErrUnavailable says that the store did not answer in time. Whether a write was made is not known.
	ErrUnavailable = errors.New("the store does not answer")

	// ErrLocked says that another holds a lock, and has held it for as long as the caller wanted to wait.
	ErrLocked = errors.New("another holds it")

	// ErrLost says that a lock was lost while it was held: it could not be renewed in time, or it was taken away.
	ErrLost = errors.New("the lock was lost")
)
