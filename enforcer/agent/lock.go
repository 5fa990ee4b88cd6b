package agent

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// RunDirectory is where an agent keeps what must outlive it until the node reboots. Only root can read or
// write there.
const RunDirectory = "/run/apptier"

// Lock makes this process the only one that writes rules on this node, until it is closed. It locks a file
// in the directory, which it creates if necessary: only root can open the file and hold the lock. A lock of
// flock(2) ends with its process, however the process ends.
//
// Rules belong to a network namespace, so there is one file for each.
func Lock(directory string) (io.Closer, error) {
	if err := ownDirectory(directory); err != nil {
		return nil, fmt.Errorf("cannot tell whether another enforcer runs on this node: %w", err)
	}
	var network unix.Stat_t
	if err := unix.Stat("/proc/thread-self/ns/net", &network); err != nil {
		return nil, fmt.Errorf("cannot tell which network namespace this is: %w", err)
	}
	file, err := openOwn(filepath.Join(directory, fmt.Sprintf("enforcer-%d.lock", network.Ino)), unix.O_RDWR|unix.O_CREAT)
	if err != nil {
		return nil, fmt.Errorf("cannot tell whether another enforcer runs on this node: %w", err)
	}
	err = unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if err == nil {
		return file, nil
	}
	_ = file.Close()
	if errors.Is(err, unix.EWOULDBLOCK) {
		return nil, errors.New("another enforcer runs on this node, and writes its rules: stop it first (its DaemonSet, perhaps, or one of another namespace)")
	}
	return nil, fmt.Errorf("cannot tell whether another enforcer runs on this node: locking %s: %w", file.Name(), err)
}

// ownDirectory creates a directory that only this user can access, or checks that it is one.
func ownDirectory(path string) error {
	if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return fmt.Errorf("making the directory %s: %w; choose another with --run-dir, on a file system that can be written", path, err)
	}
	directory, err := openOwn(path, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return err
	}
	defer directory.Close()
	// The kubelet makes it with mode 0755.
	if err := directory.Chmod(0o700); err != nil {
		return fmt.Errorf("keeping others out of the directory %s: %w", path, err)
	}
	return nil
}

// openOwn opens a file or a directory that is this user's, and no link to one.
func openOwn(path string, flags int) (*os.File, error) {
	file, err := os.OpenFile(path, flags|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, err
	}
	var status unix.Stat_t
	if err := unix.Fstat(int(file.Fd()), &status); err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("looking at %s: %w", path, err)
	}
	if int(status.Uid) != os.Geteuid() {
		_ = file.Close()
		return nil, fmt.Errorf("%s belongs to user %d, who could keep enforcers from running: remove it", path, status.Uid)
	}
	return file, nil
}
