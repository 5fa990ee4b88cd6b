package diff

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// checkOut writes the files of a revision of the repository that the program runs in to a directory, and returns
// where the path, as seen from here, is among them.
func checkOut(ctx context.Context, revision, path, directory string) (string, error) {
	top, err := git(ctx, "rev-parse", "--show-toplevel")
	if err != nil {
		return "", err
	}
	here, err := git(ctx, "rev-parse", "--show-prefix")
	if err != nil {
		return "", err
	}
	// Without --end-of-options a revision could be an option.
	archive, err := git(ctx, "-C", strings.TrimSpace(string(top)), "archive", "--format=tar", "--end-of-options", revision)
	if err != nil {
		return "", err
	}
	root, err := os.OpenRoot(directory)
	if err != nil {
		return "", err
	}
	defer func() { _ = root.Close() }()
	if err := unpack(root, tar.NewReader(bytes.NewReader(archive))); err != nil {
		return "", fmt.Errorf("unpacking the revision: %w", err)
	}
	inside := filepath.Join(strings.TrimSpace(string(here)), path)
	if !filepath.IsLocal(inside) {
		return "", errors.New("the path leads out of the repository")
	}
	return filepath.Join(directory, inside), nil
}

// unpack writes the files of an archive below a root, and leaves out links.
func unpack(root *os.Root, archive *tar.Reader) error {
	for {
		header, err := archive.Next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case header.Typeflag == tar.TypeDir:
			err = root.MkdirAll(filepath.Clean(header.Name), 0o700)
		case header.Typeflag == tar.TypeReg:
			err = unpackFile(root, filepath.Clean(header.Name), archive)
		}
		if err != nil {
			return err
		}
	}
}

func unpackFile(root *os.Root, name string, content io.Reader) error {
	if err := root.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return err
	}
	file, err := root.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(file, content)
	return errors.Join(err, file.Close())
}

func git(ctx context.Context, args ...string) ([]byte, error) {
	command := exec.CommandContext(ctx, "git", args...)
	var stderr bytes.Buffer
	command.Stderr = &stderr
	out, err := command.Output()
	if err != nil {
		return nil, fmt.Errorf("git: %w: %s", err, strings.TrimSpace(stderr.String()))
	}
	return out, nil
}
