package agent_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/apptier/apptier/enforcer/agent"
)

// The directory of the lock is its user's alone, whoever made it, and nobody who may not open the lock can
// hold it.
func TestTheLockIsOutOfReachOfOthers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "run")
	if err := os.Mkdir(path, 0o755); err != nil {
		t.Fatal(err)
	}
	lock, err := agent.Lock(path)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	made, err := filepath.Glob(filepath.Join(path, "*.lock"))
	if err != nil || len(made) != 1 {
		t.Fatal(made, err)
	}
	for file, want := range map[string]os.FileMode{path: os.ModeDir | 0o700, made[0]: 0o600} {
		if info, err := os.Stat(file); err != nil || info.Mode() != want {
			t.Errorf("%s: %v, want %v (%v)", file, info.Mode(), want, err)
		}
	}
}

// What somebody else made there beforehand is not taken for a lock.
func TestALockThatAnotherUserCouldHold(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: it gives files away")
	}
	const nobody = 65534
	for _, test := range []struct {
		name, want string
		make       func(path string) error
	}{
		{"the directory is another's", "belongs to user 65534", func(path string) error {
			if err := os.Mkdir(path, 0o700); err != nil {
				return err
			}
			return os.Chown(path, nobody, nobody)
		}},
		{"the directory is a link", "run", func(path string) error { return os.Symlink(t.TempDir(), path) }},
		{"the directory is a file", "not a directory", func(path string) error { return os.WriteFile(path, nil, 0o600) }},
		{"a directory above it is missing", "--run-dir", func(path string) error { return os.Remove(filepath.Dir(path)) }},
		{"the file is another's", "belongs to user 65534", func(path string) error {
			lock, err := agent.Lock(path)
			if err != nil {
				return err
			}
			defer lock.Close()
			made, err := filepath.Glob(filepath.Join(path, "*.lock"))
			if err != nil {
				return err
			}
			return os.Chown(made[0], nobody, nobody)
		}},
		{"the file is a link", "too many levels", func(path string) error {
			lock, err := agent.Lock(path)
			if err != nil {
				return err
			}
			defer lock.Close()
			made, err := filepath.Glob(filepath.Join(path, "*.lock"))
			if err != nil {
				return err
			}
			if err := os.Remove(made[0]); err != nil {
				return err
			}
			return os.Symlink(filepath.Join(path, "other"), made[0])
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "above", "run")
			if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := test.make(path); err != nil {
				t.Fatal(err)
			}
			if lock, err := agent.Lock(path); err == nil || !strings.Contains(err.Error(), test.want) {
				if err == nil {
					_ = lock.Close()
				}
				t.Errorf("got %v, want an error that says %q", err, test.want)
			}
		})
	}
}
