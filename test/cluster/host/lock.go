package host

import (
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Lock takes a lock file, waiting for whoever holds it. The kernel releases it when a process dies. Who
// holds it may remove the file.
func Lock(ctx context.Context, path string) (unlock func(), err error) {
	var held *os.File
	err = Poll(ctx, func() (bool, error) {
		held, err = tryLock(path)
		return held != nil, err
	})
	if err != nil {
		return nil, fmt.Errorf("take the lock %s: %w", path, err)
	}
	return func() { _ = held.Close() }, nil
}

// tryLock returns nothing when the lock is held, or its file was removed just as it was taken.
func tryLock(path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	err = unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if err == nil && isAt(file, path) {
		return file, nil
	}
	_ = file.Close()
	if err == nil || errors.Is(err, unix.EWOULDBLOCK) {
		return nil, nil
	}
	return nil, err
}

func isAt(file *os.File, path string) bool {
	opened, err := file.Stat()
	if err != nil {
		return false
	}
	there, err := os.Stat(path)
	return err == nil && os.SameFile(opened, there)
}
